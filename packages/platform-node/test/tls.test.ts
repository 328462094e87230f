import type { HandshakeReason } from "@effect-ws/api/HandshakeError"
import type { TransportInfo } from "@effect-ws/api/Transport"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as NodeWebSocketServer from "@effect-ws/platform-node/NodeWebSocketServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as Https from "node:https"
import * as Tls from "node:tls"
import { makeCertificate } from "./support/certificate.ts"
import { withoutLeaks } from "./support/leaks.ts"
import { close, connectUndici, connectWs, openWs, serveWs, text } from "./support/peers.ts"
import { masked, rawClient, rawServer, upgradeRequest } from "./support/rawPeer.ts"
import { connect, httpPort, serveEcho, serveSockets } from "./support/serving.ts"
import { event, turn } from "./support/sockets.ts"

const httpsServer = (options: Https.ServerOptions) =>
  Effect.acquireRelease(
    Effect.sync(() => Https.createServer(options)),
    (server) =>
      Effect.sync(() => {
        server.close()
        server.closeAllConnections()
      })
  ).pipe(Effect.tap((server) => event(server.listen(0, "127.0.0.1"), "listening")))

/** Our server with TLS for the names given; `url` is for `localhost`. */
const serveTls = (tls: Tls.TlsOptions & { readonly cert: string }) =>
  Effect.map(serveSockets(NodeWebSocketServer.layer({ tls })), (server) => ({
    ...server,
    url: `wss://localhost:${server.port}`
  }))

const transportErrorOf = (reason: HandshakeReason) => (reason._tag === "Transport" ? reason.error : undefined)

describe("TLS", () => {
  it.scopedLive("server with TLS serves ws, and knows the facts", () =>
    Effect.gen(function* () {
      const certificate = yield* makeCertificate(["localhost"])
      const server = yield* serveTls(certificate)
      const peer = yield* openWs(server.url, { ca: certificate.cert })
      const socket = yield* server.nextSocket
      assert.deepInclude(socket.info.tls, { protocol: "TLSv1.3", serverName: "localhost", authorized: false })
      assert.match(socket.info.tls?.cipher ?? "", /^TLS_/)
      peer.send("hello")
      assert.deepInclude(yield* socket.receive, { text: "hello" })
      const large = Buffer.alloc(1024 * 1024, "abc")
      yield* socket.send(large)
      const received = yield* peer.next
      assert.isTrue(received._tag === "Binary" && large.equals(received.bytes))
      peer.close(3000, "bye")
      assert.deepInclude(yield* Effect.flip(socket.receive), { received: { code: 3000, reason: "bye" } })
      assert.deepStrictEqual(yield* peer.next, close(3000))
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server with TLS serves undici", () =>
    Effect.gen(function* () {
      const certificate = yield* makeCertificate(["localhost"])
      const server = yield* serveTls(certificate)
      const peer = yield* connectUndici(server.url, { ca: certificate.cert })
      assert.strictEqual((yield* peer.next)._tag, "Open")
      const socket = yield* server.nextSocket
      yield* socket.send("hello")
      assert.deepStrictEqual(yield* peer.next, text("hello"))
    })
  )

  it.scopedLive("server that is attached to node:https serves ws and our client", () =>
    Effect.gen(function* () {
      const certificate = yield* makeCertificate(["localhost"])
      const https = yield* httpsServer(certificate)
      const server = yield* serveSockets(NodeWebSocketServer.layerAttached(https))
      const url = `wss://localhost:${httpPort(https)}`
      yield* openWs(url, { ca: certificate.cert })
      const first = yield* server.nextSocket
      assert.deepInclude(first.info.tls, { serverName: "localhost" })
      const socket = yield* connect(url, {}, { tls: { ca: certificate.cert } })
      const second = yield* server.nextSocket
      yield* socket.send("hello")
      assert.deepInclude(yield* second.receive, { text: "hello" })
      // Node's server agrees on HTTP/1.1 by ALPN, which our client offers.
      assert.deepInclude(second.info.tls, { alpnProtocol: "http/1.1" })
      const [end] = yield* Effect.zip(socket.close(), Effect.flip(second.receive), { concurrent: true })
      assert.isTrue(end.clean)
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server receives messages that come in one record with the request", () =>
    Effect.gen(function* () {
      const certificate = yield* makeCertificate(["localhost"])
      const server = yield* serveTls(certificate)
      const peer = yield* Effect.acquireRelease(
        Effect.sync(() => Tls.connect({ port: server.port, servername: "localhost", ca: certificate.cert })),
        (socket) => Effect.sync(() => socket.destroy())
      )
      peer.write(Buffer.concat([Buffer.from(upgradeRequest), masked(0x81, "early")]))
      const socket = yield* server.nextSocket
      assert.deepInclude(yield* socket.receive, { text: "early" })
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("client connects to ws with TLS, and knows the facts", () =>
    Effect.gen(function* () {
      const certificate = yield* makeCertificate(["localhost"])
      const https = yield* httpsServer({ ...certificate, ALPNProtocols: ["http/1.1"] })
      const server = yield* serveWs({ server: https }, "wss")
      const socket = yield* connect(`wss://localhost:${server.port}`, {}, { tls: { ca: certificate.cert } })
      const [peer, request] = yield* server.next
      assert.deepInclude(socket.info.tls, { protocol: "TLSv1.3", authorized: true, alpnProtocol: "http/1.1" })
      assert.strictEqual((request.socket as Tls.TLSSocket & { servername?: string }).servername, "localhost")
      yield* socket.send("hello")
      assert.deepStrictEqual(yield* peer.next, text("hello"))
      peer.send("hi")
      assert.deepInclude(yield* socket.receive, { text: "hi" })
      assert.isTrue((yield* socket.close()).clean)
      assert.deepStrictEqual(yield* peer.next, close(1000))
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("client and server of our own agree on TLS, by name and by address", () =>
    Effect.gen(function* () {
      const certificate = yield* makeCertificate(["localhost"], ["127.0.0.1"])
      const server = yield* serveTls(certificate)
      const infos: Array<readonly [client: TransportInfo, server: TransportInfo]> = []
      for (const url of [server.url, `wss://127.0.0.1:${server.port}`]) {
        const socket = yield* connect(url, {}, { tls: { ca: certificate.cert } })
        const accepted = yield* server.nextSocket
        yield* socket.send("hello")
        assert.deepInclude(yield* accepted.receive, { text: "hello" })
        yield* accepted.close({ code: 4000, reason: "" })
        assert.deepInclude(yield* socket.closed, { code: 4000 })
        infos.push([socket.info, accepted.info])
      }
      // RFC 6066 3: an address is never sent as the name.
      assert.deepStrictEqual(
        infos.map(([, { tls }]) => tls?.serverName),
        ["localhost", undefined]
      )
      assert.isTrue(infos.every(([{ tls }]) => tls?.authorized === true))
      assert.isTrue(infos.every(([client, accepted]) => client.tls?.cipher === accepted.tls?.cipher))
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("client shows a certificate of its own to a server that asks for one", () =>
    Effect.gen(function* () {
      const certificate = yield* makeCertificate(["localhost"])
      const own = yield* makeCertificate(["ann.test"])
      const server = yield* serveTls({ ...certificate, requestCert: true, rejectUnauthorized: true, ca: own.cert })
      yield* connect(server.url, {}, { tls: { ca: certificate.cert, ...own } })
      assert.deepInclude((yield* server.nextSocket).info.tls, { authorized: true })
      const refused = yield* Effect.flip(connect(server.url, {}, { tls: { ca: certificate.cert } }))
      assert.deepInclude(transportErrorOf(refused.reason), { operation: "tls" })
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("client chooses its server by name, where one address has several", () =>
    Effect.gen(function* () {
      const certificates = {
        "a.test": yield* makeCertificate(["a.test"]),
        "b.test": yield* makeCertificate(["b.test"])
      }
      const server = yield* serveTls({
        ...certificates["a.test"],
        SNICallback: (name, done) =>
          done(null, Tls.createSecureContext(certificates[name as keyof typeof certificates]))
      })
      for (const name of ["a.test", "b.test"] as const) {
        const tls = { ca: certificates[name].cert, servername: name }
        yield* connect(server.url, {}, { tls })
        assert.strictEqual((yield* server.nextSocket).info.tls?.serverName, name)
      }
    }).pipe(Effect.scoped, withoutLeaks)
  )
})

describe("TLS: no connection", () => {
  it.scopedLive("client fails in the operation tls when it doesn't know who signed the certificate", () =>
    Effect.gen(function* () {
      const certificate = yield* makeCertificate(["localhost"])
      const server = yield* serveTls(certificate)
      const error = yield* Effect.flip(connect(server.url))
      assert.deepInclude(error, { _tag: "HandshakeError", role: "client" })
      const transportError = transportErrorOf(error.reason)
      assert.deepInclude(transportError, { operation: "tls", address: `localhost:${server.port}` })
      assert.deepInclude(transportError?.cause, { code: "DEPTH_ZERO_SELF_SIGNED_CERT" })
      assert.match(error.message, /failed to agree on TLS with localhost:\d+: self-signed certificate/)
      yield* connect(server.url, {}, { tls: { rejectUnauthorized: false } })
      assert.isUndefined((yield* server.nextSocket).info.tls?.alpnProtocol)
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("client fails in the operation tls when the certificate is for another host", () =>
    Effect.gen(function* () {
      const certificate = yield* makeCertificate(["other.test"])
      const server = yield* serveTls(certificate)
      const error = yield* Effect.flip(connect(server.url, {}, { tls: { ca: certificate.cert } }))
      const transportError = transportErrorOf(error.reason)
      assert.deepInclude(transportError, { operation: "tls", address: `localhost:${server.port}` })
      assert.deepInclude(transportError?.cause, { code: "ERR_TLS_CERT_ALTNAME_INVALID" })
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("client fails in the operation tls when the server speaks none", () =>
    Effect.gen(function* () {
      const server = yield* serveEcho(NodeWebSocketServer.layer())
      const error = yield* Effect.flip(connect(`wss://127.0.0.1:${server.port}`))
      assert.deepInclude(transportErrorOf(error.reason), { operation: "tls", address: `127.0.0.1:${server.port}` })
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("client fails in the operation tls when its own material can't be used", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(connect("wss://127.0.0.1:9", {}, { tls: { cert: "x", key: "y" } }))
      assert.deepInclude(transportErrorOf(error.reason), { operation: "tls", address: "127.0.0.1:9" })
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("client that is interrupted while it agrees on TLS ends the transport", () =>
    Effect.gen(function* () {
      const server = yield* rawServer
      const connecting = yield* Effect.fork(Effect.scoped(connect(`wss://127.0.0.1:${server.port}`)))
      const peer = yield* server.next
      assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(connecting)))
      assert.include(["End", "Closed"], (yield* peer.next)._tag)
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scoped("client fails with a timeout when the server takes connections and doesn't agree on TLS", () =>
    Effect.gen(function* () {
      const server = yield* rawServer
      const connecting = yield* Effect.fork(Effect.flip(Effect.scoped(connect(`wss://127.0.0.1:${server.port}`))))
      const peer = yield* server.next
      yield* TestClock.adjust("9999 millis")
      yield* Effect.repeatN(turn, 10)
      assert.isNull(connecting.unsafePoll())
      yield* TestClock.adjust("501 millis")
      assert.deepInclude((yield* Fiber.join(connecting)).reason, { _tag: "Timeout", phase: "connect" })
      assert.include(["End", "Closed"], (yield* peer.next)._tag)
    })
  )

  it.scopedLive("server with TLS outlives clients that speak none, distrust it, or hang up", () =>
    Effect.gen(function* () {
      const certificate = yield* makeCertificate(["localhost"])
      const server = yield* serveTls(certificate)
      const plain = yield* rawClient({ port: server.port })
      plain.send(Buffer.from(upgradeRequest))
      assert.include(["End", "Closed"], (yield* plain.next)._tag)
      const distrustful = yield* connectWs(server.url)
      assert.strictEqual((yield* distrustful.next)._tag, "Error")
      const silent = yield* rawClient({ port: server.port })
      yield* event(silent.socket, "connect")
      silent.socket.resetAndDestroy()
      yield* openWs(server.url, { ca: certificate.cert })
      const socket = yield* server.nextSocket
      yield* WebSocket.run(socket, () => {}).pipe(Effect.fork)
      yield* socket.close()
    }).pipe(Effect.scoped, withoutLeaks)
  )
})
