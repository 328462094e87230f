/** A server in memory, the connections that ask it, and what it says byte for byte. */
import type { Incoming } from "@effect-ws/api/Listener"
import * as MemoryTransport from "@effect-ws/api/testing/MemoryTransport"
import type { UpgradeExchange } from "@effect-ws/api/UpgradeExchange"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as WebSocketServer from "@effect-ws/api/WebSocketServer"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { makeListener } from "./endpoints.ts"
import * as Frames from "./frames.ts"
import { settled } from "./leaks.ts"
import { sampleAccept, sampleKey } from "./Peer.ts"

export type Handler<R = Scope.Scope> = (exchange: UpgradeExchange) => Effect.Effect<unknown, unknown, R>

/** Accepts and sends every message back. */
export const echo: Handler = (exchange) =>
  Effect.flatMap(WebSocket.accept(exchange), (socket) => WebSocket.run(socket, (message) => socket.send(message)))

export interface ServeOptions<R> {
  readonly server?: WebSocketServer.Options | undefined
  readonly fallback?: WebSocketServer.RunOptions<R>["fallback"]
}

/** Serves in memory. What `onError` is told is collected. */
export const serve = <R = Scope.Scope, R2 = never>(handler: Handler<R>, options: ServeOptions<R2> = {}) =>
  Effect.gen(function* () {
    const listener = makeListener()
    const causes: Array<Cause.Cause<unknown>> = []
    const server = yield* WebSocketServer.make(listener, options.server)
    const onError = (cause: Cause.Cause<unknown>) => Effect.sync(() => void causes.push(cause))
    const running = yield* Effect.fork(server.run(handler, { onError, fallback: options.fallback }))
    yield* settled
    const lines: Array<Line> = []
    // A test that has failed would wait for its server, and that for peers who say nothing any more.
    yield* Effect.addFinalizer((exit) =>
      Effect.sync(() => Exit.isFailure(exit) && lines.forEach(({ pair }) => pair.server.destroy()))
    )
    const connect = (pair?: MemoryTransport.Options, read?: Partial<Omit<Incoming, "transport">>) =>
      Effect.map(listener.connect({ ...(pair === undefined ? {} : { pair }), ...read }), ({ pair }) => {
        const line = new Line(pair)
        lines.push(line)
        return line
      })
    return { causes, connect, counts: server.counts, listener, running, stop: Fiber.interrupt(running) }
  })

/** One connection as whoever asks sees it: bytes, and whether they end. It has no manners of its own. */
export class Line {
  readonly pair: MemoryTransport.Pair
  readonly wire: MemoryTransport.Wire

  constructor(pair: MemoryTransport.Pair) {
    this.pair = pair
    this.wire = MemoryTransport.wire(pair.client)
  }

  /** All that came so far. */
  get text(): string {
    return latin1(this.wire.received())
  }

  /** The first lines of the heads that came so far. */
  get statusLines(): ReadonlyArray<string> {
    return this.text.match(/^HTTP\/1\.1 [^\r\n]*/gm) ?? []
  }

  get isOpen(): boolean {
    return this.pair.server.ledger.isOpen
  }

  /** Sends in one chunk, and lets the server do all that it can. */
  ask(...parts: ReadonlyArray<string | Uint8Array>): Effect.Effect<void> {
    const bytes = Frames.concat(parts.map((part) => (typeof part === "string" ? Frames.utf8(part) : part)))
    return Effect.zipRight(
      Effect.sync(() => this.wire.send(bytes)),
      settled
    )
  }

  /** Ends its half, and waits for the end of both. */
  readonly hangUp: Effect.Effect<void> = Effect.suspend(() => {
    this.wire.end()
    return Effect.asVoid(this.wire.awaitClosed)
  })
}

/** Each byte as the character of its number. */
export const latin1 = (bytes: Uint8Array): string => Array.from(bytes, (byte) => String.fromCharCode(byte)).join("")

/** A head with the empty line behind it. */
export const head = (...lines: ReadonlyArray<string>): string => `${lines.join("\r\n")}\r\n\r\n`

/** The head of a request that is correct but for the fields given; an empty value leaves one out. */
export const request = (changes: Readonly<Record<string, string>> = {}, line = "GET /chat?room=1 HTTP/1.1"): string => {
  const fields = {
    Host: "server.example.com",
    Upgrade: "websocket",
    Connection: "Upgrade",
    "Sec-WebSocket-Key": sampleKey,
    "Sec-WebSocket-Version": "13",
    ...changes
  }
  const lines = Object.entries(fields).filter(([, value]) => value !== "")
  return head(line, ...lines.map(([name, value]) => `${name}: ${value}`))
}

/** The same request, which wants the connection to end behind the answer. */
export const closing = (request: string): string => `${request.slice(0, -2)}Connection: close\r\n\r\n`

/** The head that accepts a request. */
export const accepted = (...fields: ReadonlyArray<string>): string =>
  head(
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Accept: ${sampleAccept}`,
    ...fields
  )

/** An answer of the server itself, with a line of text. */
export const refused = (status: string, text: string, ...fields: ReadonlyArray<string>): string =>
  `${refusedHead(status, text, ...fields)}${text}\n`

/** The same answer to a `HEAD`. */
export const refusedHead = (status: string, text: string, ...fields: ReadonlyArray<string>): string => {
  const connection = fields.filter((field) => field.startsWith("Connection: "))
  return head(
    `HTTP/1.1 ${status}`,
    ...fields.filter((field) => !connection.includes(field)),
    "Server: effect-ws",
    "Content-Type: text/plain; charset=utf-8",
    `Content-Length: ${text.length + 1}`,
    ...connection
  )
}

/** The answer to a request that asks for no upgrade. */
export const upgradeRequired = (text: string, connection = "Upgrade"): string =>
  refused("426 Upgrade Required", text, "Upgrade: websocket", "Sec-WebSocket-Version: 13", `Connection: ${connection}`)

export const internalError = (...fields: ReadonlyArray<string>): string =>
  refused("500 Internal Server Error", "the request could not be answered", ...fields)

export const unavailable = (...fields: ReadonlyArray<string>): string =>
  refused("503 Service Unavailable", "the server can't take the connection now", ...fields)
