import type { Endpoint } from "@effect-ws/api/Connector"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as NodeWebSocketClient from "@effect-ws/platform-node/NodeWebSocketClient"
import * as Proxy from "@effect-ws/platform-node/Proxy"
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Https from "node:https"
import type { AddressInfo, LookupFunction } from "node:net"
import { inspect } from "node:util"
import { makeCertificate } from "./support/certificate.ts"
import { withoutLeaks } from "./support/leaks.ts"
import { serveWs, text } from "./support/peers.ts"
import { connectProxy, scriptedProxy, socksProxy, type TestProxy } from "./support/proxies.ts"
import { connect } from "./support/serving.ts"
import { event, socketPath, until } from "./support/sockets.ts"

const proxyAt = (url: string) => Either.getOrThrow(Proxy.make(url))

const endpoint = (url: string): Endpoint => {
  const { hostname, port, protocol } = new URL(url)
  const secure = protocol === "wss:"
  const defaultPort = secure ? 443 : 80
  return {
    secure,
    hostname: hostname.replace(/^\[|\]$/g, ""),
    port: port === "" ? defaultPort : Number(port),
    unixPath: undefined
  }
}

/** Every way in which a program may show a value by accident. */
const shownAs = (value: object): string =>
  [
    inspect(value, { depth: Infinity, showHidden: true }),
    JSON.stringify(value),
    JSON.stringify({ ...value }),
    inspect({ ...value }),
    String(value),
    `${Object.entries(value)}`
  ].join("\n")

describe("Proxy.make", () => {
  it("proxy has the parts of its URL, and the port of its scheme", () => {
    const cases = [
      ["http://proxy.test", "http", "proxy.test", 80],
      ["http://proxy.test:80/", "http", "proxy.test", 80],
      ["HTTPS://Proxy.Test", "https", "proxy.test", 443],
      ["https://proxy.test:3128", "https", "proxy.test", 3128],
      ["socks5://Proxy.Test", "socks5", "proxy.test", 1080],
      ["socks5h://proxy.test:80/", "socks5h", "proxy.test", 80],
      ["http://[2001:DB8::1]:8080", "http", "2001:db8::1", 8080],
      ["socks5://[::1]:8080", "socks5", "::1", 8080],
      ["socks5://127.0.0.1", "socks5", "127.0.0.1", 1080],
      ["socks5://b\u00fccher.test", "socks5", "xn--bcher-kva.test", 1080]
    ] as const
    for (const [url, protocol, hostname, port] of cases) {
      const { credentials, ...parts } = proxyAt(url)
      assert.deepStrictEqual(parts, { _tag: "Proxy", protocol, hostname, port } as typeof parts, url)
      assert.isUndefined(credentials, url)
    }
  })

  it("proxy has the credentials of its URL, percent-decoded", () => {
    const cases = [
      ["http://user:secret@a", "user", "secret"],
      ["http://j%C3%B6rg:p%40ss:word%3A@a", "j\u00f6rg", "p@ss:word:"],
      ["http://user@a", "user", ""],
      ["http://:secret@a", "", "secret"],
      ["socks5://a%3Ab:c@a", "a:b", "c"],
      [`socks5h://${"u".repeat(255)}:${"p".repeat(255)}@a`, "u".repeat(255), "p".repeat(255)],
      [`http://${"u".repeat(256)}@a`, "u".repeat(256), ""]
    ] as const
    for (const [url, username, password] of cases) {
      const { credentials } = proxyAt(url)
      assert.isDefined(credentials)
      assert.strictEqual(Redacted.value(credentials!.username), username)
      assert.strictEqual(Redacted.value(credentials!.password), password)
    }
  })

  it("proxy is none of what isn't one, and the error doesn't repeat it", () => {
    const cases = [
      ["", "Url"],
      ["s3cret", "Url"],
      ["//s3cret@a", "Url"],
      ["http://s3cret@", "Url"],
      ["http://user:s3cret@a:99999", "Url"],
      ["http://user:s3cret@a b", "Url"],
      ["s3cret:3128", "Scheme"],
      ["user:s3cret@a:3128", "Scheme"],
      ["s3cret://a", "Scheme"],
      ["socks4://user:s3cret@a", "Scheme"],
      ["socks://user:s3cret@a", "Scheme"],
      ["toString://user:s3cret@a", "Scheme"],
      ["socks5:///s3cret", "Path"],
      ["socks5://", "Host"],
      ["socks5:", "Host"],
      ["http://user:s3cret@a:0", "Host"],
      ["socks5://user:s3cret@%00", "Host"],
      ["http://a/s3cret", "Path"],
      ["http://a?s3cret", "Path"],
      ["http://a#s3cret", "Path"],
      ["socks5://a/s3cret", "Path"],
      ["http://s3cret%ZZ@a", "Credentials"],
      ["http://user:s3cret%FF@a", "Credentials"],
      ["http://user:s3cret%0D%0A@a", "Credentials"],
      ["http://s3cret%3Auser@a", "Credentials"],
      ["https://s3cret%3Auser@a", "Credentials"],
      [`socks5://s3cret${"\u00e9".repeat(125)}@a`, "Credentials"],
      [`socks5h://user:s3cret${"p".repeat(250)}@a`, "Credentials"]
    ] as const
    for (const [url, reason] of cases) {
      const error = Either.getOrThrow(Either.flip(Proxy.make(url)))
      assert.deepInclude(error, { _tag: "InvalidProxy", reason }, url)
      assert.match(error.message, /^The URL of a proxy (is|has|must) /)
      assert.notInclude(`${shownAs(error)}\n${error.message}\n${error.stack}`, "s3cret")
    }
  })

  it("proxy is shown without its credentials", () => {
    for (const scheme of ["http", "https", "socks5", "socks5h"]) {
      const proxy = proxyAt(`${scheme}://hidden:s%33cret@proxy.test:3128`)
      const shown = shownAs(proxy)
      for (const part of [scheme, "proxy.test", "3128", "<redacted>"]) assert.include(shown, part)
      for (const secret of ["hidden", "s3cret", "s%33cret"]) assert.notInclude(shown, secret)
      assert.notInclude(shownAs({ choice: Proxy.choose({ ws: proxy, wss: proxy }) }), "s3cret")
    }
    assert.notInclude(String(proxyAt("http://proxy.test")), "redacted")
  })
})

describe("Proxy.choose", () => {
  const proxy = proxyAt("http://proxy.test")

  const exempt = (noProxy: string, host: string) =>
    Proxy.choose({ ws: proxy, noProxy })(endpoint(`ws://${host}`)) === undefined

  it("choice is by scheme", () => {
    const other = proxyAt("http://other.test")
    const both = Proxy.choose({ ws: proxy, wss: other })
    assert.strictEqual(both(endpoint("ws://a")), proxy)
    assert.strictEqual(both(endpoint("wss://a")), other)
    assert.isUndefined(Proxy.choose({ ws: proxy })(endpoint("wss://a")))
    assert.isUndefined(Proxy.choose({ wss: proxy })(endpoint("ws://a")))
  })

  it("choice is no proxy for the hosts that the list names, and a proxy for those it doesn't", () => {
    // The list, hosts that are on it, hosts that are not.
    const cases: ReadonlyArray<readonly [string, ReadonlyArray<string>, ReadonlyArray<string>]> = [
      ["", [], ["a.test", "127.0.0.1", "localhost"]],
      [" , ,", [], ["a.test"]],
      ["*", ["a.test", "127.0.0.1", "[::1]:8080"], []],
      ["b.test, *", ["a.test"], []],
      ["a.test", ["a.test", "A.Test", "b.a.test", "c.b.a.test:8080", "a.test."], ["ba.test", "test", "a.test.b"]],
      [".a.test", ["a.test", "b.a.test"], ["ba.test"]],
      ["*.a.test", ["a.test", "b.a.test"], ["ba.test"]],
      ["A.TEST.", ["a.test", "b.a.test"], ["ba.test"]],
      ["x.test,a.test", ["a.test", "x.test"], ["y.test"]],
      ["x.test a.test", ["a.test", "x.test"], ["y.test"]],
      ["  x.test ,\ta.test ", ["a.test", "x.test"], ["y.test"]],
      ["a.test:8080", ["a.test:8080", "b.a.test:8080"], ["a.test", "a.test:8081"]],
      ["a.test:80", ["a.test", "a.test:80"], ["a.test:8080"]],
      ["127.0.0.1", ["127.0.0.1", "127.1", "127.0.0.1:8080"], ["127.0.0.2", "1.127.0.0.1.test"]],
      ["127.0.0.1:8080", ["127.0.0.1:8080"], ["127.0.0.1", "127.0.0.2:8080"]],
      ["0.1, 1", [], ["127.0.0.1"]],
      ["10.0.0.0/8", ["10.0.0.1", "10.255.255.255", "[::ffff:10.1.2.3]"], ["11.0.0.1", "10.a.test", "[::1]"]],
      ["192.0.2.7/32:81", ["192.0.2.7:81"], ["192.0.2.7", "192.0.2.8:81"]],
      ["0.0.0.0/0", ["192.0.2.7"], ["a.test", "[2001:db8::1]"]],
      ["10.0.0.0/33,10.0.0.0/,10.0.0.0/x,10.0.0.0/-1", [], ["10.0.0.0", "10.0.0.1"]],
      ["::1", ["[::1]", "[0:0:0:0:0:0:0:1]:8080"], ["[::2]", "127.0.0.1"]],
      ["[::1]", ["[::1]", "[::1]:8080"], ["[::2]"]],
      ["[::1]:8080", ["[::1]:8080"], ["[::1]"]],
      ["2001:DB8:0::1", ["[2001:db8::1]"], ["[2001:db8::2]"]],
      ["2001:db8::/32", ["[2001:db8::1]", "[2001:db8:ffff::]"], ["[2001:db9::]", "10.0.0.1"]],
      ["[2001:db8::/32]:81", ["[2001:db8::1]:81"], ["[2001:db8::1]"]],
      ["2001:db8::/129", [], ["[2001:db8::]"]],
      ["[", [], ["a.test"]],
      [":80", [], ["a.test", "127.0.0.1"]],
      [".", [], ["a.test", "127.0.0.1"]]
    ]
    for (const [list, on, off] of cases) {
      for (const host of on) assert.isTrue(exempt(list, host), `${host} is on ${list}`)
      for (const host of off) assert.isFalse(exempt(list, host), `${host} isn't on ${list}`)
    }
  })
})

describe("Proxy.fromConfig", () => {
  const read = (variables: Record<string, string>) =>
    Effect.withConfigProvider(Proxy.fromConfig, ConfigProvider.fromMap(new Map(Object.entries(variables))))

  const hostFor = (variables: Record<string, string>, url: string) =>
    Effect.map(read(variables), (choice) => choice(endpoint(url))?.hostname)

  it.effect("choice is no proxy when nothing is set", () =>
    Effect.gen(function* () {
      for (const url of ["ws://a.test", "wss://a.test"]) {
        assert.isUndefined(yield* hostFor({}, url))
        assert.isUndefined(yield* hostFor({ http_proxy: "", HTTPS_PROXY: " ", all_proxy: "" }, url))
      }
    })
  )

  it.effect("choice takes the first variable that is set and not empty", () =>
    Effect.gen(function* () {
      const order: Record<string, ReadonlyArray<string>> = {
        "ws://a.test": ["ws_proxy", "WS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"],
        "wss://a.test": ["wss_proxy", "WSS_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
      }
      for (const [url, names] of Object.entries(order)) {
        for (let first = 0; first < names.length; first++) {
          const variables = Object.fromEntries(
            names.map((name, index) => [name, index < first ? "" : `http://proxy-${index}.test`])
          )
          assert.strictEqual(yield* hostFor(variables, url), `proxy-${first}.test`)
        }
      }
    })
  )

  it.effect("choice keeps the variables of one scheme from the other", () =>
    Effect.gen(function* () {
      for (const name of ["ws_proxy", "WS_PROXY", "http_proxy", "HTTP_PROXY"]) {
        assert.isUndefined(yield* hostFor({ [name]: "http://proxy.test" }, "wss://a.test"))
      }
      for (const name of ["wss_proxy", "WSS_PROXY", "https_proxy", "HTTPS_PROXY"]) {
        assert.isUndefined(yield* hostFor({ [name]: "http://proxy.test" }, "ws://a.test"))
      }
    })
  )

  it.effect("choice reads a value without a scheme as an http: proxy", () =>
    Effect.gen(function* () {
      const choice = yield* read({ all_proxy: " user:secret@proxy.test:3128 " })
      assert.deepInclude(choice(endpoint("ws://a")), { protocol: "http", hostname: "proxy.test", port: 3128 })
      const other = yield* read({ all_proxy: "socks5h://proxy.test" })
      assert.deepInclude(other(endpoint("ws://a")), { protocol: "socks5h", hostname: "proxy.test", port: 1080 })
    })
  )

  it.effect("choice exempts the hosts of no_proxy, which wins over NO_PROXY", () =>
    Effect.gen(function* () {
      const all = { all_proxy: "http://proxy.test" }
      for (const name of ["no_proxy", "NO_PROXY"]) {
        assert.isUndefined(yield* hostFor({ ...all, [name]: "a.test" }, "ws://a.test"))
        assert.strictEqual(yield* hostFor({ ...all, [name]: "a.test" }, "ws://b.test"), "proxy.test")
      }
      const both = { ...all, no_proxy: "a.test", NO_PROXY: "b.test" }
      assert.isUndefined(yield* hostFor(both, "ws://a.test"))
      assert.strictEqual(yield* hostFor(both, "ws://b.test"), "proxy.test")
      assert.isUndefined(yield* hostFor({ ...all, no_proxy: "", NO_PROXY: "b.test" }, "ws://b.test"))
    })
  )

  it.effect("choice can't be made of what is no proxy; the error names the variable and doesn't repeat the value", () =>
    Effect.gen(function* () {
      const cases = [
        ["https_proxy", "socks4://user:s3cret@a"],
        ["ALL_PROXY", "user:s3cret@"],
        ["HTTP_PROXY", "http://user:s3cret@a:99999"],
        ["WS_PROXY", "http://user:s3cret%ZZ@a"]
      ] as const
      for (const [name, value] of cases) {
        const error = yield* Effect.flip(read({ [name]: value, all_proxy: "" }))
        // The one for all is invalid for each.
        const first = error._op === "And" ? error.left : error
        assert.deepInclude(first, { _op: "InvalidData", path: [name] })
        assert.notInclude(`${shownAs(error)}\n${String(error)}`, "s3cret")
      }
      // What another variable wins over isn't looked at.
      const both = { ws_proxy: "http://proxy.test", wss_proxy: "http://proxy.test", ALL_PROXY: "gopher://a" }
      assert.strictEqual(yield* hostFor(both, "ws://a"), "proxy.test")
    })
  )
})

/** `ws` as a server, plain and with TLS, which every proxy takes for `chat.test`. */
const targets = Effect.gen(function* () {
  const certificate = yield* makeCertificate(["chat.test", "localhost"])
  const server = yield* Effect.acquireRelease(
    Effect.sync(() => Https.createServer(certificate)),
    (server) => Effect.sync(() => void server.close())
  )
  yield* event(server.listen(0, "127.0.0.1"), "listening")
  const secure = yield* serveWs({ server }, "wss")
  const plain = yield* serveWs()
  return {
    certificate,
    targets: [
      { url: "ws://chat.test/path", server: plain, port: plain.port },
      { url: "wss://chat.test/path", server: secure, port: (server.address() as AddressInfo).port }
    ]
  }
})

const toLoopback: LookupFunction = (_, options, callback) => {
  const found = { address: "127.0.0.1", family: 4 }
  process.nextTick(() => (options.all === true ? callback(null, [found]) : callback(null, found.address, 4)))
}

/** Sends a message there and back. */
const exchange = (
  url: string,
  { next }: Effect.Effect.Success<ReturnType<typeof serveWs>>,
  options: NodeWebSocketClient.Options
) =>
  Effect.gen(function* () {
    const socket = yield* connect(url, {}, options)
    const [peer] = yield* next
    yield* socket.send("hello")
    assert.deepStrictEqual(yield* peer.next, text("hello"))
    peer.send("hello back")
    assert.deepInclude(yield* socket.receive, { text: "hello back" })
    return socket
  })

describe("Proxy: client", () => {
  const kinds: Record<string, { readonly start: typeof connectProxy | typeof socksProxy; readonly overTls: boolean }> =
    {
      http: { start: connectProxy, overTls: false },
      https: { start: connectProxy, overTls: true },
      socks5: { start: socksProxy, overTls: false },
      socks5h: { start: socksProxy, overTls: false }
    }

  for (const [scheme, { overTls, start }] of Object.entries(kinds)) {
    it.scopedLive(`client opens ws: and wss: through a proxy of ${scheme}:`, () =>
      Effect.gen(function* () {
        const { certificate, targets: both } = yield* targets
        for (const { port, server, url } of both) {
          const credentials = "user:secret"
          const proxy: TestProxy = yield* start({ port, credentials, ...(overTls && { tls: certificate }) })
          const socket = yield* exchange(url, server, {
            proxy: proxyAt(`${scheme}://${credentials}@localhost:${proxy.port}`),
            proxyTls: { ca: certificate.cert },
            tls: { ca: certificate.cert },
            family: 4,
            lookup: toLoopback
          })
          assert.deepInclude(socket.info.remoteAddress, { hostname: "127.0.0.1", port: proxy.port })
          assert.strictEqual(socket.request.host, "chat.test")
          assert.strictEqual(
            socket.info.tls?.serverName,
            url.startsWith("wss:") ? "chat.test" : overTls ? "localhost" : undefined
          )
          assert.lengthOf(proxy.requests, 1)
          assert.strictEqual(proxy.requests[0]?.credentials, credentials)
        }
      }).pipe(Effect.scoped, withoutLeaks)
    )
  }

  it.scopedLive("client asks for each connection which proxy it takes, but for none on a unix socket", () =>
    Effect.gen(function* () {
      const server = yield* serveWs()
      const proxy = yield* connectProxy({ port: server.port })
      const asked: Array<Endpoint> = []
      const options: NodeWebSocketClient.Options = {
        proxy: (endpoint) => {
          asked.push(endpoint)
          return endpoint.hostname === "chat.test" ? proxyAt(`http://127.0.0.1:${proxy.port}`) : undefined
        }
      }
      yield* exchange("ws://chat.test", server, options)
      yield* exchange(server.url, server, options)
      assert.deepStrictEqual(asked, [
        { secure: false, hostname: "chat.test", port: 80, unixPath: undefined },
        { secure: false, hostname: "127.0.0.1", port: server.port, unixPath: undefined }
      ])
      assert.lengthOf(proxy.requests, 1)
      const unixPath = yield* socketPath
      for (const choice of [options.proxy, proxyAt(`http://127.0.0.1:${proxy.port}`)]) {
        const { reason } = yield* Effect.flip(connect("ws://chat.test", { unixPath }, { proxy: choice }))
        assert.deepInclude(reason._tag === "Transport" ? reason.error : reason, {
          operation: "connect",
          address: unixPath
        })
      }
      assert.lengthOf(asked, 2)
      assert.lengthOf(proxy.sockets, 1)
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("client takes the proxy from the Config when it is told to", () =>
    Effect.gen(function* () {
      const server = yield* serveWs()
      const proxy = yield* connectProxy({ port: server.port })
      const variables = new Map([
        ["http_proxy", `http://127.0.0.1:${proxy.port}`],
        ["no_proxy", "127.0.0.1"]
      ])
      const client = Layer.unwrapEffect(
        Effect.map(Proxy.fromConfig, (proxy) => NodeWebSocketClient.layerWith({ proxy }))
      ).pipe(Layer.provide(Layer.setConfigProvider(ConfigProvider.fromMap(variables))))
      yield* Effect.provide(WebSocket.connect("ws://chat.test"), client)
      yield* Effect.provide(WebSocket.connect(server.url), client)
      assert.deepStrictEqual(
        proxy.requests.map(({ target }) => target),
        ["chat.test:80"]
      )
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("client takes nothing from the environment unasked", () =>
    Effect.gen(function* () {
      const server = yield* serveWs()
      const variables = new Map([["http_proxy", "http://127.0.0.1:9"]])
      yield* Effect.withConfigProvider(exchange(server.url, server, {}), ConfigProvider.fromMap(variables))
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("client that gives up on a proxy which hangs leaves nothing", () =>
    Effect.gen(function* () {
      for (const scheme of ["http", "https", "socks5h"]) {
        const silent = yield* scriptedProxy()
        const options = { proxy: proxyAt(`${scheme}://127.0.0.1:${silent.port}`) }
        const { reason } = yield* Effect.flip(connect("ws://chat.test", { handshakeTimeout: "50 millis" }, options))
        assert.deepInclude(reason, { _tag: "Timeout", phase: "connect" })
        yield* until(() => silent.sockets.every((socket) => socket.destroyed))
      }
    }).pipe(Effect.scoped, withoutLeaks)
  )
})
