import type { Endpoint } from "@effect-ws/api/Connector"
import * as MemoryTransport from "@effect-ws/api/testing/MemoryTransport"
import type * as Proxy from "@effect-ws/platform-node/Proxy"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as Net from "node:net"
import * as NodeConnector from "../../src/internal/nodeConnector.ts"
import * as Socks5 from "../../src/internal/socks5.ts"
import * as SocksConnect from "../../src/internal/socksConnect.ts"
import { withoutLeaks } from "../support/leaks.ts"
import { connectAndEcho, endpoint, failure, proxyAt, reasonOf } from "../support/proxied.ts"
import { connectProxy, echoServer, scriptedProxy, socksProxy } from "../support/proxies.ts"
import { rawServer } from "../support/rawPeer.ts"
import { turn, until } from "../support/sockets.ts"

const lookupOf =
  (address: string): Net.LookupFunction =>
  (_, __, callback) =>
    process.nextTick(() => callback(null, [{ address, family: Net.isIP(address) }]))

describe("socksConnect", () => {
  it.scopedLive("connector gives the name or the address, as the scheme says", () =>
    Effect.gen(function* () {
      const target = yield* echoServer()
      const proxy = yield* socksProxy({ port: target.port })
      const at = `127.0.0.1:${proxy.port}`
      yield* connectAndEcho(endpoint({}), { proxy: proxyAt(`socks5h://${at}`) })
      yield* connectAndEcho(endpoint({}), { proxy: proxyAt(`socks5://${at}`), lookup: lookupOf("192.0.2.7") })
      yield* connectAndEcho(endpoint({}), { proxy: proxyAt(`socks5://${at}`), lookup: lookupOf("2001:db8::7") })
      yield* connectAndEcho(endpoint({ hostname: "192.0.2.8" }), { proxy: proxyAt(`socks5://${at}`) })
      yield* connectAndEcho(endpoint({ hostname: "localhost", port: 81 }), {
        proxy: proxyAt(`socks5://${at}`),
        family: 4
      })
      assert.deepStrictEqual(
        proxy.requests.map(({ target }) => target),
        [
          "name chat.test:80",
          "192.0.2.7:80",
          "[2001:0db8:0000:0000:0000:0000:0000:0007]:80",
          "192.0.2.8:80",
          "127.0.0.1:81"
        ]
      )
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("connector looks up names of the family that it is told", () =>
    Effect.gen(function* () {
      const target = yield* echoServer()
      const proxy = yield* socksProxy({ port: target.port })
      const asked: Array<unknown> = []
      const lookup: Net.LookupFunction = (hostname, { family }, callback) => {
        asked.push([hostname, family])
        process.nextTick(() => callback(null, "192.0.2.7", 4))
      }
      for (const family of [undefined, 4, 6] as const) {
        yield* connectAndEcho(endpoint({}), { proxy: proxyAt(`socks5://127.0.0.1:${proxy.port}`), lookup, family })
      }
      assert.deepStrictEqual(asked, [
        ["chat.test", 0],
        ["chat.test", 4],
        ["chat.test", 6]
      ])
      assert.strictEqual(proxy.requests[2]?.target, "192.0.2.7:80")
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("connector reports a name that it has to look up and can't", () =>
    Effect.gen(function* () {
      const proxy = yield* socksProxy()
      const options = { proxy: proxyAt(`socks5://127.0.0.1:${proxy.port}`) }
      const cause = new Error("no such name")
      const unknown = yield* failure(endpoint({}), {
        ...options,
        lookup: (_, __, callback) => process.nextTick(() => callback(cause, []))
      })
      assert.deepInclude(unknown, { operation: "resolve", address: "chat.test:80", cause })
      const empty = yield* failure(endpoint({}), {
        ...options,
        lookup: (_, __, callback) => process.nextTick(() => callback(null, []))
      })
      assert.deepInclude(empty, { operation: "resolve", address: "chat.test:80" })
      assert.deepStrictEqual(proxy.sockets, [])
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("connector says who asks, and reports that it isn't let through", () =>
    Effect.gen(function* () {
      const target = yield* echoServer()
      const proxy = yield* socksProxy({ port: target.port, credentials: "user:secret" })
      yield* connectAndEcho(endpoint({}), { proxy: proxyAt(`socks5h://user:secret@127.0.0.1:${proxy.port}`) })
      const silent = yield* reasonOf(`socks5h://127.0.0.1:${proxy.port}`)
      assert.deepStrictEqual(silent, { _tag: "NoAcceptableMethod" })
      const wrong = yield* reasonOf(`socks5h://user:wrong@127.0.0.1:${proxy.port}`)
      assert.deepStrictEqual(wrong, { _tag: "AuthenticationFailed" })
      yield* until(() => proxy.sockets.slice(1).every((socket) => socket.destroyed))
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("connector gives no credentials to a proxy that doesn't want any", () =>
    Effect.gen(function* () {
      const target = yield* echoServer()
      const proxy = yield* socksProxy({ port: target.port })
      yield* connectAndEcho(endpoint({}), { proxy: proxyAt(`socks5h://user:secret@127.0.0.1:${proxy.port}`) })
      assert.isUndefined(proxy.requests[0]!.credentials)
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("connector reports a refusal by its code and name, whether an address follows or not", () =>
    Effect.gen(function* () {
      const cases = [
        [1, "GeneralFailure"],
        [2, "ConnectionNotAllowed"],
        [3, "NetworkUnreachable"],
        [4, "HostUnreachable"],
        [5, "ConnectionRefused"],
        [6, "TtlExpired"],
        [7, "CommandNotSupported"],
        [8, "AddressTypeNotSupported"],
        [9, "Unassigned"],
        [255, "Unassigned"]
      ] as const
      for (const [code, reply] of cases) {
        const refusing = yield* socksProxy({ reply: code })
        const refused = yield* reasonOf(`socks5h://127.0.0.1:${refusing.port}`)
        assert.deepStrictEqual(refused, { _tag: "Socks", reply, code })
        yield* until(() => refusing.sockets.every((socket) => socket.destroyed))
      }
      const terse = yield* scriptedProxy(Buffer.of(5, 0), Buffer.of(5, 4))
      const error = yield* failure(endpoint({}), { proxy: proxyAt(`socks5h://127.0.0.1:${terse.port}`) })
      assert.match(
        error.message,
        /^The transport failed to get through the proxy .*: it replied HostUnreachable \(4\)$/
      )
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("connector delivers the bytes behind the last answer first", () =>
    Effect.gen(function* () {
      const answer = Buffer.of(5, 0, 0, 3, 4, 0x68, 0x6f, 0x73, 0x74, 0, 80)
      const proxy = yield* scriptedProxy(Buffer.of(5, 0), Buffer.concat([answer, Buffer.from("hello")]))
      const options = { proxy: proxyAt(`socks5h://127.0.0.1:${proxy.port}`) }
      const transport = yield* NodeConnector.make(options)(endpoint({}))
      // Nothing may be lost while nobody reads.
      yield* Effect.repeatN(turn, 5)
      assert.strictEqual(Buffer.from(yield* MemoryTransport.wire(transport).awaitBytes(5)).toString(), "hello")
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("connector reports a proxy that speaks no SOCKS 5, or leaves", () =>
    Effect.gen(function* () {
      const http = yield* connectProxy()
      assert.strictEqual(yield* faultOf(`socks5h://127.0.0.1:${http.port}`), "SocksVersion")
      const cases: ReadonlyArray<readonly [tag: string, ...answers: ReadonlyArray<Buffer>]> = [
        ["SocksVersion", Buffer.of(4, 0)],
        ["SocksMethod", Buffer.of(5, 1)],
        ["SocksAuthenticationVersion", Buffer.of(5, 2), Buffer.of(5, 0)],
        ["SocksVersion", Buffer.of(5, 0), Buffer.of(0, 90, 0, 0, 0, 0, 0, 0)],
        ["SocksReserved", Buffer.of(5, 0), Buffer.of(5, 0, 5, 1, 0, 0, 0, 0, 0, 0)],
        ["SocksAddressType", Buffer.of(5, 0), Buffer.of(5, 0, 0, 9, 0, 0, 0, 0, 0, 0)]
      ]
      for (const [tag, ...answers] of cases) {
        const odd = yield* scriptedProxy(...answers)
        assert.strictEqual(yield* faultOf(`socks5h://a:b@127.0.0.1:${odd.port}`), tag)
        yield* until(() => odd.sockets.every((socket) => socket.destroyed))
      }
      const curious = yield* scriptedProxy(Buffer.of(5, 2))
      assert.strictEqual(yield* faultOf(`socks5h://127.0.0.1:${curious.port}`), "SocksMethod")
      assert.lengthOf(curious.chunks, 1)
      const raw = yield* rawServer
      const waiting = yield* Effect.fork(reasonOf(`socks5h://127.0.0.1:${raw.port}`))
      const peer = yield* raw.next
      peer.socket.end(Buffer.of(5))
      assert.deepStrictEqual(yield* Fiber.join(waiting), { _tag: "Closed" })
    }).pipe(Effect.scoped, withoutLeaks)
  )
})

/** The fault of an answer that is invalid. */
const faultOf = (proxyUrl: string) =>
  Effect.map(reasonOf(proxyUrl), (reason) => (reason._tag === "InvalidAnswer" ? reason.fault._tag : reason._tag))

/** What a negotiation sends and tells, in order. */
const talk = (
  proxy: string | Proxy.Proxy,
  chunks: ReadonlyArray<Uint8Array>,
  to: Endpoint = endpoint({})
): ReadonlyArray<unknown> => {
  const told: Array<unknown> = []
  const negotiation = SocksConnect.make(typeof proxy === "string" ? proxyAt(proxy) : proxy, to, {
    send: (sent) => void told.push(Buffer.from(sent).toString("hex")),
    opened: (leftover) => void told.push({ opened: Buffer.from(leftover).toString() }),
    failed: (reason) => void told.push(reason)
  })
  negotiation.start()
  for (const chunk of chunks) {
    if (told.every((event) => typeof event === "string")) negotiation.push(chunk)
  }
  return told
}

describe("socksConnect: the talk", () => {
  const request = "0501000309636861742e746573740050"
  const granted = [5, 0, 0, 1, 127, 0, 0, 1, 0, 80]
  const cases: Record<string, readonly [url: string, answers: ReadonlyArray<number>, told: ReadonlyArray<unknown>]> = {
    "without a password": ["socks5h://a", [5, 0, ...granted], ["050100", request, { opened: "" }]],
    "with a password": [
      "socks5h://u:pw@a",
      [5, 2, 1, 0, ...granted],
      ["05020002", "010175027077", request, { opened: "" }]
    ],
    "with a password that isn't taken": [
      "socks5h://u:pw@a",
      [5, 2, 1, 1],
      ["05020002", "010175027077", { _tag: "AuthenticationFailed" }]
    ],
    "without a way in": ["socks5h://u:pw@a", [5, 255], ["05020002", { _tag: "NoAcceptableMethod" }]],
    "with a refusal": [
      "socks5h://a",
      [5, 0, 5, 2],
      ["050100", request, { _tag: "Socks", reply: "ConnectionNotAllowed", code: 2 }]
    ]
  }

  for (const [kind, [url, answers, told]] of Object.entries(cases)) {
    it(`client says and tells the same ${kind}, however the answers are cut`, () => {
      const bytes = Uint8Array.from(answers)
      assert.deepStrictEqual(talk(url, [bytes]), told)
      assert.deepStrictEqual(
        talk(
          url,
          Array.from(bytes, (byte) => Uint8Array.of(byte))
        ),
        told
      )
      for (let at = 0; at <= bytes.length; at++) {
        assert.deepStrictEqual(talk(url, [bytes.subarray(0, at), bytes.subarray(at)]), told)
      }
    })
  }

  it("client hands back what came through the tunnel with the last answer", () => {
    const bytes = Uint8Array.from([5, 0, ...granted, ...Buffer.from("hello")])
    // Once all of the answer is in the first part, the second one is the socket's business.
    for (let at = 0; at < bytes.length - "hello".length; at++) {
      const told = talk("socks5h://a", [bytes.subarray(0, at), bytes.subarray(at)])
      assert.deepStrictEqual(told, ["050100", request, { opened: "hello" }])
    }
  })

  it("client asks for nothing that it can't write", () => {
    const long = talk("socks5h://a", [Uint8Array.of(5, 0)], endpoint({ hostname: "a".repeat(256) }))
    assert.deepStrictEqual(long, [{ _tag: "InvalidRequest", fault: Socks5.fault("SocksHost") }])
    // No URL has such a password, but a program may make a proxy by other means.
    const secret = "s3cret".repeat(43)
    const credentials = { username: Redacted.make("u"), password: Redacted.make(secret) }
    const wordy = talk({ ...proxyAt("socks5h://a"), credentials }, [Uint8Array.of(5, 2)])
    assert.deepStrictEqual(wordy, ["05020002", { _tag: "InvalidRequest", fault: Socks5.fault("SocksCredentials") }])
  })
})
