/** WebSockets inside the TCP sockets of @effect/platform, which know nothing of WebSocket: over the socket, and over its channel. */
import * as ChannelTransport from "@effect-ws/api/ChannelTransport"
import * as SocketTransport from "@effect-ws/api/SocketTransport"
import type { Transport } from "@effect-ws/api/Transport"
import * as WebSocket from "@effect-ws/api/WebSocket"
import type { WebSocketError } from "@effect-ws/api/WebSocketError"
import * as NodeTransport from "@effect-ws/platform-node/NodeTransport"
import * as NodeSocket from "@effect/platform-node/NodeSocket"
import * as NodeSocketServer from "@effect/platform-node/NodeSocketServer"
import * as Socket from "@effect/platform/Socket"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Net from "node:net"
import { withoutLeaks } from "./support/leaks.ts"
import { serveWs, text } from "./support/peers.ts"
import { event, recordOn, turn, until } from "./support/sockets.ts"

type Over = (socket: Socket.Socket) => Effect.Effect<Transport, never, Scope.Scope>

const kinds: Readonly<Record<string, Over>> = {
  SocketTransport: (socket) => SocketTransport.make(socket),
  ChannelTransport: (socket) => ChannelTransport.make(Socket.toChannelWith<never>()(socket))
}

/** Listens until the scope closes. Returns the port. */
const serve = <A, E>(handler: (socket: Socket.Socket) => Effect.Effect<A, E, Scope.Scope>) =>
  Effect.gen(function* () {
    const server = yield* NodeSocketServer.make({ port: 0, host: "127.0.0.1" })
    yield* Effect.forkScoped(server.run((socket) => Effect.scoped(handler(socket))))
    return server.address._tag === "TcpAddress" ? server.address.port : 0
  })

// It is there in every handler of a server, though the types don't say so.
const netSocket = Effect.map(Effect.context<never>(), (context) => Context.unsafeGet(context, NodeSocket.NetSocket))

const connect = (over: Over, port: number) =>
  Effect.gen(function* () {
    const transport = yield* over(yield* NodeSocket.makeNet({ port, host: "127.0.0.1" }))
    return yield* WebSocket.handshake(transport, { host: `127.0.0.1:${port}` })
  })

const echo = (socket: WebSocket.WebSocket) => WebSocket.run(socket, (message) => socket.send(message))

const live = (title: string, scenario: Effect.Effect<void, unknown, Scope.Scope>) =>
  it.live(title, () => withoutLeaks(Effect.scoped(scenario)))

const large = Uint8Array.from({ length: 4 * 1024 * 1024 }, (_, i) => (i * 31 + (i >> 8) * 7 + (i >> 16) * 13) & 0xff)

/** A server that never reads. Returns the port. */
const silentServer = Effect.gen(function* () {
  const accepted: Array<Net.Socket> = []
  const server = Net.createServer({ pauseOnConnect: true }, (socket) => accepted.push(socket))
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      server.close()
      for (const socket of accepted) socket.destroy()
    })
  )
  server.listen(0, "127.0.0.1")
  yield* event(server, "listening")
  return (server.address() as Net.AddressInfo).port
})

const countSockets = () => process.getActiveResourcesInfo().filter((name) => name === "TCPSocketWrap").length

/** A server that reads nothing until it is told to, and what it has then read. */
const reluctant = (over: Over) =>
  Effect.gen(function* () {
    const start = yield* Deferred.make<void>()
    const end = yield* Deferred.make<WebSocketError>()
    const sockets: Array<WebSocket.WebSocket> = []
    const received: Array<number> = []
    const port = yield* serve((socket) =>
      Effect.gen(function* () {
        const far = yield* WebSocket.acceptTransport(yield* over(socket), { inboxHighWaterMark: 1 })
        sockets.push(far)
        yield* Deferred.await(start)
        yield* Effect.ignore(WebSocket.run(far, (message) => void received.push(message.byteLength)))
        yield* Deferred.succeed(end, yield* far.closed)
      })
    )
    return { port, start: Deferred.succeed(start, undefined), end: Deferred.await(end), sockets, received }
  })

describe.each(Object.entries(kinds))("WebSocket inside a TCP socket of @effect/platform, over a %s", (_kind, over) => {
  live(
    "client and server echo texts and 4 MiB, and close cleanly",
    Effect.gen(function* () {
      const ended = yield* Deferred.make<WebSocketError>()
      const port = yield* serve((socket) =>
        Effect.gen(function* () {
          const far = yield* WebSocket.acceptTransport(yield* over(socket))
          yield* echo(far)
          yield* Deferred.succeed(ended, yield* far.closed)
        })
      )
      const near = yield* connect(over, port)
      const texts = Array.from({ length: 1000 }, (_, i) => `${i}`)
      yield* Effect.fork(Effect.forEach([...texts, large], (data) => near.send(data), { discard: true }))
      for (const text of texts) assert.deepInclude(yield* near.receive, { _tag: "Text", text })
      const { bytes } = yield* near.receive
      assert.strictEqual(Buffer.compare(bytes, large), 0)
      assert.deepInclude(yield* near.close(), { clean: true, initiator: "local" })
      assert.deepInclude(yield* Deferred.await(ended), { clean: true, initiator: "peer" })
    })
  )

  live(
    "server notices that the client is lost, and the client that the server is",
    Effect.gen(function* () {
      const ended = yield* Deferred.make<WebSocketError>()
      let count = 0
      const port = yield* serve((socket) =>
        Effect.gen(function* () {
          const far = yield* WebSocket.acceptTransport(yield* over(socket))
          if (count++ === 0) yield* Deferred.succeed(ended, yield* far.closed)
          else yield* Effect.zipRight(far.receive, far.destroy)
        })
      )
      const first = yield* connect(over, port)
      yield* first.destroy
      assert.deepInclude(yield* Deferred.await(ended), { clean: false, initiator: "peer", code: 1006 })
      const second = yield* connect(over, port)
      yield* second.send("go")
      assert.deepInclude(yield* Effect.flip(second.receive), { clean: false, initiator: "peer", code: 1006 })
    })
  )

  live(
    "server that refuses answers before its scope ends the socket",
    Effect.gen(function* () {
      const port = yield* serve((socket) =>
        Effect.flatMap(over(socket), (transport) => WebSocket.acceptTransport(transport, { origin: () => false }))
      )
      const near = Effect.flatMap(Effect.flatMap(NodeSocket.makeNet({ port, host: "127.0.0.1" }), over), (transport) =>
        WebSocket.handshake(transport, { host: "localhost", origin: "https://example.org" })
      )
      const error = yield* Effect.flip(Effect.scoped(near))
      assert.deepInclude(error.reason, { _tag: "Declined", status: 403 })
    })
  )

  live(
    "client is told why there is no connection",
    Effect.gen(function* () {
      const port = yield* Effect.scoped(serve(() => Effect.void))
      const error = yield* Effect.flip(connect(over, port))
      assert.strictEqual(error._tag, "HandshakeError")
      const reason = error._tag === "HandshakeError" ? error.reason : undefined
      assert.strictEqual(reason?._tag, "Transport")
      const cause = reason?._tag === "Transport" ? reason.error.cause : undefined
      assert.include(JSON.stringify(cause) + String(cause), "ECONNREFUSED")
    })
  )

  live(
    "client talks to a server of ws",
    Effect.gen(function* () {
      const server = yield* serveWs()
      const near = yield* connect(over, server.port)
      const [peer] = yield* server.next
      yield* near.send("Grüße")
      assert.deepStrictEqual(yield* peer.next, text("Grüße"))
      peer.send(Uint8Array.of(1, 2))
      assert.deepInclude(yield* near.receive, { _tag: "Binary", bytes: Uint8Array.of(1, 2) })
      yield* Effect.fork(near.receive)
      assert.deepInclude(yield* near.close(), { clean: true })
    })
  )

  live(
    "server that doesn't read for a while loses nothing",
    Effect.gen(function* () {
      const { end, port, received, sockets, start } = yield* reluctant(over)
      const near = yield* connect(over, port)
      const pieces = Array.from({ length: 100 }, (_, i) => large.subarray(0, 100_000 + i))
      const sending = yield* Effect.fork(Effect.forEach(pieces, (piece) => near.send(piece), { discard: true }))
      yield* until(() => sockets.length > 0 && Effect.runSync(sockets[0]!.status).isPaused)
      yield* start
      yield* Fiber.join(sending)
      yield* near.close()
      assert.deepInclude(yield* end, { clean: true })
      assert.deepStrictEqual(
        received,
        pieces.map(({ length }) => length)
      )
    })
  )
})

describe("SocketTransport over a TCP socket of @effect/platform", () => {
  live(
    "server that doesn't read loses the connection, and no memory, when more comes than may be held",
    Effect.gen(function* () {
      const over: Over = (socket) => SocketTransport.make(socket, { maxHeldSize: 1024 * 1024 })
      const { end, port, received, start } = yield* reluctant(over)
      const near = yield* connect(kinds["SocketTransport"]!, port)
      const flooding = yield* Effect.flip(Effect.forever(near.send(new Uint8Array(50_000))))
      assert.strictEqual(
        flooding._tag === "ConnectionClosed" || flooding._tag === "TransportError",
        true,
        flooding._tag
      )
      yield* start
      const error = yield* end
      assert.strictEqual(error._tag, "TransportError")
      assert.include(error.message, "More than 1048576 bytes came from a socket that can't be held up")
      // What was held is still received.
      const size = received.reduce((sum, length) => sum + length, 0)
      assert.isAbove(size, 500_000)
      assert.isBelow(size, 2 * 1024 * 1024)
    })
  )

  live(
    "client that destroys the transport is rid of the socket, though the peer reads nothing",
    Effect.gen(function* () {
      const port = yield* silentServer
      const transport = yield* SocketTransport.make(yield* NodeSocket.makeNet({ port, host: "127.0.0.1" }))
      const events = recordOn(transport)
      transport.write([new Uint8Array(64 * 1024 * 1024)])
      for (let last = -1, still = 0; still < 100; still = transport.writable === last ? still + 1 : 0) {
        last = transport.writable
        yield* turn
      }
      assert.isAbove(transport.writable, 0)
      const before = countSockets()
      transport.destroy()
      yield* until(() => countSockets() === before - 1)
      assert.deepStrictEqual(events, ["closed"])
    })
  )
})

describe("NodeTransport over the net.Socket of a TCP socket of @effect/platform", () => {
  live(
    "server that doesn't read slows the client",
    Effect.gen(function* () {
      const over: Over = () => Effect.map(netSocket, (socket) => NodeTransport.make(socket))
      const { end, port, received, sockets, start } = yield* reluctant(over)
      const near = yield* connect(kinds["SocketTransport"]!, port)
      let sent = 0
      const send = Effect.map(near.send(large), () => sent++)
      const sending = yield* Effect.fork(Effect.repeatN(send, 19))
      yield* until(() => sockets.length > 0 && Effect.runSync(sockets[0]!.status).isPaused)
      for (let last = -1, still = 0; still < 100; still = sent === last ? still + 1 : 0, last = sent) yield* turn
      assert.isBelow(sent, 20)
      yield* start
      yield* Fiber.join(sending)
      yield* near.close()
      assert.deepInclude(yield* end, { clean: true })
      assert.deepStrictEqual(
        received,
        Array.from({ length: 20 }, () => large.length)
      )
    })
  )
})
