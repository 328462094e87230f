/** A server that accepts on transports, request after request. */
import type { AcceptTransportOptions } from "@effect-ws/api/AcceptTransportOptions"
import { HandshakeError } from "@effect-ws/api/HandshakeError"
import type { MemoryTransport } from "@effect-ws/api/testing/MemoryTransport"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as HttpHead from "@effect-ws/core/HttpHead"
import { assert } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Frames from "./frames.ts"
import { makePair } from "./leaks.ts"
import { Line, refused, request } from "./serving.ts"

export const server = "Server: effect-ws"
export const close = "Connection: close"

export const wrongKey = request({ "Sec-WebSocket-Key": "AAAA" })
export const wrongKeyText = "the Sec-WebSocket-Key is not the base64 form of 16 bytes (RFC 6455 4.2.1)"
export const wrongKeyAnswer = refused("400 Bad Request", wrongKeyText)

export const frame = (text: string) =>
  Frames.encode(Frames.opcodes.text, Frames.utf8(text), { key: Uint8Array.of(0x37, 0xfa, 0x21, 0x3d) })

export const frames = Frames.concat([frame("a"), frame("b")])

export const headOf = (text: string): HttpHead.RequestHead => {
  const decoded = HttpHead.requestDecoder().push(Frames.utf8(text))
  assert(decoded._tag === "Decoded")
  return decoded.head
}

export const makeLine = (options?: Parameters<typeof makePair>[0]) =>
  Effect.map(makePair(options), (pair) => new Line(pair))

export const textsOf = (socket: WebSocket.WebSocket, count: number) =>
  Effect.replicateEffect(
    Effect.map(socket.receive, (message) => (message._tag === "Text" ? message.text : "")),
    count
  )

/** Refuses the request that comes next, and leaves the transport open. */
export const refuse = (transport: MemoryTransport, options?: AcceptTransportOptions) =>
  Effect.map(Effect.flip(WebSocket.acceptTransport(transport, options)), (error) => {
    assert.isTrue(error.reusable, error.message)
    return error
  })

export const errorOf = (exit: Exit.Exit<unknown, HandshakeError>): HandshakeError => {
  const error = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined
  assert.instanceOf(error, HandshakeError, String(exit))
  return error!
}

export const assertNotReusable = (error: HandshakeError) =>
  assert.deepInclude(error, { role: "server", answer: undefined, reusable: false, reason: { _tag: "NotReusable" } })

export const isDone = (fiber: Fiber.RuntimeFiber<unknown, unknown>) => Effect.map(fiber.poll, Option.isSome)
