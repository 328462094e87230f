/** What a hostile server, or a proxy, may answer to a client, and what a client must not be talked into; over real sockets. */
import { Entropy } from "@effect-ws/api/Entropy"
import type { HandshakeReason } from "@effect-ws/api/HandshakeError"
import type { ConnectOptions } from "@effect-ws/api/ConnectOptions"
import type * as NodeWebSocketClient from "@effect-ws/platform-node/NodeWebSocketClient"
import * as NodeWebSocketServer from "@effect-ws/platform-node/NodeWebSocketServer"
import * as Proxy from "@effect-ws/platform-node/Proxy"
import { assert, describe, it, vi } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as Net from "node:net"
import { inspect } from "node:util"
import { makeCertificate } from "./support/certificate.ts"
import { withoutLeaks } from "./support/leaks.ts"
import { accepting, acceptRaw, type RawPeer, rawServer } from "./support/rawPeer.ts"
import { connect, serveEcho } from "./support/serving.ts"
import { event } from "./support/sockets.ts"

type Reason<Tag> = Extract<HandshakeReason, { readonly _tag: Tag }>

/** Why the connection fails, which has to be for a reason with this tag. */
const reasonOf = <Tag extends HandshakeReason["_tag"]>(
  tag: Tag,
  url: string,
  options?: ConnectOptions,
  clientOptions?: NodeWebSocketClient.Options
) =>
  connect(url, options, clientOptions).pipe(
    Effect.scoped,
    Effect.flip,
    Effect.map(({ answer, reason, reusable, role }) => {
      assert.strictEqual(reason._tag, tag, inspect(reason))
      assert.deepStrictEqual([role, reusable, answer], ["client", false, undefined])
      return reason as Reason<Tag>
    })
  )

/** A server that sends this to whom asks, and the end behind it unless it has more to say. */
const answering = (answer: (head: string) => string | Buffer, isLast = true) =>
  Effect.tap(rawServer, ({ next }) =>
    Effect.forkScoped(
      Effect.forever(
        Effect.gen(function* () {
          const peer = yield* next
          const request = yield* peer.next
          if (request._tag !== "Head") return
          peer.socket.write(answer(request.head))
          if (isLast) peer.socket.end()
        })
      )
    )
  )

const test = <E>(title: string, body: () => Effect.Effect<unknown, E, Scope.Scope>) =>
  it.scopedLive(title, () => body().pipe(Effect.scoped, withoutLeaks))

/** The 101 for a request, in which the lines with this name are replaced. */
const alter =
  (name: string, ...replacement: ReadonlyArray<string>) =>
  (head: string) => {
    const lines = accepting(head).toString().trimEnd().split("\r\n")
    const kept = lines.filter((line) => !line.startsWith(`${name}:`))
    return [...kept, ...replacement, "", ""].join("\r\n")
  }

/** Writes the text again and again, until the peer has gone, and returns how many bytes it could write. */
const flood = (peer: RawPeer, text: string): Effect.Effect<number> =>
  Effect.async<number>((resume) => {
    const piece = text.repeat(Math.ceil(16_384 / text.length))
    const write = (): void => {
      while (!peer.socket.destroyed && peer.socket.write(piece));
    }
    peer.socket.on("drain", write)
    peer.socket.on("close", () => resume(Effect.succeed(peer.socket.bytesWritten)))
    write()
  })

describe("Attack cases of the opening handshake: responses", () => {
  test("client, case 23: any status but 101 is a typed error with the status, the fields, and the body up to a cap", () =>
    Effect.gen(function* () {
      for (const status of [200, 204, 301, 302, 307, 401, 403, 404, 407, 426, 500, 503, 599, 999]) {
        const body = status === 204 ? "" : `why ${status}`
        const head = `HTTP/1.1 ${status} \r\nX-Why: because\r\nContent-Length: ${body.length}\r\n\r\n`
        const { url } = yield* answering(() => head + body)
        const declined = yield* reasonOf("Declined", url)
        assert.deepInclude(declined, { status, isComplete: true })
        assert.deepInclude(declined.headers, ["X-Why", "because"])
        assert.strictEqual(Buffer.from(declined.body).toString(), body)
      }
      const { url } = yield* answering(() => `HTTP/1.1 403 \r\nContent-Length: 1000\r\n\r\n${"x".repeat(1000)}`)
      const declined = yield* reasonOf("Declined", url, { maxBodySize: 100 })
      assert.deepInclude(declined, { isComplete: false })
      assert.strictEqual(declined.body.length, 100)
    }))

  test("client, case 24: a 101 without the three fields, or with wrong ones, opens nothing", () =>
    Effect.gen(function* () {
      const wrong = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
      const cases: ReadonlyArray<[HandshakeReason["_tag"], (head: string) => string]> = [
        ["MissingAccept", alter("Sec-WebSocket-Accept")],
        ["WrongAccept", alter("Sec-WebSocket-Accept", `Sec-WebSocket-Accept: ${wrong}`)],
        ["WrongAccept", alter("Sec-WebSocket-Accept", "Sec-WebSocket-Accept:")],
        [
          "RepeatedField",
          (head) => alter("none", /^Sec-WebSocket-Accept: .*$/m.exec(accepting(head).toString())![0])(head)
        ],
        ["MissingUpgrade", alter("Upgrade")],
        ["UpgradeWithoutWebsocket", alter("Upgrade", "Upgrade: h2c")],
        ["UpgradeWithoutWebsocket", alter("Upgrade", "Upgrade: websocket, h2c")],
        ["MissingConnection", alter("Connection")],
        ["ConnectionWithoutUpgrade", alter("Connection", "Connection: close")],
        ["HttpVersion", (head) => alter("none")(head).replace("HTTP/1.1", "HTTP/1.0")],
        ["MalformedHead", (head) => alter("none")(head).replaceAll("\r\n", "\n")],
        ["MalformedHead", alter("none", "A : b")]
      ]
      for (const [tag, answer] of cases) yield* reasonOf(tag, (yield* answering(answer)).url)
    }))

  test("client, case 25: what was not asked for is refused, deflate with any parameters among it", () =>
    Effect.gen(function* () {
      const refusedFor = (tag: HandshakeReason["_tag"], line: string) =>
        Effect.flatMap(answering(alter("none", line)), ({ url }) => reasonOf(tag, url, { subprotocols: ["a", "b"] }))
      yield* refusedFor("UnrequestedSubprotocol", "Sec-WebSocket-Protocol: c")
      yield* refusedFor("UnrequestedSubprotocol", "Sec-WebSocket-Protocol: A")
      yield* refusedFor("MultipleSubprotocols", "Sec-WebSocket-Protocol: a, b")
      yield* refusedFor("MultipleSubprotocols", "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: a")
      yield* refusedFor("MalformedField", "Sec-WebSocket-Protocol:")
      yield* refusedFor("UnrequestedExtension", "Sec-WebSocket-Extensions: unknown")
      yield* refusedFor("UnrequestedExtension", "Sec-WebSocket-Extensions: __proto__; constructor=1")
      yield* refusedFor("MalformedField", 'Sec-WebSocket-Extensions: a; b="c')
      const parameters = [
        "",
        "server_max_window_bits=8",
        "server_max_window_bits=16",
        "client_max_window_bits=0",
        "x=1, y"
      ]
      for (const text of parameters) {
        yield* refusedFor("UnrequestedExtension", `Sec-WebSocket-Extensions: permessage-deflate${text && `; ${text}`}`)
      }
    }))

  const floods: ReadonlyArray<[what: string, start: string, text: string, tag: HandshakeReason["_tag"]]> = [
    ["fields", "HTTP/1.1 101 x\r\n", "A: b\r\n", "TooManyFields"],
    ["a field", "HTTP/1.1 101 x\r\nA: ", "b", "HeadTooLarge"],
    ["interim responses", "", "HTTP/1.1 103 x\r\nA: b\r\n\r\n", "TooManyInterimResponses"],
    ["a body", "HTTP/1.1 403 x\r\n\r\n", "b", "Declined"],
    ["chunks", "HTTP/1.1 403 x\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nb\r\n", "Declined"]
  ]
  for (const [what, start, text, tag] of floods) {
    test(`client, case 26: ${what} without an end are cut off`, () =>
      Effect.gen(function* () {
        const { next, url } = yield* rawServer
        const failing = yield* Effect.fork(reasonOf(tag, url))
        const peer = yield* next
        yield* peer.next
        peer.socket.write(start)
        const written = yield* flood(peer, text)
        const reason = yield* Fiber.join(failing)
        if (reason._tag === "Declined") assert.isFalse(reason.isComplete)
        if (reason._tag === "Declined") assert.isAtMost(reason.body.length, 64 * 1024)
        // What the client doesn't read stays with the system: a few MB at most, where the peer had no end.
        assert.isBelow(written, 64 * 1024 * 1024)
      }))
  }

  test("client, case 26: an answer of a proxy without an end is cut off, and one that never comes has a deadline", () =>
    Effect.gen(function* () {
      const errorOf = (port: number, handshakeTimeout?: number) =>
        connect("ws://target.test/", handshakeTimeout === undefined ? {} : { handshakeTimeout }, {
          proxy: Either.getOrThrow(Proxy.make(`http://127.0.0.1:${port}`))
        }).pipe(Effect.scoped, Effect.flip)
      const { next, port } = yield* rawServer
      const failing = yield* Effect.fork(errorOf(port))
      const peer = yield* next
      peer.socket.write("HTTP/1.1 200 OK\r\nA: ")
      yield* flood(peer, "b")
      const { reason } = yield* Fiber.join(failing)
      assert(reason._tag === "Transport", inspect(reason))
      assert(reason.error.cause instanceof Proxy.ProxyError)
      assert.deepInclude(reason.error.cause.reason, { _tag: "InvalidAnswer" })
      const waiting = yield* Effect.fork(errorOf(port, 50))
      yield* next
      assert.deepInclude((yield* Fiber.join(waiting)).reason, { _tag: "Timeout", phase: "connect" })
    }))

  const redirects: ReadonlyArray<[problem: Reason<"RedirectRefused">["problem"], location: (url: string) => string]> = [
    ["Loop", (url) => url],
    ["InvalidLocation", () => "ftp://127.0.0.1/"],
    ["InvalidLocation", () => "javascript:alert(1)"],
    ["InvalidLocation", () => "ws://user:secret@127.0.0.1/"],
    ["InvalidLocation", (url) => `${url}/elsewhere#fragment`]
  ]
  for (const [problem, location] of redirects) {
    test(`client, case 27: a redirect to ${location("the same URL")} is refused as ${problem}`, () =>
      Effect.gen(function* () {
        const server: { readonly url: string } = yield* answering(
          () => `HTTP/1.1 302 x\r\nLocation: ${location(`${server.url}/`)}\r\nContent-Length: 0\r\n\r\n`
        )
        const options = { maxRedirects: 5 }
        assert.deepInclude(yield* reasonOf("RedirectRefused", `${server.url}/`, options), { status: 302, problem })
        assert.deepInclude(yield* reasonOf("Declined", `${server.url}/`), { status: 302 })
      }))
  }

  test("client, case 27: redirects without an end stop at maxRedirects", () =>
    Effect.gen(function* () {
      let asked = 0
      const { url } = yield* answering(() => `HTTP/1.1 307 x\r\nLocation: /${++asked}\r\nContent-Length: 0\r\n\r\n`)
      const reason = yield* reasonOf("RedirectRefused", url, { maxRedirects: 3 })
      assert.deepInclude(reason, { status: 307, problem: "TooMany" })
      assert.strictEqual(asked, 4)
    }))

  test("client, case 27: another origin is told no credentials, the same one is", () =>
    Effect.gen(function* () {
      const other = yield* rawServer
      const server = yield* answering((head) =>
        head.startsWith("GET /first ")
          ? "HTTP/1.1 302 x\r\nLocation: /second\r\nContent-Length: 0\r\n\r\n"
          : `HTTP/1.1 302 x\r\nLocation: ${other.url}/third\r\nContent-Length: 0\r\nX-Seen: ${/^Authorization: .*$/m.test(head)}\r\n\r\n`
      )
      const headers = { Cookie: "session=1", "Proxy-Authorization": "Basic x", "X-Own": "kept" }
      const url = `${server.url.replace("ws://", "ws://alice:secret@")}/first`
      const connecting = yield* Effect.fork(connect(url, { headers, maxRedirects: 2 }))
      const peer = yield* other.next
      const head = yield* acceptRaw(peer)
      assert.match(head, /^GET \/third HTTP\/1\.1$/m)
      assert.match(head, /^X-Own: kept$/m)
      assert.notMatch(head, /authorization|cookie|secret|session/i)
      const socket = yield* Fiber.join(connecting)
      assert.notInclude(inspect(socket, { depth: 8 }), "secret")
      peer.socket.end()
      const { headers: seen } = yield* reasonOf("Declined", url.replace("first", "second"))
      assert.deepInclude(seen, ["X-Seen", "true"])
    }))

  test("client, case 27: from wss no redirect leads to ws", () =>
    Effect.gen(function* () {
      const tls = yield* makeCertificate(["localhost"], ["127.0.0.1"])
      const plain = yield* rawServer
      const layer = NodeWebSocketServer.layer({
        tls,
        decorate: (response) => ({ ...response, status: 302, headers: [["Location", plain.url]] })
      })
      const { port } = yield* serveEcho(layer)
      const reason = yield* reasonOf(
        "RedirectRefused",
        `wss://127.0.0.1:${port}/`,
        { maxRedirects: 5 },
        { tls: { ca: tls.cert } }
      )
      assert.deepInclude(reason, { status: 302, problem: "Downgrade" })
    }))

  const injections: ReadonlyArray<[where: string, tag: HandshakeReason["_tag"], options: ConnectOptions]> = [
    ["a field", "InvalidFieldValue", { headers: { "X-A": "a\r\nX-B: b" } }],
    ["User-Agent", "InvalidFieldValue", { headers: { "User-Agent": "a\nb" } }],
    ["the name of a field", "InvalidFieldName", { headers: { "X-A: a\r\nX-B": "b" } }],
    ["a field, as NUL", "InvalidFieldValue", { headers: { "X-A": "a\0b" } }],
    [
      "a field that a decorator adds",
      "InvalidFieldValue",
      { decorate: ({ fields }) => [...fields, ["X-A", "a\r\nX-B: b"]] }
    ],
    ["Origin", "InvalidFieldValue", { origin: "http://a\r\nX-B: b" }],
    ["a subprotocol", "InvalidSubprotocol", { subprotocols: ["a\r\nX-B: b"] }]
  ]
  for (const [where, tag, options] of injections) {
    test(`client, case 28: CR and LF in ${where} are refused before a byte is sent`, () =>
      Effect.gen(function* () {
        const { port, url } = yield* rawServer
        let received = 0
        const watch = yield* watchedPort(port, (count) => void (received += count))
        yield* reasonOf(tag, url.replace(`${port}`, `${watch}`), options)
        assert.strictEqual(received, 0)
      }))
  }

  test("client, case 28: CR and LF in a URL are no part of the request", () =>
    Effect.gen(function* () {
      const { next, url } = yield* rawServer
      for (const suffix of ["/a\r\nX-B: b", "/?a\r\n\r\nGET / HTTP/1.1", "/a HTTP/1.1\r\nX-B: b"]) {
        const connecting = yield* Effect.fork(connect(url + suffix))
        const peer = yield* next
        const lines = (yield* acceptRaw(peer)).split("\r\n")
        assert.match(lines[0]!, /^GET \/[!-~]* HTTP\/1\.1$/)
        assert.notInclude(lines, "X-B: b")
        assert.strictEqual(lines.length, 6)
        yield* Fiber.join(connecting)
        peer.socket.end()
      }
      yield* reasonOf("InvalidUrl", "ws://local host/")
      yield* reasonOf("InvalidUrl", "ws://a:b%0d%0aX-B: b@localhost/")
    }))

  test("client, case 29: a subprotocol that is no token, or is there twice, is refused", () =>
    Effect.gen(function* () {
      const { url } = yield* rawServer
      for (const subprotocols of [["a b"], [""], ["a,b"], ["\u00e9"], ["a", "b", "a"]]) {
        yield* reasonOf("InvalidSubprotocol", url, { subprotocols })
      }
    }))

  test("client, case 29: wss checks the certificate and the name in it, unless it is told otherwise", () =>
    Effect.gen(function* () {
      const tls = yield* makeCertificate(["localhost"])
      const { port } = yield* serveEcho(NodeWebSocketServer.layer({ tls }))
      const ca = tls.cert
      const codeOf = (url: string, options: NodeWebSocketClient.Options) =>
        Effect.map(reasonOf("Transport", url, {}, options), ({ error }) => (error.cause as NodeJS.ErrnoException).code)
      assert.match(`${yield* codeOf(`wss://127.0.0.1:${port}`, {})}`, /SELF_SIGNED/)
      assert.strictEqual(yield* codeOf(`wss://127.0.0.1:${port}`, { tls: { ca } }), "ERR_TLS_CERT_ALTNAME_INVALID")
      yield* connect(`wss://127.0.0.1:${port}`, {}, { tls: { ca, servername: "localhost" } })
    }))

  test("client, case 30: each attempt has a key of its own, of 16 bytes of the system's generator, not of Effect's", () =>
    Effect.gen(function* () {
      const { next, url } = yield* rawServer
      const draws = vi.spyOn(globalThis.crypto, "getRandomValues")
      const drawn: Array<string> = []
      const source = yield* Entropy
      // The source by default, with a note of what it gave.
      const noted = {
        fill: (bytes: Uint8Array) => {
          source.fill(bytes)
          drawn.push(Buffer.from(bytes).toString("hex"))
        }
      }
      const keys: Array<string> = []
      for (let i = 0; i < 5; i++) {
        const connecting = yield* Effect.fork(
          connect(url).pipe(Effect.withRandom(Random.fixed([1])), Effect.provideService(Entropy, noted))
        )
        const peer = yield* next
        const head = yield* acceptRaw(peer)
        keys.push(/^Sec-WebSocket-Key: (\S+)$/m.exec(head)![1]!)
        yield* Fiber.join(connecting)
        peer.socket.end()
      }
      assert.strictEqual(draws.mock.calls.length, drawn.length)
      draws.mockRestore()
      assert.strictEqual(new Set(keys).size, 5)
      for (const key of keys) {
        const bytes = Buffer.from(key, "base64")
        assert.strictEqual(bytes.length, 16)
        assert.include(drawn.join("\n"), bytes.toString("hex"))
      }
    }))

  test("client, case 30: bytes behind the 101, in its segment, are frames", () =>
    Effect.gen(function* () {
      const { next, url } = yield* rawServer
      const connecting = yield* Effect.fork(connect(url))
      const peer = yield* next
      yield* acceptRaw(peer, "81 02 68 69", "81 05 74 68 65 72 65", "88 02 03 e8")
      peer.socket.end()
      const socket = yield* Fiber.join(connecting)
      assert.deepInclude(yield* socket.receive, { text: "hi" })
      assert.deepInclude(yield* socket.receive, { text: "there" })
      assert.deepInclude(yield* Effect.flip(socket.receive), { _tag: "ConnectionClosed", code: 1000 })
    }))
})

/** A port in front of another, which tells how many bytes come. */
const watchedPort = (port: number, onBytes: (count: number) => void) =>
  Effect.gen(function* () {
    const server = yield* Effect.acquireRelease(
      Effect.sync(() =>
        Net.createServer((near) => {
          const far = Net.connect(port, "127.0.0.1")
          near.on("data", ({ length }) => onBytes(length))
          for (const socket of [near, far]) socket.on("error", () => {})
          near.on("close", () => far.destroy())
          far.on("close", () => near.destroy())
          near.pipe(far).pipe(near)
        })
      ),
      (server) => Effect.sync(() => server.close())
    )
    yield* event(server.listen(0, "127.0.0.1"), "listening")
    return (server.address() as Net.AddressInfo).port
  })
