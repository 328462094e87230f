import * as MemoryTransport from "@effect-ws/api/testing/MemoryTransport"
import type { WebSocket } from "@effect-ws/api/WebSocket"
import * as NodeTransport from "@effect-ws/platform-node/NodeTransport"
import * as NodeWebSocketServer from "@effect-ws/platform-node/NodeWebSocketServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Net from "node:net"
import { Duplex } from "node:stream"
import * as Tls from "node:tls"
import { detect } from "../src/internal/tlsOrPlain.ts"
import { type Certificate, makeCertificate } from "./support/certificate.ts"
import { withoutLeaks } from "./support/leaks.ts"
import { openWs, text } from "./support/peers.ts"
import { masked, rawClient, upgradeRequest } from "./support/rawPeer.ts"
import { connect, serveSockets } from "./support/serving.ts"
import { event, socketPair, socketPath, turn, until } from "./support/sockets.ts"

const listenersOf = (socket: Net.Socket) =>
  Object.fromEntries(socket.eventNames().map((name) => [String(name), socket.listenerCount(name)]))

/** Our server on a port, or a unix socket, with TLS and without. */
const serveBoth = (options: NodeWebSocketServer.Options & { readonly tls: Tls.TlsOptions }) =>
  Effect.map(serveSockets(NodeWebSocketServer.layer({ allowPlain: true, ...options })), (server) => ({
    ...server,
    secureUrl: `wss://localhost:${server.port}`
  }))

/** Writes in pieces that end at the offsets given, each sent before the next is written. */
const writePieces = (socket: Net.Socket, bytes: Uint8Array, offsets: ReadonlyArray<number>) =>
  Effect.gen(function* () {
    let start = 0
    for (const end of [...offsets, bytes.length]) {
      socket.write(bytes.subarray(start, end))
      yield* Effect.repeatN(turn, 1)
      start = end
    }
  })

/** A stream over the socket whose first write, a ClientHello, goes out in the pieces told. */
const inPieces = (socket: Net.Socket, offsetsOf: (length: number) => ReadonlyArray<number>): Duplex => {
  let isFirst = true
  const duplex = new Duplex({
    read() {},
    write(chunk: Buffer, _, done) {
      const offsets = isFirst ? offsetsOf(chunk.length) : []
      isFirst = false
      Effect.runCallback(writePieces(socket, chunk, offsets), { onExit: () => done() })
    },
    destroy(error, done) {
      socket.destroy()
      done(error)
    }
  })
  socket.on("data", (chunk) => duplex.push(chunk))
  socket.on("error", () => {}).on("close", () => duplex.destroy())
  return duplex
}

/** A TLS client whose ClientHello goes out in pieces. */
const tlsInPieces = (port: number, { cert }: Certificate, offsetsOf: (length: number) => ReadonlyArray<number>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const socket = Net.connect({ host: "127.0.0.1", port, noDelay: true })
      return Tls.connect({ socket: inPieces(socket, offsetsOf), servername: "localhost", ca: cert })
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

const opening = Buffer.concat([Buffer.from(upgradeRequest), masked(0x81, "one"), masked(0x82, "two")])
const offsetsUpTo = (length: number) => Array.from({ length }, (_, index) => index + 1)

const assertOpening = (socket: WebSocket) =>
  Effect.gen(function* () {
    assert.deepInclude(yield* socket.receive, { _tag: "Text", text: "one" })
    const second = yield* socket.receive
    assert.deepStrictEqual([second._tag, Buffer.from(second.bytes).toString()], ["Binary", "two"])
  })

describe("tlsOrPlain: detect", () => {
  it.scopedLive("listener tells TLS by the first byte alone, puts it back and leaves no listener", () =>
    Effect.gen(function* () {
      for (const [first, isTls] of [
        [0x16, true],
        [0x47, false],
        [0x0d, false],
        [0x15, false],
        [0x17, false],
        [0x00, false],
        [0xff, false]
      ] as const) {
        const { far, near } = yield* socketPair()
        const before = listenersOf(far)
        const told: Array<boolean> = []
        detect(far, 60_000, (isTls) => told.push(isTls))
        near.write(Uint8Array.of(first))
        yield* until(() => told.length > 0)
        assert.deepStrictEqual(told, [isTls])
        assert.deepStrictEqual([far.readableLength, far.isPaused(), far.timeout], [1, true, 0])
        assert.deepStrictEqual(listenersOf(far), before)
        near.write(Uint8Array.of(1, 2))
        const wire = MemoryTransport.wire(NodeTransport.make(far))
        assert.deepStrictEqual(yield* wire.awaitBytes(3), Uint8Array.of(first, 1, 2))
        assert.strictEqual(told.length, 1)
      }
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("listener loses nothing of a first segment that is larger than the socket holds", () =>
    Effect.gen(function* () {
      const { far, near } = yield* socketPair()
      const sent = Buffer.alloc(1024 * 1024, "GET abc")
      near.end(sent)
      yield* Effect.repeatN(turn, 5)
      const told: Array<boolean> = []
      detect(far, 60_000, (isTls) => told.push(isTls))
      yield* until(() => told.length > 0)
      const wire = MemoryTransport.wire(NodeTransport.make(far))
      yield* wire.awaitEnd
      assert.isTrue(sent.equals(wire.received()))
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("listener gives up on a peer that is silent, ends or resets, and tells nothing", () =>
    Effect.gen(function* () {
      const leave: ReadonlyArray<(near: Net.Socket) => unknown> = [
        () => {},
        (near) => near.end(),
        (near) => near.resetAndDestroy()
      ]
      for (const [index, go] of leave.entries()) {
        const { far, near } = yield* socketPair()
        detect(far, index === 0 ? 20 : 60_000, () => assert.fail("There was nothing to tell"))
        const closed = yield* Effect.fork(event(far, "close"))
        yield* turn
        go(near)
        yield* closed
      }
    }).pipe(Effect.scoped, withoutLeaks)
  )
})

describe("server with TLS and plain on one port", () => {
  it.scopedLive("server serves ws and our client, each with TLS and without, at once", () =>
    Effect.gen(function* () {
      const certificate = yield* makeCertificate(["localhost"])
      const server = yield* serveBoth({ tls: certificate })
      const ca = certificate.cert
      const connected = yield* Effect.forEach([server.url, server.secureUrl, server.url], (url) =>
        Effect.gen(function* () {
          const peer = yield* openWs(url, { ca })
          const ofPeer = yield* server.nextSocket
          const client = yield* connect(url, {}, { tls: { ca } })
          return { peer, ofPeer, client, ofClient: yield* server.nextSocket }
        })
      )
      const infos = connected.flatMap(({ ofClient, ofPeer }) => [ofPeer.info.tls, ofClient.info.tls])
      assert.deepStrictEqual(
        infos.map((tls) => tls?.serverName),
        [undefined, undefined, "localhost", "localhost", undefined, undefined]
      )
      assert.deepStrictEqual(
        infos.map((tls) => tls !== undefined),
        [false, false, true, true, false, false]
      )
      for (const { client, ofClient, ofPeer, peer } of connected) {
        peer.send("hello")
        assert.deepInclude(yield* ofPeer.receive, { text: "hello" })
        yield* ofPeer.send("hi")
        assert.deepStrictEqual(yield* peer.next, text("hi"))
        const large = Buffer.alloc(1024 * 1024, "abc")
        yield* Effect.fork(client.send(large))
        const received = yield* ofClient.receive
        assert.isTrue(received._tag === "Binary" && large.equals(received.bytes))
        const [end] = yield* Effect.zip(client.close(), Effect.flip(ofClient.receive), { concurrent: true })
        assert.isTrue(end.clean)
      }
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server receives a plain request and the frames behind it in order, split at every offset", () =>
    Effect.gen(function* () {
      const server = yield* serveBoth({ tls: yield* makeCertificate(["localhost"]) })
      const cuts = [[], ...offsetsUpTo(opening.length - 1).map((offset) => [offset]), offsetsUpTo(opening.length - 1)]
      for (const offsets of cuts) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const peer = yield* rawClient({ port: server.port, host: "127.0.0.1", noDelay: true })
            yield* writePieces(peer.socket, opening, offsets)
            const socket = yield* server.nextSocket
            assert.isUndefined(socket.info.tls)
            yield* assertOpening(socket)
          })
        )
      }
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server agrees on TLS with a ClientHello that is split, and receives what follows in order", () =>
    Effect.gen(function* () {
      const certificate = yield* makeCertificate(["localhost"])
      const server = yield* serveBoth({ tls: certificate })
      const cuts: ReadonlyArray<(length: number) => ReadonlyArray<number>> = [
        () => [],
        ...offsetsUpTo(12).map((offset) => () => [offset]),
        (length) => offsetsUpTo(length - 1)
      ]
      for (const offsetsOf of cuts) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const peer = yield* tlsInPieces(server.port, certificate, offsetsOf)
            peer.on("error", () => {})
            peer.write(opening)
            const socket = yield* server.nextSocket
            assert.deepInclude(socket.info.tls, { protocol: "TLSv1.3", serverName: "localhost" })
            yield* assertOpening(socket)
          })
        )
      }
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server ends peers that send nothing, or a first byte of TLS and no more", () =>
    Effect.gen(function* () {
      const certificate = yield* makeCertificate(["localhost"])
      const server = yield* serveBoth({ tls: { ...certificate, handshakeTimeout: 20 } })
      for (const sent of ["", "16", "16 03 01"]) {
        const peer = yield* rawClient({ port: server.port, host: "127.0.0.1" })
        peer.send(sent)
        assert.include(["End", "Closed"], (yield* peer.next)._tag)
      }
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server outlives peers that reset, end or send garbage as their first bytes", () =>
    Effect.gen(function* () {
      const certificate = yield* makeCertificate(["localhost"])
      const server = yield* serveBoth({ tls: certificate })
      const to = { port: server.port, host: "127.0.0.1" }
      for (const sent of ["", "16", "16 03 01 02 00 01"]) {
        const peer = yield* rawClient(to)
        peer.send(sent)
        yield* event(peer.socket, "connect")
        yield* Effect.repeatN(turn, 5)
        peer.socket.resetAndDestroy()
      }
      const ending = yield* rawClient(to)
      ending.socket.end()
      assert.include(["End", "Closed"], (yield* ending.next)._tag)
      // What comes behind 0x16 is for TLS to refuse, with an alert or without.
      const nonsense = yield* rawClient(to)
      const closed = yield* Effect.fork(event(nonsense.socket, "close"))
      nonsense.send("16", Buffer.alloc(64, "nonsense"))
      nonsense.socket.on("end", () => nonsense.socket.end())
      yield* closed
      const zeros = yield* rawClient(to)
      zeros.send("00 00 0d 0a 0d 0a")
      const refusal = yield* zeros.next
      assert.match(refusal._tag === "Head" ? refusal.head : "", /^HTTP\/1\.1 400 /)
      yield* openWs(server.secureUrl, { ca: certificate.cert })
      assert.isDefined((yield* server.nextSocket).info.tls)
      yield* openWs(server.url)
      assert.isUndefined((yield* server.nextSocket).info.tls)
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server that is released while it looks at connections leaves nothing", () =>
    Effect.gen(function* () {
      const tls = yield* makeCertificate(["localhost"])
      const path = yield* socketPath
      for (const where of [{}, { unixPath: path }]) {
        const scope = yield* Scope.make()
        const server = yield* Scope.extend(serveBoth({ ...where, tls }), scope)
        const to = server.port === 0 ? { path } : { port: server.port, host: "127.0.0.1" }
        const peers = [yield* rawClient(to), yield* rawClient(to), yield* rawClient(to)] as const
        for (const { socket } of peers) yield* event(socket, "connect")
        peers[1].send("16")
        peers[2].send("16 03 01 02 00 01")
        yield* Effect.repeatN(turn, 10)
        yield* Scope.close(scope, Exit.void)
        for (const peer of peers) assert.include(["End", "Closed"], (yield* peer.next)._tag)
      }
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server on a unix socket serves clients with TLS and without", () =>
    Effect.gen(function* () {
      const certificate = yield* makeCertificate(["localhost"])
      const path = yield* socketPath
      const server = yield* serveBoth({ tls: certificate, unixPath: path })
      yield* Effect.tap(rawClient({ path }), (peer) => peer.send(opening))
      const plain = yield* server.nextSocket
      assert.isUndefined(plain.info.tls)
      yield* assertOpening(plain)
      const peer = yield* Effect.acquireRelease(
        Effect.sync(() => Tls.connect({ path, servername: "localhost", ca: certificate.cert })),
        (socket) => Effect.sync(() => socket.destroy())
      )
      peer.write(opening)
      const secure = yield* server.nextSocket
      assert.deepInclude(secure.info.tls, { serverName: "localhost" })
      yield* assertOpening(secure)
    }).pipe(Effect.scoped, withoutLeaks)
  )
})
