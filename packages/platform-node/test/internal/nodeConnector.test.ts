import type { Endpoint } from "@effect-ws/api/Connector"
import * as MemoryTransport from "@effect-ws/api/testing/MemoryTransport"
import type { Transport } from "@effect-ws/api/Transport"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Net from "node:net"
import * as NodeConnector from "../../src/internal/nodeConnector.ts"
import * as NodeListener from "../../src/internal/nodeListener.ts"
import { makeCertificate } from "../support/certificate.ts"
import { bytes, event, leavesNothing, socketPath, turn, until } from "../support/sockets.ts"

const endpoint = (fields: Partial<Endpoint>): Endpoint => ({
  secure: false,
  hostname: "127.0.0.1",
  port: 80,
  unixPath: undefined,
  ...fields
})

/** A listener whose connections echo until they end. */
const echoListener = (options: NodeListener.NodeListenerOptions = {}) =>
  Effect.map(NodeListener.make(options), (listener) => {
    const accepted: Array<Transport> = []
    listener.start(({ transport }) => {
      accepted.push(transport)
      transport.start({
        chunk: (chunk) => void transport.write([chunk]),
        end: () => transport.end(),
        drained: () => {},
        closed: () => {}
      })
    })
    return { port: listener.address._tag === "TcpAddress" ? listener.address.port : 0, accepted }
  })

const connectAndEcho = (to: Endpoint, options?: NodeConnector.NodeConnectorOptions) =>
  Effect.gen(function* () {
    const transport = yield* NodeConnector.make(options)(to)
    const wire = MemoryTransport.wire(transport)
    wire.send(bytes(1, 2, 3))
    assert.deepStrictEqual(yield* wire.awaitBytes(3), bytes(1, 2, 3))
    wire.end()
    assert.isUndefined(yield* wire.awaitClosed)
    return transport
  })

/** A server that takes connections and says nothing. */
const silentServer = Effect.acquireRelease(
  Effect.sync(() => {
    const sockets: Array<Net.Socket> = []
    return { sockets, server: Net.createServer((socket) => sockets.push(socket.on("error", () => {}).resume())) }
  }),
  ({ server, sockets }) =>
    Effect.sync(() => {
      server.close()
      for (const socket of sockets) socket.destroy()
    })
).pipe(
  Effect.tap(({ server }) => {
    server.listen(0, "127.0.0.1")
    return event(server, "listening")
  }),
  Effect.map(({ server, sockets }) => ({ sockets, port: (server.address() as Net.AddressInfo).port }))
)

const failure = (to: Endpoint, options?: NodeConnector.NodeConnectorOptions) =>
  Effect.flip(Effect.scoped(NodeConnector.make(options)(to)))

const lookupOf =
  (...addresses: Array<string>): Net.LookupFunction =>
  (_, options, callback) => {
    const all = addresses.map((address) => ({ address, family: Net.isIP(address) }))
    if (options.all === true) process.nextTick(() => callback(null, all))
    else process.nextTick(() => callback(null, all[0]!.address, all[0]!.family))
  }

describe("nodeConnector", () => {
  it.scoped("connector connects over TCP and names the endpoint", () =>
    Effect.gen(function* () {
      const { port } = yield* echoListener()
      const transport = yield* connectAndEcho(endpoint({ port }))
      assert.deepStrictEqual(transport.info.remoteAddress, { _tag: "TcpAddress", hostname: "127.0.0.1", port })
      yield* connectAndEcho(endpoint({ hostname: "localhost", port }))
    }).pipe(Effect.scoped, leavesNothing)
  )

  it.scoped("connector connects over a unix socket", () =>
    Effect.gen(function* () {
      const path = yield* socketPath
      yield* echoListener({ unixPath: path })
      const transport = yield* connectAndEcho(endpoint({ hostname: "localhost", unixPath: path }))
      assert.deepStrictEqual(transport.info.remoteAddress, { _tag: "UnixAddress", path })
    }).pipe(Effect.scoped, leavesNothing)
  )

  it.scoped("connector tries the next address when one refuses", () =>
    Effect.gen(function* () {
      const { port } = yield* echoListener()
      const transport = yield* connectAndEcho(endpoint({ hostname: "both.test", port }), {
        lookup: lookupOf("::1", "127.0.0.1")
      })
      assert.deepInclude(transport.info.remoteAddress, { hostname: "127.0.0.1" })
    }).pipe(Effect.scoped, leavesNothing)
  )

  it.scoped("connector reports a refused connection with the address as it was given", () =>
    Effect.gen(function* () {
      const { port, ...silent } = yield* silentServer.pipe(Effect.scoped)
      assert.deepStrictEqual(silent.sockets, [])
      const error = yield* failure(endpoint({ port }))
      assert.deepInclude(error, { _tag: "TransportError", operation: "connect", address: `127.0.0.1:${port}` })
      assert.match(error.message, /failed to connect to 127\.0\.0\.1:\d+: connect ECONNREFUSED/)
      const all = yield* failure(endpoint({ hostname: "both.test", port }), {
        lookup: lookupOf("127.0.0.1", "127.0.0.2")
      })
      assert.strictEqual(all.operation, "connect")
      assert.match(all.message, /^The transport failed to connect to both\.test:\d+: connect E\w+ .*, connect E\w+ /)
      const missing = yield* failure(endpoint({ unixPath: "/nowhere/at/all" }))
      assert.deepInclude(missing, { operation: "connect", address: "/nowhere/at/all" })
    }).pipe(leavesNothing)
  )

  it.effect("connector reports a name that can't be resolved", () =>
    Effect.gen(function* () {
      const cause = Object.assign(new Error("queryA ENOTFOUND no.test"), { code: "ENOTFOUND" })
      for (const family of [undefined, 4] as const) {
        const error = yield* failure(endpoint({ hostname: "no.test" }), {
          family,
          lookup: (_, __, callback) => process.nextTick(() => callback(cause, []))
        })
        assert.deepInclude(error, { operation: "resolve", address: "no.test:80" })
      }
    }).pipe(leavesNothing)
  )

  it.scoped("connector that is interrupted leaves nothing, in every phase", () =>
    Effect.gen(function* () {
      const { port, sockets } = yield* silentServer
      let lookups = 0
      const phases: Array<readonly [Endpoint, NodeConnector.NodeConnectorOptions, () => boolean]> = [
        [endpoint({ hostname: "never.test", port }), { lookup: () => void lookups++ }, () => lookups === 1],
        [endpoint({ port }), {}, () => true],
        [endpoint({ port, secure: true }), {}, () => sockets.length > 0]
      ]
      for (const [to, options, isReached] of phases) {
        // The scope outlives the interruption, as that of a program with a timeout around the connector does.
        const scope = yield* Scope.make()
        const fiber = yield* Effect.fork(Scope.extend(NodeConnector.make(options)(to), scope))
        yield* Effect.yieldNow()
        yield* until(isReached)
        assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(fiber)))
        yield* Effect.repeatN(turn, 5)
        yield* until(() => sockets.every((socket) => socket.destroyed))
        yield* Scope.close(scope, Exit.void)
      }
    }).pipe(Effect.scoped, leavesNothing)
  )

  it.scoped("connector within a scope destroys its transport on release", () =>
    Effect.gen(function* () {
      const { accepted, port } = yield* echoListener()
      yield* Effect.scoped(NodeConnector.make()(endpoint({ port })))
      yield* until(() => accepted.length === 1)
      yield* MemoryTransport.wire(accepted[0]!).awaitEnd
      accepted[0]!.end()
    }).pipe(Effect.scoped, leavesNothing)
  )
})

describe("nodeConnector: TLS", () => {
  it.scoped("connector checks the certificate, sends the host name and offers http/1.1", () =>
    Effect.gen(function* () {
      const tls = yield* makeCertificate(["localhost"], ["127.0.0.1"])
      const { accepted, port } = yield* echoListener({ tls: { ...tls, ALPNProtocols: ["http/1.1"] } })
      const options = { tls: { ca: tls.cert } }
      const byName = yield* connectAndEcho(endpoint({ secure: true, hostname: "localhost", port }), options)
      assert.deepInclude(byName.info.tls, { authorized: true, alpnProtocol: "http/1.1", protocol: "TLSv1.3" })
      assert.strictEqual(accepted[0]!.info.tls?.serverName, "localhost")
      // RFC 6066 3: an address is no name, and is checked all the same.
      yield* connectAndEcho(endpoint({ secure: true, port }), options)
      assert.isUndefined(accepted[1]!.info.tls?.serverName)
    }).pipe(Effect.scoped, leavesNothing)
  )

  it.scoped("connector reports a certificate that is unknown, or of another name", () =>
    Effect.gen(function* () {
      const tls = yield* makeCertificate(["other.test"])
      const { port } = yield* echoListener({ tls })
      const to = endpoint({ secure: true, hostname: "localhost", port })
      const unknown = yield* failure(to)
      assert.deepInclude(unknown, { operation: "tls", address: `localhost:${port}` })
      const misnamed = yield* failure(to, { tls: { ca: tls.cert } })
      assert.strictEqual(misnamed.operation, "tls")
      assert.match(misnamed.message, /altnames/)
      yield* failure(endpoint({ secure: true, port }), { tls: { ca: tls.cert } })
      yield* connectAndEcho(to, { tls: { rejectUnauthorized: false } })
      yield* connectAndEcho(to, { tls: { ca: tls.cert, servername: "other.test" } })
    }).pipe(Effect.scoped, leavesNothing)
  )

  it.scoped("connector reports a server that speaks no TLS, or hangs up", () =>
    Effect.gen(function* () {
      const { port, sockets } = yield* silentServer
      const to = endpoint({ secure: true, port })
      const first = yield* Effect.fork(failure(to))
      yield* until(() => sockets.length === 1)
      sockets[0]!.end("HTTP/1.1 400 Bad Request\r\n\r\n")
      assert.strictEqual((yield* Fiber.join(first)).operation, "tls")
      const second = yield* Effect.fork(failure(to))
      yield* until(() => sockets.length === 2)
      sockets[1]!.destroy()
      assert.strictEqual((yield* Fiber.join(second)).operation, "tls")
    }).pipe(Effect.scoped, leavesNothing)
  )

  it.effect("connector reports TLS options that can't be used", () =>
    Effect.gen(function* () {
      const error = yield* failure(endpoint({ secure: true }), { tls: { key: "no key" } })
      assert.deepInclude(error, { operation: "tls", address: "127.0.0.1:80" })
      yield* turn
    })
  )
})
