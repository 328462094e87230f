/** Endpoints that have agreed on permessage-deflate, and what travels between them. */
import type { ByteOps } from "../../../src/ByteOps.ts"
import type * as PermessageDeflate from "../../../src/PermessageDeflate.ts"
import type * as Protocol from "../../../src/Protocol.ts"
import type { Role } from "../../../src/Role.ts"
import { endpoint, outputOf, peerOfRole } from "../Endpoints.ts"
import { toHex } from "../Hex.ts"
import { type FrameFields, readFrames } from "../Wire.ts"
import { rsv1 } from "./deflated.ts"
import { ZlibCodec } from "./ZlibCodec.ts"

export { deflated, rsv1 } from "./deflated.ts"

export type Parameters = PermessageDeflate.Parameters

export const takeover: Parameters = {
  serverNoContextTakeover: false,
  clientNoContextTakeover: false,
  serverMaxWindowBits: 15,
  clientMaxWindowBits: 15
}

export const noTakeover: Parameters = { ...takeover, serverNoContextTakeover: true, clientNoContextTakeover: true }

/** Each with how it is told in the title of a test. */
export const agreements: ReadonlyArray<readonly [title: string, parameters: Parameters]> = [
  ["with takeover", takeover],
  ["without takeover", noTakeover]
]

export interface Settings extends Omit<Partial<Protocol.Options>, "deflate"> {
  readonly codec?: ZlibCodec
  readonly parameters?: Parameters
  readonly threshold?: number
}

/** Makes an endpoint that compresses: everything, unless a threshold is given. */
export const compressing = (role: Role, byteOps: ByteOps, settings: Settings = {}): Protocol.Protocol => {
  const { codec = new ZlibCodec(), parameters = noTakeover, threshold = 0, ...options } = settings
  return endpoint(role, byteOps, { ...options, deflate: { codec, parameters, threshold } })
}

/** Writes a frame that begins a compressed message, as the peer of `role` does. */
export const compressedFrame = (role: Role, frame: FrameFields): Uint8Array =>
  peerOfRole(role).frame({ rsv: rsv1, ...frame })

/** Takes the output in short: `R1` for RSV1, a minus for a frame that isn't final. */
export const sentCompressedBy = (protocol: Protocol.Protocol): Array<string> =>
  readFrames(outputOf(protocol)).map(({ fin, opcode, payload, rsv }) =>
    `${fin ? "" : "-"}${rsv === 0 ? "" : `R${rsv >> 2} `}${opcode} ${toHex(payload)}`.trim()
  )
