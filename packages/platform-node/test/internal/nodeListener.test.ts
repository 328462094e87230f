import type { Incoming, Listener } from "@effect-ws/api/Listener"
import type { ServerError } from "@effect-ws/api/ServerError"
import * as MemoryTransport from "@effect-ws/api/testing/MemoryTransport"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Tls from "node:tls"
import * as NodeListener from "../../src/internal/nodeListener.ts"
import { makeCertificate } from "../support/certificate.ts"
import { bytes, event, leavesNothing, socketPath, turn, until } from "../support/sockets.ts"

const portOf = ({ address }: Listener) => (address._tag === "TcpAddress" ? address.port : 0)

const targetOf = ({ address }: Listener): Net.NetConnectOpts =>
  address._tag === "UnixAddress" ? { path: address.path } : { host: address.hostname, port: address.port }

const connectTo = (listener: Listener) =>
  Effect.acquireRelease(
    Effect.sync(() => Net.connect(targetOf(listener))),
    (socket) => Effect.sync(() => socket.destroy())
  )

/** Starts a listener that answers the first byte with the same byte. */
const collect = (listener: Listener) => {
  const incoming: Array<Incoming> = []
  listener.start((one) => incoming.push(one))
  return incoming
}

const failure = (options: NodeListener.NodeListenerOptions): Effect.Effect<ServerError> =>
  Effect.scoped(
    Effect.asVoid(NodeListener.make(options)).pipe(
      Effect.flip,
      Effect.orDieWith(() => "it listens")
    )
  )

describe("nodeListener", () => {
  it.scoped("listener hands out connections with their addresses, and listens on this machine alone by default", () =>
    Effect.gen(function* () {
      const listener = yield* NodeListener.make({})
      assert.deepInclude(listener.address, { _tag: "TcpAddress", hostname: "127.0.0.1" })
      const incoming = collect(listener)
      const socket = yield* connectTo(listener)
      socket.write(bytes(1, 2))
      yield* until(() => incoming.length === 1)
      const { leftover, request, transport } = incoming[0]!
      assert.deepStrictEqual([leftover, request], [undefined, undefined])
      assert.deepStrictEqual(transport.info.localAddress, listener.address)
      const wire = MemoryTransport.wire(transport)
      assert.deepStrictEqual(yield* wire.awaitBytes(2), bytes(1, 2))
      wire.destroy()
    }).pipe(Effect.scoped, leavesNothing)
  )

  it.scoped("listener holds connections until it is started, and what they have sent", () =>
    Effect.gen(function* () {
      const listener = yield* NodeListener.make({})
      const socket = yield* connectTo(listener)
      yield* event(socket, "connect")
      socket.write(bytes(1))
      yield* Effect.repeatN(turn, 5)
      const incoming = collect(listener)
      assert.deepStrictEqual(incoming, [])
      yield* until(() => incoming.length === 1)
      assert.deepStrictEqual(yield* MemoryTransport.wire(incoming[0]!.transport).awaitBytes(1), bytes(1))
    }).pipe(Effect.scoped)
  )

  it.scoped("listener holds as many connections as its backlog, and refuses more", () =>
    Effect.gen(function* () {
      const listener = yield* NodeListener.make({ backlog: 1 })
      const first = yield* connectTo(listener)
      yield* event(first, "connect")
      const second = yield* connectTo(listener)
      second.resume()
      yield* event(second, "close")
      assert.isFalse(first.destroyed)
    }).pipe(Effect.scoped, leavesNothing)
  )

  it.scoped("listener that is released frees its port at once and waits for no connection", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const listener = yield* Scope.extend(NodeListener.make({}), scope)
      const incoming = collect(listener)
      const socket = yield* connectTo(listener)
      yield* until(() => incoming.length === 1)
      yield* Scope.close(scope, Exit.void)
      const again = yield* NodeListener.make({ port: portOf(listener) })
      assert.deepStrictEqual(again.address, listener.address)
      // The connection that was handed out lives on.
      const wire = MemoryTransport.wire(incoming[0]!.transport)
      socket.write(bytes(1))
      yield* wire.awaitBytes(1)
      wire.destroy()
      socket.resume()
      yield* event(socket, "close")
    }).pipe(Effect.scoped, leavesNothing)
  )

  it.scoped("listener that is stopped destroys what it holds, and may be stopped again", () =>
    Effect.gen(function* () {
      const listener = yield* NodeListener.make({})
      const socket = yield* connectTo(listener)
      yield* event(socket, "connect")
      socket.resume()
      yield* turn
      yield* listener.stop
      yield* listener.stop
      yield* event(socket, "close")
      const late = yield* connectTo(listener)
      late.on("error", () => {})
      yield* event(late, "close")
    }).pipe(Effect.scoped, leavesNothing)
  )

  it.scoped("listener on a unix socket removes its file on release", () =>
    Effect.gen(function* () {
      const path = yield* socketPath
      yield* Effect.scoped(
        Effect.gen(function* () {
          const listener = yield* NodeListener.make({ unixPath: path })
          assert.deepStrictEqual(listener.address, { _tag: "UnixAddress", path })
          const incoming = collect(listener)
          const socket = yield* connectTo(listener)
          yield* until(() => incoming.length === 1)
          assert.deepStrictEqual(incoming[0]!.transport.info.localAddress, listener.address)
          const wire = MemoryTransport.wire(incoming[0]!.transport)
          socket.write(bytes(1))
          yield* wire.awaitBytes(1)
          wire.destroy()
        })
      )
      if (process.platform !== "win32") assert.isFalse(Fs.existsSync(path))
    }).pipe(Effect.scoped, leavesNothing)
  )

  it.scoped("listener leaves a stale unix socket alone and reports it", () =>
    Effect.gen(function* () {
      const path = yield* socketPath
      if (process.platform === "win32") return
      Fs.writeFileSync(path, "")
      const error = yield* failure({ unixPath: path })
      assert.strictEqual(error.reason._tag, "AddressInUse")
      assert.strictEqual(error.message, `The path ${path} is already in use`)
      assert.isTrue(Fs.existsSync(path))
    }).pipe(Effect.scoped)
  )

  it.scoped("listener reports a port that is in use, and one that doesn't exist", () =>
    Effect.gen(function* () {
      const listener = yield* NodeListener.make({})
      const port = portOf(listener)
      const error = yield* failure({ port })
      assert.strictEqual(error._tag, "ServerError")
      assert.strictEqual(error.reason._tag, "AddressInUse")
      assert.strictEqual(error.message, `Port ${port} of 127.0.0.1 is already in use`)
      assert.strictEqual((yield* failure({ port: 70_000 })).reason._tag, "Other")
    }).pipe(Effect.scoped, leavesNothing)
  )

  it.effect("listener reports an address that isn't this machine's", () =>
    Effect.gen(function* () {
      const error = yield* failure({ host: "192.0.2.1" })
      assert.strictEqual(error.reason._tag, "AddressNotAvailable")
      assert.strictEqual(error.address, "192.0.2.1:0")
    }).pipe(leavesNothing)
  )

  it.scoped("listener leaves nothing when it is interrupted while it looks up its host", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const fiber = yield* Effect.fork(Scope.extend(NodeListener.make({ host: "localhost" }), scope))
      yield* Effect.yieldNow()
      yield* Effect.zipRight(Fiber.interrupt(fiber), Scope.close(scope, Exit.void))
      yield* Effect.repeatN(turn, 20)
    }).pipe(Effect.scoped, leavesNothing)
  )
})

const connectTls = (listener: Listener, options: Tls.ConnectionOptions) =>
  Effect.acquireRelease(
    Effect.sync(() => Tls.connect({ ...(targetOf(listener) as object), servername: "localhost", ...options })),
    (socket) => Effect.sync(() => socket.destroy())
  )

/** Connects and waits until the listener has accepted. */
const connectSilently = (listener: Listener) =>
  Effect.gen(function* () {
    const socket = yield* connectTo(listener)
    socket.on("error", () => {}).resume()
    yield* event(socket, "connect")
    yield* Effect.repeatN(turn, 5)
    return socket
  })

describe("nodeListener: TLS", () => {
  it.scoped("listener hands out a connection once TLS is agreed on, and loses no byte of it", () =>
    Effect.gen(function* () {
      const certificate = yield* makeCertificate(["localhost"])
      const listener = yield* NodeListener.make({ tls: certificate })
      const socket = yield* connectTls(listener, { ca: certificate.cert })
      socket.end(bytes(1, 2, 3))
      yield* event(socket, "secureConnect")
      yield* Effect.repeatN(turn, 5)
      const incoming = collect(listener)
      yield* until(() => incoming.length === 1)
      const { transport } = incoming[0]!
      assert.deepInclude(transport.info.tls, { protocol: "TLSv1.3", serverName: "localhost", authorized: false })
      const wire = MemoryTransport.wire(transport)
      yield* wire.awaitEnd
      assert.deepStrictEqual(wire.received(), bytes(1, 2, 3))
      wire.destroy()
    }).pipe(Effect.scoped, leavesNothing)
  )

  it.scoped("listener outlives a client that speaks no TLS and one that distrusts it", () =>
    Effect.gen(function* () {
      const certificate = yield* makeCertificate(["localhost"])
      const listener = yield* NodeListener.make({ tls: certificate })
      const incoming = collect(listener)
      const plain = yield* connectTo(listener)
      plain.on("error", () => {}).resume()
      plain.write("GET / HTTP/1.1\r\n\r\n")
      yield* event(plain, "close")
      const distrustful = yield* connectTls(listener, {})
      distrustful.on("error", () => {})
      yield* event(distrustful, "close")
      const trustful = yield* connectTls(listener, { ca: certificate.cert })
      yield* event(trustful, "secureConnect")
      const isTrustful = ({ transport: { info } }: Incoming) =>
        info.remoteAddress?._tag === "TcpAddress" && info.remoteAddress.port === trustful.localPort
      yield* until(() => incoming.some(isTrustful))
      yield* listener.stop
      // It ends connections that agree on TLS still, not those that have.
      yield* Effect.repeatN(turn, 5)
      trustful.write(bytes(1))
      yield* MemoryTransport.wire(incoming.find(isTrustful)!.transport).awaitBytes(1)
      for (const { transport } of incoming) transport.destroy()
    }).pipe(Effect.scoped, leavesNothing)
  )

  it.scoped("listener tells at the debug level of a handshake that failed", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const logger = Logger.make(({ logLevel, message }) => void lines.push(`${logLevel.label} ${String(message)}`))
      const listener = yield* NodeListener.make({ tls: yield* makeCertificate(["localhost"]) }).pipe(
        Effect.provide(Logger.replace(Logger.defaultLogger, logger)),
        Logger.withMinimumLogLevel(LogLevel.Debug)
      )
      const plain = yield* connectTo(listener)
      plain.on("error", () => {}).resume()
      plain.write("GET / HTTP/1.1\r\n\r\n")
      yield* until(() => lines.length > 0)
      assert.match(lines[0]!, /^DEBUG A TLS handshake failed,Error: .*http request/)
    }).pipe(Effect.scoped, leavesNothing)
  )

  it.scoped("listener that is stopped ends the connections that are still agreeing on TLS", () =>
    Effect.gen(function* () {
      const listener = yield* NodeListener.make({ tls: yield* makeCertificate(["localhost"]) })
      const silent = yield* connectTo(listener)
      yield* event(silent, "connect")
      yield* Effect.repeatN(turn, 5)
      yield* listener.stop
      silent.on("error", () => {}).resume()
      yield* event(silent, "close")
    }).pipe(Effect.scoped, leavesNothing)
  )

  it.scoped("listener with TLS ends a connection that sends nothing until the handshake timeout", () =>
    Effect.gen(function* () {
      const tls = { ...(yield* makeCertificate(["localhost"])), handshakeTimeout: 20 }
      const listener = yield* NodeListener.make({ tls })
      const silent = yield* connectTo(listener)
      silent.on("error", () => {}).resume()
      yield* event(silent, "close")
    }).pipe(Effect.scoped, leavesNothing)
  )

  it.effect("listener dies of a limit that is none, and names the option", () =>
    Effect.gen(function* () {
      const tls = yield* makeCertificate(["localhost"])
      const defect = (options: NodeListener.NodeListenerOptions) =>
        Effect.scoped(Effect.asVoid(NodeListener.make(options))).pipe(
          Effect.sandbox,
          Effect.flip,
          Effect.map((cause) => String(Option.getOrNull(Cause.dieOption(cause))))
        )
      for (const maxHandshakes of [0, -1, 1.5, NaN, Infinity]) {
        assert.match(
          yield* defect({ maxHandshakes }),
          /^RangeError: The option maxHandshakes must be a positive integer/
        )
      }
      for (const handshakeTimeout of [0, -1, NaN, Infinity, 2 ** 31]) {
        const message = yield* defect({ tls: { ...tls, handshakeTimeout } })
        assert.match(message, /^RangeError: The option tls.handshakeTimeout must be between 1 and 2147483647 ms/)
      }
    }).pipe(leavesNothing)
  )

  it.effect("listener reports a key that can't be used, one that doesn't fit, and none", () =>
    Effect.gen(function* () {
      const [one, other] = [yield* makeCertificate(["a"]), yield* makeCertificate(["b"])]
      for (const tls of [{ key: "no key", cert: one.cert }, { key: one.key, cert: other.cert }, {}]) {
        const error = yield* failure({ tls, port: 8443 })
        assert.strictEqual(error.reason._tag, "BadTlsMaterial")
        assert.match(error.message, /^Port 8443 of 127\.0\.0\.1 can't be served over TLS: ./)
      }
    }).pipe(leavesNothing)
  )
})

describe("nodeListener: the bound on handshakes", () => {
  for (const allowPlain of [false, true]) {
    const kind = allowPlain ? "TLS and plain on one port" : "TLS"

    it.scoped(`listener with ${kind} gives the place of a peer that ends before TLS is agreed on to the next`, () =>
      Effect.gen(function* () {
        const certificate = yield* makeCertificate(["localhost"])
        const tls = { ...certificate, handshakeTimeout: 2 ** 31 - 1 }
        const listener = yield* NodeListener.make({ tls, allowPlain, maxHandshakes: 1 })
        const incoming = collect(listener)
        const beginOfRecord = bytes(0x16, 3, 1)
        for (const sent of [bytes(), beginOfRecord]) {
          const socket = yield* connectTo(listener)
          socket.on("error", () => {}).resume()
          socket.end(sent)
          yield* event(socket, "close")
        }
        const next = yield* connectTls(listener, { ca: certificate.cert })
        yield* event(next, "secureConnect")
        yield* until(() => incoming.length === 1)
        // From then on it is for the connection to end its half.
        next.end()
        const wire = MemoryTransport.wire(incoming[0]!.transport)
        yield* wire.awaitEnd
        const received: Array<number> = []
        next.on("data", (chunk: Uint8Array) => received.push(...chunk))
        yield* Effect.repeatN(turn, 5)
        wire.send(bytes(7))
        yield* until(() => received.length > 0)
        assert.deepStrictEqual(received, [7])
        wire.destroy()
      }).pipe(Effect.scoped, leavesNothing)
    )

    it.scoped(`listener with ${kind} destroys a connection above the bound, and takes one when there is room`, () =>
      Effect.gen(function* () {
        const certificate = yield* makeCertificate(["localhost"])
        const listener = yield* NodeListener.make({ tls: certificate, allowPlain, maxHandshakes: 2 })
        const incoming = collect(listener)
        const silent = [yield* connectSilently(listener), yield* connectSilently(listener)] as const
        const third = yield* connectTo(listener)
        third.on("error", () => {}).resume()
        yield* event(third, "close")
        assert.deepStrictEqual([silent[0].destroyed, silent[1].destroyed], [false, false])
        silent[0].resetAndDestroy()
        yield* Effect.repeatN(turn, 10)
        const fourth = yield* connectTls(listener, { ca: certificate.cert })
        yield* event(fourth, "secureConnect")
        yield* until(() => incoming.length === 1)
        incoming[0]!.transport.destroy()
      }).pipe(Effect.scoped, leavesNothing)
    )

    it.scoped(`listener with ${kind} doesn't count connections whose TLS is agreed on, nor ends them on stop`, () =>
      Effect.gen(function* () {
        const certificate = yield* makeCertificate(["localhost"])
        const path = yield* socketPath
        for (const where of [{}, { unixPath: path }]) {
          const listener = yield* NodeListener.make({ ...where, tls: certificate, allowPlain, maxHandshakes: 1 })
          const incoming = collect(listener)
          const sockets: Array<Tls.TLSSocket> = []
          for (let count = 1; count <= 3; count++) {
            sockets.push(yield* connectTls(listener, { ca: certificate.cert }))
            yield* until(() => incoming.length === count)
          }
          const silent = yield* connectSilently(listener)
          yield* listener.stop
          if (!silent.destroyed) yield* event(silent, "close")
          for (const [index, { transport }] of incoming.entries()) {
            sockets[index]!.write(bytes(index))
            const wire = MemoryTransport.wire(transport)
            assert.deepStrictEqual(yield* wire.awaitBytes(1), bytes(index))
            wire.destroy()
          }
        }
      }).pipe(Effect.scoped, leavesNothing)
    )
  }

  it.scoped("listener with TLS and plain on one port doesn't count plain connections once it has told them", () =>
    Effect.gen(function* () {
      const tls = yield* makeCertificate(["localhost"])
      const path = yield* socketPath
      for (const where of [{}, { unixPath: path }]) {
        const listener = yield* NodeListener.make({ ...where, tls, allowPlain: true, maxHandshakes: 1 })
        const incoming = collect(listener)
        for (let count = 1; count <= 3; count++) {
          const socket = yield* connectTo(listener)
          socket.write(bytes(0x47, count))
          yield* until(() => incoming.length === count)
        }
        yield* listener.stop
        for (const [index, { transport }] of incoming.entries()) {
          assert.isUndefined(transport.info.tls)
          const wire = MemoryTransport.wire(transport)
          assert.deepStrictEqual(yield* wire.awaitBytes(2), bytes(0x47, index + 1))
          wire.destroy()
        }
      }
    }).pipe(Effect.scoped, leavesNothing)
  )

  it.scoped("listener without TLS takes more connections than the bound", () =>
    Effect.gen(function* () {
      const listener = yield* NodeListener.make({ maxHandshakes: 1 })
      const incoming = collect(listener)
      yield* connectTo(listener)
      yield* connectTo(listener)
      yield* until(() => incoming.length === 2)
      for (const { transport } of incoming) transport.destroy()
    }).pipe(Effect.scoped, leavesNothing)
  )
})
