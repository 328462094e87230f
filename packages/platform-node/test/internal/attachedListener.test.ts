import type { Incoming } from "@effect-ws/api/Listener"
import * as MemoryTransport from "@effect-ws/api/testing/MemoryTransport"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Http from "node:http"
import * as Https from "node:https"
import * as Net from "node:net"
import * as Tls from "node:tls"
import * as NodeTransport from "@effect-ws/platform-node/NodeTransport"
import * as AttachedListener from "../../src/internal/attachedListener.ts"
import { makeCertificate } from "../support/certificate.ts"
import { bytes, event, leavesNothing, turn, until } from "../support/sockets.ts"

const release = (server: Http.Server) =>
  Effect.sync(() => {
    server.close()
    server.closeAllConnections()
  })

const httpServer = Effect.acquireRelease(
  Effect.sync(() => Http.createServer((_, response) => response.end("page"))),
  release
)

const listening = Effect.tap(httpServer, (server) => {
  server.listen(0, "127.0.0.1")
  return event(server, "listening")
})

const portOf = (server: Http.Server) => (server.address() as Net.AddressInfo).port

const connectTo = (server: Http.Server) =>
  Effect.acquireRelease(
    Effect.sync(() => Net.connect(portOf(server), "127.0.0.1")),
    (socket) => Effect.sync(() => socket.destroy())
  )

/** Answers with this and no longer with the page. */
const answerWith = (server: Http.Server, answer: Http.RequestListener) => {
  server.off("request", server.listeners("request").at(-1) as Http.RequestListener)
  server.on("request", answer)
}

const textOf = (wire: MemoryTransport.Wire) => Buffer.from(wire.received()).toString("latin1")

const upgradeTo = (protocol: string) =>
  `GET /chat?a=1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\nX-A: 1\r\nX-A: \xe9\r\n\r\n`

describe("attachedListener", () => {
  it.scoped("listener takes upgrades with their head and the bytes behind it; other requests stay the server's", () =>
    Effect.gen(function* () {
      const server = yield* listening
      const listener = yield* AttachedListener.make(server)
      assert.deepStrictEqual(listener.address, { _tag: "TcpAddress", hostname: "127.0.0.1", port: portOf(server) })
      const incoming: Array<Incoming> = []
      listener.start((one) => incoming.push(one))
      const socket = yield* connectTo(server)
      socket.write(Buffer.concat([Buffer.from(upgradeTo("websocket"), "latin1"), bytes(1, 2)]))
      yield* until(() => incoming.length === 1)
      const { leftover, request, transport } = incoming[0]!
      assert.deepStrictEqual<unknown>(request, {
        _tag: "RequestHead",
        method: "GET",
        target: "/chat?a=1",
        version: "1.1",
        fields: [
          ["Host", "x"],
          ["Connection", "Upgrade"],
          ["Upgrade", "websocket"],
          ["X-A", "1"],
          ["X-A", "\xe9"]
        ]
      })
      assert.deepStrictEqual(leftover, bytes(1, 2))
      assert.strictEqual(leftover?.buffer.byteLength, 2)
      const wire = MemoryTransport.wire(transport)
      socket.write(bytes(3))
      assert.deepStrictEqual(yield* wire.awaitBytes(1), bytes(3))
      wire.destroy()
      const page = yield* connectTo(server)
      const answer = MemoryTransport.wire(NodeTransport.make(page))
      page.write("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
      yield* answer.awaitEnd
      assert.match(Buffer.from(answer.received()).toString(), /^HTTP\/1\.1 200 OK[^]*page/)
    }).pipe(Effect.scoped, leavesNothing)
  )

  it.scoped("listener holds upgrades until it is started, and survives their reset", () =>
    Effect.gen(function* () {
      const server = yield* listening
      const listener = yield* AttachedListener.make(server)
      server.setTimeout(60_000)
      const [reset, live] = [yield* connectTo(server), yield* connectTo(server)]
      reset.write(upgradeTo("websocket"))
      const upgraded = yield* upgradedSocket(server)
      reset.resetAndDestroy()
      yield* event(upgraded, "close")
      live.write(upgradeTo("websocket"))
      assert.strictEqual((yield* upgradedSocket(server)).timeout, 0)
      const incoming: Array<Incoming> = []
      listener.start((one) => incoming.push(one))
      yield* until(() => incoming.length === 2)
      assert.strictEqual((yield* MemoryTransport.wire(incoming[0]!.transport).awaitClosed)?.operation, "read")
      assert.isUndefined(incoming[1]!.leftover)
      incoming[1]!.transport.destroy()
    }).pipe(Effect.scoped, leavesNothing)
  )

  it.scoped("listener leaves upgrades to other protocols to other listeners", () =>
    Effect.gen(function* () {
      const server = yield* listening
      const listener = yield* AttachedListener.make(server)
      const incoming: Array<Incoming> = []
      listener.start((one) => incoming.push(one))
      const others: Array<string | undefined> = []
      server.on("upgrade", (request: Http.IncomingMessage, socket: Net.Socket) => {
        others.push(request.headers.upgrade)
        if (request.headers.upgrade === "h2c") socket.destroy()
      })
      const [other, ours] = [yield* connectTo(server), yield* connectTo(server)]
      other.write(upgradeTo("h2c"))
      ours.write(upgradeTo("h2c, WebSocket"))
      yield* until(() => others.length === 2 && incoming.length === 1)
      const { fields } = incoming[0]!.request!
      assert.deepStrictEqual(fields.find(([name]) => name === "Upgrade")?.[1], "h2c, WebSocket")
      incoming[0]!.transport.destroy()
    }).pipe(Effect.scoped, leavesNothing)
  )

  it.scoped("listener gives upgrades to other protocols back to the server where nobody else takes them", () =>
    Effect.gen(function* () {
      const server = yield* listening
      const listener = yield* AttachedListener.make(server)
      const incoming: Array<Incoming> = []
      listener.start((one) => incoming.push(one))
      const seen: Array<unknown> = []
      answerWith(server, (request, response) => {
        let body = ""
        request.setEncoding("latin1")
        request.on("data", (text: string) => (body += text))
        request.on("end", () => {
          seen.push([request.method, request.url, request.headersDistinct["x-a"], request.headers.upgrade, body])
          response.end(`page ${seen.length}`)
        })
      })
      const socket = yield* connectTo(server)
      const answer = MemoryTransport.wire(NodeTransport.make(socket))
      socket.write(Buffer.from(upgradeTo("h2c"), "latin1"))
      yield* until(() => textOf(answer).endsWith("page 1"))
      const posted = upgradeTo("h2c").replace("GET", "POST").replace("X-A: 1", "Content-Length: 5")
      // The connection goes on as if nobody had asked for an upgrade, and the body is read as one.
      socket.write(Buffer.from(`${posted}hel`, "latin1"))
      socket.write("loGET /next HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
      yield* answer.awaitEnd
      assert.deepStrictEqual(seen, [
        ["GET", "/chat?a=1", ["1", "\xe9"], undefined, ""],
        ["POST", "/chat?a=1", ["\xe9"], undefined, "hello"],
        ["GET", "/next", undefined, undefined, ""]
      ])
      assert.match(textOf(answer), /^HTTP\/1\.1 200 OK[^]*page 1HTTP\/1\.1 200 OK[^]*page 2HTTP[^]*page 3$/)
      assert.strictEqual(incoming.length, 0)
    }).pipe(Effect.scoped, leavesNothing)
  )

  it.scoped("RFC 9110 7.8: listener gives an upgrade in HTTP/1.0, where it means nothing, back to the server", () =>
    Effect.gen(function* () {
      const server = yield* listening
      yield* AttachedListener.make(server)
      const socket = yield* connectTo(server)
      const answer = MemoryTransport.wire(NodeTransport.make(socket))
      socket.write(Buffer.from(upgradeTo("websocket").replace("HTTP/1.1", "HTTP/1.0"), "latin1"))
      yield* answer.awaitEnd
      assert.match(textOf(answer), /^HTTP\/1\.1 200 OK[^]*page$/)
    }).pipe(Effect.scoped, leavesNothing)
  )

  for (const protocol of ["websocket", "h2c"]) {
    it.scoped(
      `RFC 9112 9.3.2: listener drops an upgrade to ${protocol} that overtakes the answer to another request`,
      () =>
        Effect.gen(function* () {
          const server = yield* listening
          const listener = yield* AttachedListener.make(server)
          const incoming: Array<Incoming> = []
          listener.start((one) => incoming.push(one))
          const responses: Array<Http.ServerResponse> = []
          answerWith(server, (_, response) => responses.push(response))
          const socket = yield* connectTo(server)
          const answer = MemoryTransport.wire(NodeTransport.make(socket))
          socket.write(Buffer.from(`GET /slow HTTP/1.1\r\nHost: x\r\n\r\n${upgradeTo(protocol)}`, "latin1"))
          yield* answer.awaitEnd
          responses[0]!.end("late")
          assert.deepStrictEqual([textOf(answer), incoming.length, responses.length], ["", 0, 1])
        }).pipe(Effect.scoped, leavesNothing)
    )
  }

  it.scoped("listener drops an upgrade behind an answer that waits for its turn, though it is complete", () =>
    Effect.gen(function* () {
      const server = yield* listening
      const listener = yield* AttachedListener.make(server)
      const incoming: Array<Incoming> = []
      listener.start((one) => incoming.push(one))
      const socket = yield* connectTo(server)
      const answer = MemoryTransport.wire(NodeTransport.make(socket))
      const page = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
      socket.write(page + page + upgradeTo("websocket"))
      yield* answer.awaitEnd
      assert.strictEqual(incoming.length, 0)
    }).pipe(Effect.scoped, leavesNothing)
  )

  it.scoped("listener takes an upgrade behind answers that have gone out on the same connection", () =>
    Effect.gen(function* () {
      const server = yield* listening
      const listener = yield* AttachedListener.make(server)
      const incoming: Array<Incoming> = []
      listener.start((one) => incoming.push(one))
      const socket = yield* connectTo(server)
      const answer = MemoryTransport.wire(NodeTransport.make(socket))
      for (const page of [1, 2]) {
        socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        yield* until(() => textOf(answer).split("page").length === page + 1)
      }
      // One that is answered at once may come in the same chunk.
      socket.write(`GET / HTTP/1.1\r\nHost: x\r\n\r\n${upgradeTo("websocket")}`)
      yield* until(() => incoming.length === 1)
      incoming[0]!.transport.destroy()
    }).pipe(Effect.scoped, leavesNothing)
  )

  it.scoped("listener that is released leaves the server as it was, and destroys what nobody was handed", () =>
    Effect.gen(function* () {
      const server = yield* listening
      const scope = yield* Scope.make()
      yield* Scope.extend(AttachedListener.make(server), scope)
      const socket = yield* connectTo(server)
      socket.write(upgradeTo("websocket"))
      yield* upgradedSocket(server)
      yield* Scope.close(scope, Exit.void)
      socket.resume()
      yield* event(socket, "close")
      assert.strictEqual(server.listenerCount("upgrade"), 0)
      assert.strictEqual(server.listenerCount("error"), 0)
      assert.strictEqual(server.listenerCount("request"), 1)
      assert.isTrue(server.listening)
    }).pipe(Effect.scoped, leavesNothing)
  )

  it.scoped("listener waits until the server listens, and reports why it can't", () =>
    Effect.gen(function* () {
      const taken = yield* listening
      const server = yield* httpServer
      const waiting = yield* Effect.fork(Effect.flip(AttachedListener.make(server)))
      yield* turn
      server.listen(portOf(taken), "127.0.0.1")
      const error = yield* Fiber.join(waiting)
      assert.strictEqual(error.message, `Port ${portOf(taken)} of 127.0.0.1 is already in use`)
      const next = yield* Effect.fork(AttachedListener.make(server))
      yield* turn
      server.listen(0, "127.0.0.1")
      assert.strictEqual((yield* Fiber.join(next)).address._tag, "TcpAddress")
      assert.deepStrictEqual([server.listenerCount("error"), server.listenerCount("upgrade")], [0, 1])
    }).pipe(Effect.scoped, leavesNothing)
  )

  it.scoped("listener that is interrupted while it waits leaves no listener on the server", () =>
    Effect.gen(function* () {
      const server = yield* httpServer
      const before = [server.listenerCount("listening"), server.listenerCount("error"), server.listenerCount("upgrade")]
      const waiting = yield* Effect.fork(AttachedListener.make(server))
      yield* turn
      yield* Fiber.interrupt(waiting)
      const after = [server.listenerCount("listening"), server.listenerCount("error"), server.listenerCount("upgrade")]
      assert.deepStrictEqual(after, before)
    }).pipe(Effect.scoped)
  )

  it.scoped("listener takes the upgrades of an HTTPS server, with the facts of TLS", () =>
    Effect.gen(function* () {
      const certificate = yield* makeCertificate(["localhost"])
      const server = yield* Effect.acquireRelease(
        Effect.sync(() => Https.createServer(certificate)),
        release
      )
      server.listen(0, "127.0.0.1")
      yield* event(server, "listening")
      const listener = yield* AttachedListener.make(server)
      const incoming: Array<Incoming> = []
      listener.start((one) => incoming.push(one))
      const socket = Tls.connect({
        port: portOf(server),
        host: "127.0.0.1",
        ca: certificate.cert,
        servername: "localhost"
      })
      socket.write(upgradeTo("websocket"))
      yield* until(() => incoming.length === 1)
      assert.strictEqual(incoming[0]!.transport.info.tls?.serverName, "localhost")
      server.on("request", (_, response) => response.end("secure page"))
      const other = Tls.connect({
        port: portOf(server),
        host: "127.0.0.1",
        ca: certificate.cert,
        servername: "localhost"
      })
      const answer = MemoryTransport.wire(NodeTransport.make(other))
      other.write(upgradeTo("h2c"))
      yield* until(() => textOf(answer).endsWith("secure page"))
      other.destroy()
      incoming[0]!.transport.destroy()
      socket.destroy()
    }).pipe(Effect.scoped, leavesNothing)
  )
})

/** The server's socket of the next upgrade. */
const upgradedSocket = (server: Http.Server) =>
  Effect.async<Net.Socket>((resume) => {
    server.once("upgrade", (_: unknown, socket: Net.Socket) => resume(Effect.succeed(socket)))
  })
