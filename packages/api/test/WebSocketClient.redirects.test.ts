import type { HandshakeReason } from "@effect-ws/api/HandshakeError"
import type { ConnectOptions } from "@effect-ws/api/ConnectOptions"
import * as WebSocketClient from "@effect-ws/api/WebSocketClient"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { makeConnector } from "./support/endpoints.ts"
import { leavesNothing, settled } from "./support/leaks.ts"

const url = "wss://user:secret@example.com/chat?room=1"
const headers = { Cookie: "a=b", Authorization: "Bearer x", "Proxy-Authorization": "Basic y", "X-Own": "1" }

const redirect = (location: string, status = 302) => [
  `HTTP/1.1 ${status} Found`,
  `Location: ${location}`,
  "Content-Length: 0"
]

/** Connects while each server in turn answers with a head, and the one behind the last accepts. */
const visit = (options: ConnectOptions, answers: ReadonlyArray<ReadonlyArray<string>>, from = url) =>
  Effect.gen(function* () {
    const memory = makeConnector({ accepts: false })
    const connecting = yield* Effect.fork(
      Effect.exit(Effect.scoped(WebSocketClient.make(memory.connector).connect(from, options)))
    )
    yield* settled
    for (const [index, answer] of answers.entries()) {
      memory.peers[index]!.sendHead(...answer)
      yield* settled
    }
    const last = memory.peers[answers.length]
    if (last !== undefined) {
      yield* last.acceptRequest()
      yield* settled
      last.end()
    }
    const exit = yield* Fiber.join(connecting)
    return { ...memory, memory, exit }
  })

const reasonOf = (exit: Exit.Exit<unknown, { readonly reason: HandshakeReason }>): HandshakeReason => {
  assert(Exit.isFailure(exit) && Cause.isFailType(exit.cause), String(exit))
  return exit.cause.error.reason
}

const names = ["Authorization", "Cookie", "Proxy-Authorization", "X-Own"]

describe("WebSocketClient: redirects", () => {
  it.effect("client follows none by default, and gives the answer", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { exit, endpoints } = yield* visit({}, [redirect("wss://other.example/")])
        const reason = reasonOf(exit)
        assert.deepInclude(reason, { _tag: "Declined", status: 302 })
        assert.strictEqual(endpoints.length, 1)
      })
    )
  )

  for (const status of [301, 302, 303, 307, 308]) {
    it.effect(`client follows a ${status} to the same origin with its credentials`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const options = { headers, maxRedirects: 1, unixPath: "/run/a.sock" }
          const { endpoints, exit, peers } = yield* visit(options, [redirect("/other?x#".slice(0, -1), status)])
          assert.isTrue(Exit.isSuccess(exit), String(exit))
          const [, second] = peers
          assert.strictEqual(second!.head!.split("\r\n")[0], "GET /other?x HTTP/1.1")
          for (const name of names) assert.strictEqual(second!.field(name), peers[0]!.field(name))
          assert.deepInclude(endpoints[1], { hostname: "example.com", unixPath: "/run/a.sock" })
          assert.notStrictEqual(second!.field("Sec-WebSocket-Key"), peers[0]!.field("Sec-WebSocket-Key"))
        })
      )
    )
  }

  const foreign = ["wss://other.example/", "wss://example.com:8443/", "https://other.example/", "//other.example/"]
  for (const location of foreign) {
    it.effect(`client follows to ${location} without its credentials, certificate and unix socket`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const options = { headers, maxRedirects: 2, unixPath: "/run/a.sock", subprotocols: ["a"] }
          const { endpoints, exit, peers } = yield* visit(options, [redirect(location)])
          assert.isTrue(Exit.isSuccess(exit), String(exit))
          assert.deepStrictEqual(
            names.map((name) => peers[1]!.field(name)),
            [undefined, undefined, undefined, "1"]
          )
          assert.strictEqual(peers[1]!.field("Sec-WebSocket-Protocol"), "a")
          assert.deepInclude(endpoints[1], { secure: true, unixPath: undefined, omitCredentials: true })
        })
      )
    )
  }

  it.effect("client that was sent elsewhere and back brings no credentials home", () =>
    leavesNothing(
      Effect.gen(function* () {
        const answers = [redirect("wss://other.example/"), redirect("wss://example.com/back")]
        const { endpoints, exit, peers } = yield* visit({ headers, maxRedirects: 2 }, answers)
        assert.isTrue(Exit.isSuccess(exit), String(exit))
        assert.strictEqual(peers[2]!.field("Authorization"), undefined)
        assert.strictEqual(peers[2]!.field("Cookie"), undefined)
        assert.deepInclude(endpoints[2], { hostname: "example.com", omitCredentials: true })
      })
    )
  )

  it.effect("client sends the credentials of the URL to the same origin, and to no other", () =>
    leavesNothing(
      Effect.gen(function* () {
        const answers = [redirect("/again"), redirect("wss://other.example/")]
        const { peers } = yield* visit({ maxRedirects: 2 }, answers)
        const basic = "Basic dXNlcjpzZWNyZXQ="
        assert.deepStrictEqual(
          peers.map((peer) => peer.field("Authorization")),
          [basic, basic, undefined]
        )
      })
    )
  )

  const refused: ReadonlyArray<readonly [string, string, number, ReadonlyArray<string>]> = [
    ["from wss: to ws:", "Downgrade", 1, ["ws://example.com/"]],
    ["from wss: to http:", "Downgrade", 1, ["http://example.com/"]],
    ["to where it is", "Loop", 1, ["/chat?room=1"]],
    ["in a circle", "Loop", 5, ["/a", "/b", "wss://example.com/a"]],
    ["once too often", "TooMany", 2, ["/a", "/b", "/c"]],
    ["to another scheme", "InvalidLocation", 1, ["ftp://example.com/"]],
    ["to a URL with a fragment", "InvalidLocation", 1, ["/a#b"]],
    ["to a URL with credentials", "InvalidLocation", 1, ["wss://u:p@example.com/"]],
    ["to no URL", "InvalidLocation", 1, ["wss://["]]
  ]
  for (const [where, problem, maxRedirects, locations] of refused) {
    it.effect(`client refuses to be sent ${where}`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const answers = locations.map((location) => redirect(location, 307))
          const { endpoints, exit } = yield* visit({ headers, maxRedirects }, answers)
          assert.deepStrictEqual(reasonOf(exit), { _tag: "RedirectRefused", status: 307, problem } as HandshakeReason)
          assert.strictEqual(endpoints.length, locations.length)
          assert.notInclude(String(exit), "secret")
        })
      )
    )
  }

  const others: ReadonlyArray<readonly [string, ReadonlyArray<string>]> = [
    ["has no Location", ["HTTP/1.1 302 Found", "Content-Length: 0"]],
    ["has two", ["HTTP/1.1 302 Found", "Location: /a", "Location: /b", "Content-Length: 0"]],
    ["is a 300", redirect("/a", 300)],
    ["is a 304", ["HTTP/1.1 304 Not Modified", "Location: /a"]],
    ["is a 401", redirect("/a", 401)]
  ]
  for (const [what, answer] of others) {
    it.effect(`client takes an answer that ${what} for what it is`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const { endpoints, exit } = yield* visit({ maxRedirects: 5 }, [answer])
          assert.strictEqual(reasonOf(exit)._tag, "Declined")
          assert.strictEqual(endpoints.length, 1)
        })
      )
    )
  }

  it.effect("client has one deadline for all the way, and leaves nothing on it", () =>
    leavesNothing(
      Effect.gen(function* () {
        const memory = makeConnector({ accepts: false })
        const client = WebSocketClient.make(memory.connector, { maxRedirects: 5, handshakeTimeout: "10 seconds" })
        const connecting = yield* Effect.fork(Effect.flip(Effect.scoped(client.connect(url))))
        yield* settled
        yield* TestClock.adjust("6 seconds")
        memory.peers[0]!.sendHead(...redirect("/a"))
        yield* settled
        assert.strictEqual(memory.released, 1)
        yield* TestClock.adjust("4500 millis")
        assert.deepInclude((yield* Fiber.join(connecting)).reason, { _tag: "Timeout", phase: "head" })
        assert.strictEqual(memory.released, 2)
      })
    )
  )

  it.effect("client tells in whole milliseconds how long it has waited behind a redirect", () =>
    leavesNothing(
      Effect.gen(function* () {
        const memory = makeConnector({ accepts: false })
        const client = WebSocketClient.make(memory.connector, { maxRedirects: 5, handshakeTimeout: "10 seconds" })
        const connecting = yield* Effect.fork(Effect.flip(Effect.scoped(client.connect(url))))
        yield* settled
        yield* TestClock.adjust(Duration.nanos(8_500_058_350n))
        memory.peers[0]!.sendHead(...redirect("/a"))
        yield* settled
        yield* TestClock.adjust("2 seconds")
        const { message, reason } = yield* Fiber.join(connecting)
        assert(reason._tag === "Timeout")
        assert.strictEqual(Duration.toMillis(reason.duration), 1500)
        assert.include(message, "1s 500ms")
        assert.notMatch(message, /\dns/)
      })
    )
  )

  it.effect("client that is interrupted on its way leaves nothing", () =>
    leavesNothing(
      Effect.gen(function* () {
        const memory = makeConnector({ accepts: false })
        const client = WebSocketClient.make(memory.connector, { maxRedirects: 5 })
        const connecting = yield* Effect.fork(Effect.scoped(client.connect(url)))
        yield* settled
        memory.peers[0]!.sendHead(...redirect("/a"))
        yield* settled
        yield* Fiber.interrupt(connecting)
        assert.strictEqual(memory.released, 2)
      })
    )
  )

  for (const maxRedirects of [-1, 1.5, Infinity, Number.NaN]) {
    it.effect(`client dies of ${maxRedirects} redirects, and says which option it was`, () =>
      Effect.gen(function* () {
        const connecting = WebSocketClient.make(makeConnector().connector).connect(url, { maxRedirects })
        const exit = yield* Effect.exit(Effect.scoped(connecting))
        assert.include(String(Exit.isFailure(exit) && Cause.squash(exit.cause)), "maxRedirects")
      })
    )
  }
})

describe("WebSocketClient: credentials in the URL", () => {
  const sent: ReadonlyArray<readonly [string, string]> = [
    ["ws://Aladdin:open%20sesame@a/", "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="],
    ["ws://test:123%C2%A3@a/", "dGVzdDoxMjPCow=="],
    ["ws://user@a/", "dXNlcjo="],
    ["ws://:secret@a/", "OnNlY3JldA=="],
    ["ws://a%40b:c%3Ad@a/", "YUBiOmM6ZA=="]
  ]
  for (const [from, basic] of sent) {
    it.effect(`client sends those of ${from} as RFC 7617 says`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const { exit, peers } = yield* visit({}, [], from)
          assert.isTrue(Exit.isSuccess(exit), String(exit))
          assert.strictEqual(peers[0]!.field("Authorization"), `Basic ${basic}`)
          assert.strictEqual(peers[0]!.field("Host"), "a")
        })
      )
    )
  }

  it.effect("client prefers the field that the options have", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peers } = yield* visit({ headers: { authorization: "Bearer x" } }, [])
        assert.strictEqual(peers[0]!.field("Authorization"), "Bearer x")
      })
    )
  )

  for (const from of ["ws://a%3Ab:c@a/", "ws://a:%ff@a/", "ws://a%0d:b@a/", "ws://a:%00@a/", "ws://a:%7f@a/"]) {
    it.effect(`client refuses those of ${from}, and doesn't repeat them`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const memory = makeConnector()
          const error = yield* Effect.flip(WebSocketClient.make(memory.connector).connect(from))
          assert.strictEqual(error.reason._tag, "InvalidUrl")
          assert.include(error.message, "credentials")
          assert.notInclude(error.message, "%")
          assert.strictEqual(memory.endpoints.length, 0)
        })
      )
    )
  }
})
