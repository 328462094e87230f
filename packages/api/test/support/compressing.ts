/** Connections that have agreed on permessage-deflate, with a codec that counts, and a peer that compresses by hand. */
import { Deflate } from "@effect-ws/api/Deflate"
import type { HandshakeError } from "@effect-ws/api/HandshakeError"
import type * as PermessageDeflate from "@effect-ws/api/PermessageDeflate"
import type * as MemoryTransport from "@effect-ws/api/testing/MemoryTransport"
import type { AcceptOptions } from "@effect-ws/api/AcceptOptions"
import type { HandshakeOptions } from "@effect-ws/api/ConnectOptions"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { deflated, rsv1 } from "../../../core/test/support/deflate/deflated.ts"
import { ZlibCodec } from "../../../core/test/support/deflate/ZlibCodec.ts"
import type { Opened, OpenOptions, Role } from "./connections.ts"
import * as Frames from "./frames.ts"
import { makePair } from "./leaks.ts"
import { Peer } from "./Peer.ts"

export { deflated, rsv1 } from "../../../core/test/support/deflate/deflated.ts"
export { ZlibCodec } from "../../../core/test/support/deflate/ZlibCodec.ts"

/** The name of the field in which both sides say what they can. */
export const field = "Sec-WebSocket-Extensions"

export const withTakeover: PermessageDeflate.Options = {
  serverContextTakeover: true,
  clientContextTakeover: true,
  threshold: 0
}

export const withoutTakeover: PermessageDeflate.Options = { threshold: 0 }

/** Each with how it is told in the title of a test. */
export const agreements: ReadonlyArray<readonly [title: string, setting: PermessageDeflate.Options]> = [
  ["with takeover", withTakeover],
  ["without takeover", withoutTakeover]
]

/** What works in each agreement. */
export const answerTo = ({ serverContextTakeover }: PermessageDeflate.Options): string =>
  serverContextTakeover === true
    ? "permessage-deflate"
    : "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

export interface CompressingOptions extends OpenOptions {
  readonly setting?: PermessageDeflate.Setting
  readonly codec?: ZlibCodec
  /** What the peer says in the field; nothing for an empty text. */
  readonly says?: string
}

export interface Compressing extends Opened {
  readonly codec: ZlibCodec
}

/** Opens a connection of either role that compresses: without takeover, and everything, unless it is told otherwise. */
export const openCompressing = (role: Role, options: CompressingOptions = {}) =>
  Effect.flatMap(makePair(options.pair), (pair) => openCompressingOn(role, pair, options))

/** The same on a pair of transports that is there already. */
export const openCompressingOn = (role: Role, pair: MemoryTransport.Pair, options: CompressingOptions = {}) => {
  const { codec = new ZlibCodec(), says, setting = withoutTakeover } = options
  const socketOptions = { permessageDeflate: setting, ...options.socket }
  const theirs = role === "server" ? "permessage-deflate; client_max_window_bits" : answerTo(asOptions(setting))
  const fields = says === "" ? [] : [`${field}: ${says ?? theirs}`]
  const opening = role === "server" ? openServer : openClient
  return opening(pair, fields, socketOptions, options).pipe(
    Effect.provideService(Deflate, codec),
    Effect.map((opened): Compressing => ({ ...opened, codec }))
  )
}

const asOptions = (setting: PermessageDeflate.Setting): PermessageDeflate.Options =>
  typeof setting === "object" && !("length" in setting) ? setting : {}

type SocketOptions = AcceptOptions & HandshakeOptions

type Open = (
  pair: MemoryTransport.Pair,
  fields: ReadonlyArray<string>,
  socketOptions: SocketOptions,
  options: OpenOptions
) => Effect.Effect<Opened, HandshakeError, Scope.Scope>

const openServer: Open = (pair, fields, socketOptions, options) =>
  Effect.gen(function* () {
    const peer = new Peer(pair.client, "client", options.peer)
    yield* dismissed(peer, pair.server)
    peer.sendRequest(...fields)
    const socket = yield* WebSocket.acceptTransport(pair.server, socketOptions)
    yield* peer.awaitHead
    return { socket, peer, pair, transport: pair.server }
  })

const openClient: Open = (pair, fields, socketOptions, options) =>
  Effect.gen(function* () {
    const peer = new Peer(pair.server, "server", options.peer)
    yield* dismissed(peer, pair.client)
    const opening = yield* Effect.fork(peer.acceptRequest(...fields))
    const socket = yield* WebSocket.handshake(pair.client, { host: "server.example.com", ...socketOptions })
    yield* Fiber.join(opening)
    return { socket, peer, pair, transport: pair.client }
  })

// A peer without manners leaves its end open; it goes when ours has gone, and not before.
const dismissed = (peer: Peer, ours: MemoryTransport.MemoryTransport) =>
  Effect.addFinalizer(() => Effect.sync(() => peer.polite || ours.ledger.isOpen || peer.destroy()))

/** The bytes of a compressed message as this peer sends it, without regard to those before it. */
export const compressed = (peer: Peer, data: string | Uint8Array, options: Frames.FrameOptions = {}): Uint8Array =>
  peer.frame(typeof data === "string" ? Frames.opcodes.text : Frames.opcodes.binary, deflated(data), {
    rsv: rsv1,
    ...options
  })

/** The same in frames of so many bytes. */
export const compressedFragments = (peer: Peer, data: string | Uint8Array, size: number): Array<Uint8Array> => {
  const payload = deflated(data)
  const opcode = typeof data === "string" ? Frames.opcodes.text : Frames.opcodes.binary
  return Array.from({ length: Math.ceil(payload.length / size) }, (_, index) =>
    peer.frame(index === 0 ? opcode : 0, payload.subarray(index * size, (index + 1) * size), {
      rsv: index === 0 ? rsv1 : 0,
      fin: (index + 1) * size >= payload.length
    })
  )
}

/**
 * What a peer was sent, message by message, as one that remembers nothing or everything understands it. A compressed one is
 * marked with a `*`.
 */
export const heard = (peer: Peer, setting: PermessageDeflate.Options = withoutTakeover): Array<string> => {
  const reader = new Reader(setting.serverContextTakeover === true)
  return peer.frames.flatMap((frame) => reader.read(frame))
}

/** Waits for so many messages, and returns what was heard. */
export const awaitHeard = (peer: Peer, count: number, setting?: PermessageDeflate.Options) =>
  Effect.map(
    peer.until(`${count} messages`, () => peer.frames.filter(({ fin, opcode }) => fin && opcode <= 2).length >= count),
    () => heard(peer, setting)
  )

class Reader {
  private readonly remembers: boolean
  private inflater = new ZlibCodec().inflater(15, true)
  private fragments: Array<Frames.Frame> = []

  constructor(remembers: boolean) {
    this.remembers = remembers
  }

  read(frame: Frames.Frame): Array<string> {
    if (frame.opcode > 2) return [Frames.describeFrame(frame)]
    this.fragments.push(frame)
    if (!frame.fin) return []
    const [first] = this.fragments
    const payload = Frames.concat(this.fragments.splice(0).map(({ payload }) => payload))
    if (first!.rsv === 0) return [Frames.describeFrame({ ...first!, payload })]
    return [`* ${Frames.describeFrame({ ...first!, payload: this.inflate(payload) })}`]
  }

  private inflate(payload: Uint8Array): Uint8Array {
    if (!this.remembers) this.inflater = new ZlibCodec().inflater(15, true)
    const bytes = Frames.concat([payload, tail])
    const inflated = this.inflater.inflate(bytes, 0, bytes.length, 2 ** 30, true)
    if (typeof inflated === "string") throw new Error(`what was sent is ${inflated}`)
    this.inflater.finish()
    return Frames.concat(inflated)
  }
}

/** RFC 7692 7.2.2: what the sender has taken away. */
const tail = Uint8Array.of(0, 0, 0xff, 0xff)
