import type { Endpoint } from "@effect-ws/api/Connector"
import * as MemoryTransport from "@effect-ws/api/testing/MemoryTransport"
import type { TransportError } from "@effect-ws/api/TransportError"
import type * as Proxy from "@effect-ws/platform-node/Proxy"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { inspect } from "node:util"
import * as NodeConnector from "../../src/internal/nodeConnector.ts"
import { makeCertificate } from "../support/certificate.ts"
import { withoutLeaks } from "../support/leaks.ts"
import { connectAndEcho, endpoint, failure, proxyAt, reasonOf } from "../support/proxied.ts"
import { connectProxy, echoServer, scriptedProxy, socksProxy } from "../support/proxies.ts"
import { rawServer } from "../support/rawPeer.ts"
import { bytes, recordOn, turn, until } from "../support/sockets.ts"

describe("proxyTunnel: HTTP", () => {
  it.scopedLive("connector asks for the host and the port, and gets through", () =>
    Effect.gen(function* () {
      const target = yield* echoServer()
      const proxy = yield* connectProxy({ port: target.port })
      const options = { proxy: proxyAt(`http://127.0.0.1:${proxy.port}`) }
      const transport = yield* connectAndEcho(endpoint({}), options)
      assert.deepStrictEqual(transport.info.remoteAddress, {
        _tag: "TcpAddress",
        hostname: "127.0.0.1",
        port: proxy.port
      })
      yield* connectAndEcho(endpoint({ hostname: "::1", port: 8080 }), options)
      assert.deepStrictEqual(proxy.requests, [
        { target: "chat.test:80", credentials: undefined, headers: { host: "chat.test:80" } },
        { target: "[::1]:8080", credentials: undefined, headers: { host: "[::1]:8080" } }
      ])
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("connector says who asks, when it has credentials", () =>
    Effect.gen(function* () {
      const target = yield* echoServer()
      const proxy = yield* connectProxy({ port: target.port, credentials: "jörg:pass:word" })
      const refused = yield* reasonOf(`http://127.0.0.1:${proxy.port}`)
      assert.deepInclude(refused, { _tag: "Refused", status: 407 })
      assert.deepInclude((refused as { fields: ReadonlyArray<unknown> }).fields, [
        "Proxy-Authenticate",
        'Basic realm="test"'
      ])
      // The scope is open still: what failed holds nothing all the same.
      yield* until(() => proxy.sockets.every((socket) => socket.destroyed))
      yield* connectAndEcho(endpoint({}), { proxy: proxyAt(`http://j%C3%B6rg:pass%3Aword@127.0.0.1:${proxy.port}`) })
      assert.strictEqual(proxy.requests[1]?.credentials, "jörg:pass:word")
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("connector delivers the bytes behind the answer first, however the answer comes", () =>
    Effect.gen(function* () {
      const answer = "HTTP/1.0 299 Fine\r\nContent-Length: 7\r\n\r\n"
      const whole = yield* scriptedProxy(`HTTP/1.1 100 Continue\r\n\r\n${answer}hello`)
      const first = yield* NodeConnector.make({ proxy: proxyAt(`http://127.0.0.1:${whole.port}`) })(endpoint({}))
      // Nothing may be lost while nobody reads.
      yield* until(() => whole.chunks.length === 1)
      yield* Effect.yieldNow()
      const hello = yield* MemoryTransport.wire(first).awaitBytes(5)
      assert.strictEqual(Buffer.from(hello).toString(), "hello")

      const raw = yield* rawServer
      const proxy = proxyAt(`http://127.0.0.1:${raw.port}`)
      const connecting = yield* Effect.fork(NodeConnector.make({ proxy })(endpoint({})))
      const peer = yield* raw.next
      yield* peer.next
      for (const byte of Buffer.from(`${answer}hel`)) peer.socket.write(Buffer.of(byte))
      const wire = MemoryTransport.wire(yield* Fiber.join(connecting))
      peer.socket.write("lo")
      assert.strictEqual(Buffer.from(yield* wire.awaitBytes(5)).toString(), "hello")
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("connector skips interim answers, up to a bound", () =>
    Effect.gen(function* () {
      const interim = "HTTP/1.1 102 Processing\r\n\r\n"
      const some = yield* scriptedProxy(`${interim.repeat(16)}HTTP/1.1 200 OK\r\n\r\nx`)
      const transport = yield* NodeConnector.make({ proxy: proxyAt(`http://127.0.0.1:${some.port}`) })(endpoint({}))
      assert.deepStrictEqual(yield* MemoryTransport.wire(transport).awaitBytes(1), bytes(120))
      const many = yield* scriptedProxy(`${interim.repeat(17)}HTTP/1.1 200 OK\r\n\r\n`)
      const reason = yield* reasonOf(`http://127.0.0.1:${many.port}`)
      assert.deepStrictEqual(reason, { _tag: "TooManyInterimAnswers", limit: 16 })
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("connector refuses an answer without end, or that is none", () =>
    Effect.gen(function* () {
      const cases = [
        [`HTTP/1.1 200 OK\r\nX: ${"a".repeat(10_000)}`, "HeadTooLarge"],
        [`HTTP/1.1 200 OK\r\n${"X: a\r\n".repeat(101)}`, "TooManyFields"],
        ["SSH-2.0-OpenSSH\r\n", "MalformedHead"]
      ] as const
      for (const [answer, tag] of cases) {
        const proxy = yield* scriptedProxy(answer)
        const reason = yield* reasonOf(`http://127.0.0.1:${proxy.port}`)
        assert.strictEqual(reason._tag === "InvalidAnswer" ? reason.fault._tag : reason._tag, tag)
        yield* until(() => proxy.sockets.every((socket) => socket.destroyed))
      }
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("connector reports a proxy that closes, resets, or can't be reached", () =>
    Effect.gen(function* () {
      const raw = yield* rawServer
      const url = `http://127.0.0.1:${raw.port}`
      for (const leave of ["end", "destroy"] as const) {
        const waiting = yield* Effect.fork(reasonOf(url))
        const peer = yield* raw.next
        yield* peer.next
        peer.socket[leave]()
        assert.deepStrictEqual(yield* Fiber.join(waiting), { _tag: "Closed" })
      }
      const resetting = yield* Effect.fork(failure(endpoint({}), { proxy: proxyAt(url) }))
      const peer = yield* raw.next
      yield* peer.next
      peer.socket.resetAndDestroy()
      const reset = yield* Fiber.join(resetting)
      assert.deepInclude(reset, { operation: "proxy", address: `127.0.0.1:${raw.port}` })
      assert.deepInclude(reset.cause, { code: "ECONNRESET" })

      const gone = yield* Effect.scoped(scriptedProxy())
      const refused = yield* failure(endpoint({}), { proxy: proxyAt(`http://127.0.0.1:${gone.port}`) })
      assert.deepInclude(refused, { operation: "proxy", address: `127.0.0.1:${gone.port}` })
      assert.match(refused.message, /^The transport failed to get through the proxy 127\.0\.0\.1:\d+: .*ECONNREFUSED/)
      const unknown = yield* failure(endpoint({}), {
        proxy: proxyAt("http://proxy.test"),
        lookup: (_, __, callback) => process.nextTick(() => callback(new Error("no such name"), []))
      })
      assert.deepInclude(unknown, { operation: "proxy", address: "proxy.test:80" })
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("connector reports a host that no request can name", () =>
    Effect.gen(function* () {
      const proxy = yield* scriptedProxy()
      const reason = yield* reasonOf(`http://127.0.0.1:${proxy.port}`, endpoint({ hostname: "a b" }))
      assert.strictEqual(reason._tag, "InvalidRequest")
      const long = yield* reasonOf(`socks5h://127.0.0.1:${proxy.port}`, endpoint({ hostname: "a".repeat(256) }))
      assert.strictEqual(long._tag === "InvalidRequest" ? long.fault._tag : long._tag, "SocksHost")
      yield* until(() => proxy.sockets.every((socket) => socket.destroyed))
      assert.deepStrictEqual(proxy.chunks, [])
    }).pipe(Effect.scoped, withoutLeaks)
  )
})

describe("proxyTunnel: TLS", () => {
  it.scopedLive("connector checks the target's certificate and name through every kind of proxy", () =>
    Effect.gen(function* () {
      const tls = yield* makeCertificate(["chat.test"], ["192.0.2.7"])
      const target = yield* echoServer({ ...tls, ALPNProtocols: ["http/1.1"] })
      const proxyTls = yield* makeCertificate(["localhost"], ["127.0.0.1"])
      const http = yield* connectProxy({ port: target.port })
      const https = yield* connectProxy({ port: target.port, tls: proxyTls })
      const socks = yield* socksProxy({ port: target.port })
      const urls = [
        `http://127.0.0.1:${http.port}`,
        `https://localhost:${https.port}`,
        `socks5h://127.0.0.1:${socks.port}`
      ]
      for (const url of urls) {
        const options = { proxy: proxyAt(url), proxyTls: { ca: proxyTls.cert } }
        const trusting = { ...options, tls: { ca: tls.cert } }
        const transport = yield* connectAndEcho(endpoint({ secure: true, port: 443 }), trusting)
        assert.deepInclude(transport.info.tls, { authorized: true, alpnProtocol: "http/1.1", serverName: "chat.test" })
        yield* connectAndEcho(endpoint({ secure: true, hostname: "192.0.2.7", port: 443 }), trusting)

        const unknown = yield* failure(endpoint({ secure: true, port: 443 }), options)
        assert.deepInclude(unknown, { operation: "tls", address: "chat.test:443" })
        // The address of the proxy is another name like any other.
        for (const hostname of ["other.test", "127.0.0.1"]) {
          const misnamed = yield* failure(endpoint({ secure: true, hostname, port: 443 }), trusting)
          assert.deepInclude(misnamed, { operation: "tls", address: `${hostname}:443` })
          assert.match(misnamed.message, /altnames/)
        }
      }
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("connector checks the certificate of an https: proxy with options of its own", () =>
    Effect.gen(function* () {
      const tls = yield* makeCertificate(["localhost"])
      const target = yield* echoServer()
      const proxy = yield* connectProxy({ port: target.port, tls })
      const address = `localhost:${proxy.port}`
      const choice = { proxy: proxyAt(`https://${address}`) }
      yield* connectAndEcho(endpoint({}), { ...choice, proxyTls: { ca: tls.cert } })
      const unknown = yield* failure(endpoint({}), choice)
      assert.deepInclude(unknown, { operation: "proxy", address })
      assert.deepInclude(unknown.cause, { code: "DEPTH_ZERO_SELF_SIGNED_CERT" })
      const borrowed = yield* failure(endpoint({}), { ...choice, tls: { ca: tls.cert, rejectUnauthorized: false } })
      assert.deepInclude(borrowed, { operation: "proxy", address })
      const unusable = yield* failure(endpoint({}), { ...choice, proxyTls: { key: "no key" } })
      assert.deepInclude(unusable, { operation: "proxy", address })
      assert.lengthOf(proxy.requests, 1)
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("connector gives TLS the bytes behind the answer", () =>
    Effect.gen(function* () {
      // What a target sends that takes no TLS: an alert, fatal, handshake_failure (RFC 8446 6).
      const alert = Buffer.of(21, 3, 3, 0, 2, 2, 40)
      const http = yield* scriptedProxy(Buffer.concat([Buffer.from("HTTP/1.1 200 OK\r\n\r\n"), alert]))
      const granted = Buffer.of(5, 0, 0, 1, 0, 0, 0, 0, 0, 0)
      const socks = yield* scriptedProxy(Buffer.of(5, 0), Buffer.concat([granted, alert]))
      for (const url of [`http://127.0.0.1:${http.port}`, `socks5h://127.0.0.1:${socks.port}`]) {
        const error = yield* failure(endpoint({ secure: true, port: 443 }), { proxy: proxyAt(url) })
        assert.deepInclude(error, { operation: "tls", address: "chat.test:443" })
        assert.match(error.message, /alert handshake failure/)
      }
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("connector reports TLS options that can't be used, and a target that hangs up", () =>
    Effect.gen(function* () {
      const target = yield* rawServer
      const proxy = yield* connectProxy({ port: target.port })
      const options = { proxy: proxyAt(`http://127.0.0.1:${proxy.port}`) }
      const to = endpoint({ secure: true, port: 443 })
      const unusable = yield* failure(to, { ...options, tls: { key: "no key" } })
      assert.deepInclude(unusable, { operation: "tls", address: "chat.test:443" })
      yield* target.next
      const waiting = yield* Effect.fork(failure(to, options))
      const peer = yield* target.next
      peer.socket.destroy()
      assert.deepInclude(yield* Fiber.join(waiting), { operation: "tls", address: "chat.test:443" })
      // The target is half-open and never ends: what shows is that the client has left.
      yield* until(() => proxy.sockets.every((socket) => socket.destroyed || socket.readableEnded))
    }).pipe(Effect.scoped, withoutLeaks)
  )
})

describe("proxyTunnel: a proxy that is lost", () => {
  for (const scheme of ["http", "https"]) {
    it.scopedLive(`connector survives a reset below TLS, while it agrees and later, over ${scheme}:`, () =>
      Effect.gen(function* () {
        const tls = yield* makeCertificate(["chat.test", "localhost"])
        const silent = yield* rawServer
        const target = yield* echoServer(tls)
        const secure = scheme === "https" ? { tls } : {}
        const options = { proxyTls: { ca: tls.cert }, tls: { ca: tls.cert } }

        const hanging = yield* connectProxy({ port: silent.port, ...secure })
        const proxy = proxyAt(`${scheme}://localhost:${hanging.port}`)
        const waiting = yield* Effect.fork(failure(endpoint({ secure: true }), { ...options, proxy }))
        const peer = yield* silent.next
        yield* until(() => peer.socket.bytesRead > 0)
        for (const socket of hanging.sockets) socket.resetAndDestroy()
        assert.deepInclude(yield* Fiber.join(waiting), { operation: "tls", address: "chat.test:80" })

        const working = yield* connectProxy({ port: target.port, ...secure })
        const wire = MemoryTransport.wire(
          yield* NodeConnector.make({ ...options, proxy: proxyAt(`${scheme}://localhost:${working.port}`) })(
            endpoint({ secure: true })
          )
        )
        wire.send(bytes(1))
        yield* wire.awaitBytes(1)
        for (const socket of working.sockets) socket.resetAndDestroy()
        const error = yield* wire.awaitClosed
        assert.deepInclude(error, { _tag: "TransportError", address: "chat.test:80" })
      }).pipe(Effect.scoped, withoutLeaks)
    )
  }
})

describe("proxyTunnel: interruption", () => {
  const opened = "HTTP/1.1 200 OK\r\n\r\n"
  const granted = Buffer.of(5, 0, 0, 1, 0, 0, 0, 0, 0, 0)

  /** The stages at which a proxy can hang: the scheme, the endpoint, what it says before, and how often it is spoken to. */
  const stages: Record<string, readonly [string, Partial<Endpoint>, ReadonlyArray<string | Buffer>, number]> = {
    "the connection": ["http://", {}, [], 0],
    "TLS with the proxy": ["https://", {}, [], 1],
    CONNECT: ["http://u:p@", {}, [], 1],
    "half an answer": ["http://", {}, [opened.slice(0, -2)], 1],
    "an interim answer": ["http://", {}, ["HTTP/1.1 100 Continue\r\n\r\n"], 1],
    "TLS in the tunnel": ["http://", { secure: true }, [opened], 2],
    "the greeting of SOCKS": ["socks5h://", {}, [], 1],
    "the password of SOCKS": ["socks5h://u:p@", {}, [Buffer.of(5, 2)], 2],
    "the request of SOCKS": ["socks5h://", {}, [Buffer.of(5, 0)], 2],
    "the request of SOCKS behind a password": ["socks5h://u:p@", {}, [Buffer.of(5, 2), Buffer.of(1, 0)], 3],
    "half an answer of SOCKS": ["socks5h://", {}, [Buffer.of(5, 0), granted.subarray(0, 7)], 2],
    "TLS in the tunnel of SOCKS": ["socks5h://", { secure: true }, [Buffer.of(5, 0), granted], 3]
  }

  for (const [stage, [scheme, fields, answers, chunks]] of Object.entries(stages)) {
    it.scopedLive(`connector that is interrupted leaves nothing when the proxy hangs at ${stage}`, () =>
      Effect.gen(function* () {
        const silent = yield* scriptedProxy(...answers)
        // The scope outlives the interruption, as that of a program with a timeout around the connector does.
        const scope = yield* Scope.make()
        const options = { proxy: proxyAt(`${scheme}127.0.0.1:${silent.port}`) }
        const fiber = yield* Effect.fork(Scope.extend(NodeConnector.make(options)(endpoint(fields)), scope))
        yield* until(() => silent.chunks.length === chunks)
        assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(fiber)))
        yield* until(() => silent.sockets.every((socket) => socket.destroyed))
        yield* withoutLeaks(Scope.close(scope, Exit.void))
      }).pipe(Effect.scoped, withoutLeaks)
    )
  }

  it.scopedLive("connector that is interrupted leaves nothing when a name is being looked up", () =>
    Effect.gen(function* () {
      for (const url of ["http://proxy.test", "socks5://127.0.0.1:9"]) {
        let lookups = 0
        const options = { proxy: proxyAt(url), lookup: () => void lookups++ }
        const fiber = yield* Effect.fork(Effect.scoped(NodeConnector.make(options)(endpoint({}))))
        yield* until(() => lookups === 1)
        assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(fiber)))
      }
    }).pipe(withoutLeaks)
  )

  for (const scheme of ["http", "https"]) {
    it.scopedLive(
      `connector that is interrupted at any turn leaves nothing and fails nowhere, with TLS over ${scheme}:`,
      () =>
        Effect.gen(function* () {
          const tls = yield* makeCertificate(["chat.test", "localhost"])
          const target = yield* echoServer(tls)
          const proxy = yield* connectProxy({ port: target.port, ...(scheme === "https" && { tls }) })
          const connector = NodeConnector.make({
            proxy: proxyAt(`${scheme}://localhost:${proxy.port}`),
            proxyTls: { ca: tls.cert },
            tls: { ca: tls.cert }
          })
          let wasConnected = false
          for (let turns = 0; !wasConnected; turns++) {
            const scope = yield* Scope.make()
            const fiber = yield* Effect.fork(Scope.extend(connector(endpoint({ secure: true })), scope))
            yield* Effect.repeatN(turn, turns)
            wasConnected = Exit.isSuccess(yield* Fiber.interrupt(fiber))
            if (wasConnected) yield* Scope.close(scope, Exit.void)
            yield* until(() => [...proxy.sockets, ...target.sockets].every((socket) => socket.destroyed))
            yield* withoutLeaks(Scope.close(scope, Exit.void))
          }
          assert.isNotEmpty(target.sockets)
        }).pipe(Effect.scoped, withoutLeaks)
    )
  }

  it.scopedLive("connector within a scope destroys its transport on release, over both sockets", () =>
    Effect.gen(function* () {
      const tls = yield* makeCertificate(["chat.test", "localhost"])
      const target = yield* echoServer(tls)
      const proxy = yield* connectProxy({ port: target.port, tls })
      const options = {
        proxy: proxyAt(`https://localhost:${proxy.port}`),
        proxyTls: { ca: tls.cert },
        tls: { ca: tls.cert }
      }
      yield* Effect.scoped(connectAndEcho(endpoint({ secure: true }), options))
      yield* until(() => [...proxy.sockets, ...target.sockets].every((socket) => socket.destroyed))
      assert.lengthOf(target.sockets, 1)
    }).pipe(Effect.scoped, withoutLeaks)
  )
})

describe("proxyTunnel: the transport", () => {
  it.scopedLive("transport goes on writing when the other half of the tunnel has ended", () =>
    Effect.gen(function* () {
      const raw = yield* rawServer
      const proxy = proxyAt(`http://127.0.0.1:${raw.port}`)
      const connecting = yield* Effect.fork(NodeConnector.make({ proxy })(endpoint({})))
      const peer = yield* raw.next
      yield* peer.next
      peer.send(Buffer.from("HTTP/1.1 200 OK\r\n\r\n"))
      const transport = yield* Fiber.join(connecting)
      const events = recordOn(transport)
      peer.socket.end()
      yield* until(() => events.includes("end"))
      const received = peer.socket.bytesRead
      transport.write([bytes(1, 2, 3)])
      yield* until(() => peer.socket.bytesRead === received + 3)
      assert.deepStrictEqual(events, ["end"])
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive(
    "transport of TLS in a tunnel is closed without an error on release, whatever it has left to write",
    () =>
      Effect.gen(function* () {
        const tls = yield* makeCertificate(["chat.test", "localhost"])
        const target = yield* echoServer({ ...tls, pauseOnConnect: true })
        const proxy = yield* connectProxy({ port: target.port, tls })
        const options = {
          proxy: proxyAt(`https://localhost:${proxy.port}`),
          proxyTls: { ca: tls.cert },
          tls: { ca: tls.cert }
        }
        const scope = yield* Scope.make()
        const transport = yield* Scope.extend(NodeConnector.make(options)(endpoint({ secure: true })), scope)
        const events = recordOn(transport)
        assert.isFalse(transport.write([new Uint8Array(32 * 1024 * 1024)]))
        yield* turn
        assert.isAbove(transport.writable, 0)
        yield* Scope.close(scope, Exit.void)
        yield* until(() => events.length > 0)
        assert.deepStrictEqual(events, ["closed"])
      }).pipe(Effect.scoped, withoutLeaks)
  )
})

/** Every way in which a program may show an error by accident. */
const shownAs = (error: TransportError): string =>
  [
    inspect(error, { depth: Infinity, showHidden: true }),
    inspect(error, { depth: Infinity, showHidden: true, customInspect: false }),
    inspect({ ...error }, { depth: Infinity }),
    JSON.stringify(error),
    JSON.stringify({ ...error, cause: { ...(error.cause as object) } }),
    Cause.pretty(Cause.fail(error), { renderErrorCause: true }),
    String(error),
    error.message,
    error.stack
  ].join("\n")

describe("proxyTunnel: what it shows", () => {
  it.scopedLive("connector shows no credentials in any error", () =>
    Effect.gen(function* () {
      const http = yield* connectProxy({ credentials: "other:one" })
      const socks = yield* socksProxy({ credentials: "other:one" })
      const closed = yield* Effect.scoped(scriptedProxy())
      const junk = yield* scriptedProxy("nonsense\r\n")
      const encoded = Buffer.from("hidden-user:s3cret").toString("base64")
      const urls = [
        `http://hidden-user:s3cret@127.0.0.1:${http.port}`,
        `http://hidden-user:s3cret@127.0.0.1:${closed.port}`,
        `http://hidden-user:s3cret@127.0.0.1:${junk.port}`,
        `https://hidden-user:s3cret@127.0.0.1:${junk.port}`,
        `socks5h://hidden-user:s3cret@127.0.0.1:${socks.port}`,
        `socks5h://hidden-user:s3cret@127.0.0.1:${junk.port}`
      ]
      for (const url of urls) {
        const error = yield* failure(endpoint({}), { proxy: proxyAt(url) })
        assert.strictEqual(error.operation, "proxy")
        for (const secret of ["hidden-user", "s3cret", encoded]) assert.notInclude(shownAs(error), secret)
      }
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("connector shows no field in which the proxy repeats the credentials, and all others", () =>
    Effect.gen(function* () {
      const text = "hidden-j\u00f6rg:s3cret"
      const token = Buffer.from(text).toString("base64")
      const unpadded = token.replaceAll("=", "")
      assert.notStrictEqual(unpadded, token)
      const echo = [
        `Proxy-Authorization: Basic ${token}`,
        `X-Request: CONNECT chat.test:80, ${unpadded}!`,
        `X-Who: <${text}>`,
        `${unpadded}: 1`
      ]
      const proxy = yield* scriptedProxy(
        ["HTTP/1.1 407 No", ...echo, "X-Kept: Basic", "x-kept: hidden", "", ""].join("\r\n")
      )
      const url = `http://hidden-j%C3%B6rg:s3cret@127.0.0.1:${proxy.port}`
      const error = yield* failure(endpoint({}), { proxy: proxyAt(url) })
      assert.deepStrictEqual((error.cause as Proxy.ProxyError).reason, {
        _tag: "Refused",
        status: 407,
        fields: [
          ["X-Kept", "Basic"],
          ["x-kept", "hidden"]
        ]
      })
      for (const secret of ["s3cret", unpadded]) assert.notInclude(shownAs(error), secret)
    }).pipe(Effect.scoped, withoutLeaks)
  )
})
