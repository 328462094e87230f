/**
 * What the application gives to be sent, as the engine takes it.
 */
import type { Sendable } from "../../WebSocket.ts"
import { attached } from "./attached.ts"
import type { Data } from "./Outbox.ts"

/** What the engine takes: no copy is made of bytes. */
export const toData = (data: Sendable): Data => {
  if (typeof data === "string") return data
  if (data instanceof Uint8Array) return attached(data)
  if ("_tag" in data) return data
  // No `instanceof`: the buffers of other realms are as good.
  if (!ArrayBuffer.isView(data)) return new Uint8Array(data)
  const { buffer, byteLength, byteOffset } = attached(data)
  return new Uint8Array(buffer, byteOffset, byteLength)
}
