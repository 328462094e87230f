/** Opening handshakes of a client whose bytes are known: fixed keys, and a server that answers with the bytes it is given. */
import { Entropy, type EntropySource } from "@effect-ws/api/Entropy"
import type { HandshakeError } from "@effect-ws/api/HandshakeError"
import type * as MemoryTransport from "@effect-ws/api/testing/MemoryTransport"
import type { Transport, TransportSink } from "@effect-ws/api/Transport"
import type { HandshakeOptions } from "@effect-ws/api/ConnectOptions"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { makePair } from "./leaks.ts"
import { Peer } from "./Peer.ts"

/** The keys that a client makes of bytes that count up from 0, and their accept values (RFC 6455 4.2.2 item 5.4). */
export const keys = ["AAECAwQFBgcICQoLDA0ODw==", "EBESExQVFhcYGRobHB0eHw==", "ICEiIyQlJicoKSorLC0uLw=="] as const
export const accepts = [
  "Bz3qJYTGdOe8gUSpLosEdiLKDrk=",
  "cW0HMpChSOllUrDZnf5AIF3ENuY=",
  "FIFIgcsSRqrp/jAv5982Osj15qk="
] as const

/** Bytes that count up from 0: the same in every run, and no two keys alike. */
export const countingUp = (): EntropySource => {
  let next = 0
  return {
    fill: (bytes) => {
      for (let i = 0; i < bytes.length; i++) bytes[i] = next++
    }
  }
}

export const host = "server.example.com"

/** The head of the request with the given key, up to the empty line. */
export const requestHead = (key: string, ...fields: ReadonlyArray<string>): string =>
  [
    "GET / HTTP/1.1",
    `Host: ${host}`,
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Key: ${key}`,
    "Sec-WebSocket-Version: 13",
    ...fields
  ].join("\r\n")

/** Lines of an answer, with CRLF behind each. The body, if there is one, comes behind an empty line. */
export const lines = (...texts: ReadonlyArray<string>): string => texts.map((text) => `${text}\r\n`).join("")

/** An answer that accepts the request with the first key, or another one. */
export const accepted = (...fields: ReadonlyArray<string>): string => acceptedFor(accepts[0], ...fields)

export const acceptedFor = (accept: string, ...fields: ReadonlyArray<string>): string =>
  lines(
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Accept: ${accept}`,
    ...fields,
    ""
  )

/** One character for each byte. */
export const bytesOf = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0))

export const textOf = (bytes: Uint8Array): string => Array.from(bytes, (byte) => String.fromCharCode(byte)).join("")

/** The bytes in one piece, in pieces of one byte, and in two pieces in every way. */
export const everySplit = (bytes: Uint8Array): Array<ReadonlyArray<Uint8Array>> => [
  [bytes],
  Array.from(bytes, (byte) => Uint8Array.of(byte)),
  ...Array.from(bytes.subarray(1), (_, i) => [bytes.slice(0, i + 1), bytes.slice(i + 1)])
]

/** The bytes up to every offset before the end. */
export const everyPrefix = (bytes: Uint8Array): Array<Uint8Array> =>
  Array.from(bytes, (_, length) => bytes.slice(0, length))

/** A server that was asked, and the client that asks it. */
export interface Asked {
  readonly pair: MemoryTransport.Pair
  readonly peer: Peer
}

export type Options = Omit<HandshakeOptions, "host"> & { readonly target?: string | undefined }

/** The opening handshake of a client with keys that are known, on a transport that may have carried one before. */
export const handshake = (
  transport: MemoryTransport.MemoryTransport,
  options: Options = {},
  entropy: EntropySource = countingUp()
): Effect.Effect<WebSocket.WebSocket, HandshakeError, Scope.Scope> =>
  Effect.provideService(WebSocket.handshake(transport, { host, ...options }), Entropy, entropy)

/** A pair of transports, and a server on it that waits for a request. */
export const makeServer = (options: MemoryTransport.Options = {}): Effect.Effect<Asked> =>
  Effect.map(makePair(options), (pair) => ({ pair, peer: new Peer(pair.server, "server") }))

/** Waits for the request, and answers with the pieces; each is a chunk of its own, and comes in a turn of its own if told so. */
export const answer = (
  peer: Peer,
  pieces: ReadonlyArray<Uint8Array>,
  options: { readonly slowly?: boolean } = {}
): Effect.Effect<void> =>
  Effect.gen(function* () {
    yield* peer.awaitHead
    for (const piece of pieces) {
      peer.send(piece)
      if (options.slowly === true) yield* Effect.yieldNow()
    }
  })

/** What a client says of a handshake that failed, with the body as text. */
export const describeError = ({ answer, reason, reusable, role }: HandshakeError): object => ({
  role,
  answer,
  reusable,
  reason: reason._tag === "Declined" ? { ...reason, body: textOf(reason.body) } : reason
})

/** What a client says of an answer that declines. */
export const declined = (
  status: number,
  headers: ReadonlyArray<readonly [string, string]>,
  body: string,
  { isComplete = true, reusable = false }: { readonly isComplete?: boolean; readonly reusable?: boolean } = {}
): object => ({
  role: "client",
  answer: undefined,
  reusable,
  reason: { _tag: "Declined", status, headers, body, isComplete }
})

/** What a client says when it fails for the reason, and there is nothing to go on with. */
export const failedFor = (reason: object): object => ({ role: "client", answer: undefined, reusable: false, reason })

/** A server that reads nothing: when it goes, the client sees a reset, since what it sent was never taken. */
export const makeDeaf = (options: MemoryTransport.Options = {}): Effect.Effect<Asked> =>
  Effect.map(makeServer(options), (asked) => {
    asked.peer.transport.pause()
    return asked
  })

/** A server that answers one request after the other; the last answer accepts, and what follows is for the peer. */
export class Script implements TransportSink {
  /** The heads of the requests, up to the empty line. */
  readonly heads: Array<string> = []
  /** The server of the connection, once there is one. */
  peer: Peer | undefined = undefined
  private readonly transport: Transport
  private readonly answers: ReadonlyArray<string>
  private text = ""

  constructor(transport: Transport, answers: ReadonlyArray<string>) {
    this.transport = transport
    this.answers = answers
    transport.start(this)
  }

  chunk(bytes: Uint8Array): void {
    this.text += textOf(bytes)
    const end = this.text.indexOf("\r\n\r\n")
    if (end !== -1) this.answer(this.text.slice(0, end))
  }

  end(): void {
    this.transport.end()
  }

  drained(): void {}

  closed(): void {}

  private answer(head: string): void {
    const text = this.answers[this.heads.length]!
    this.heads.push(head)
    this.text = ""
    if (text.startsWith("HTTP/1.1 101 ")) {
      this.peer = new Peer(this.transport, "server")
      this.peer.head = head
    }
    this.transport.write([bytesOf(text)])
  }
}
