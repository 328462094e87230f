import type { HandshakeError } from "@effect-ws/api/HandshakeError"
import type { AcceptOptions } from "@effect-ws/api/AcceptOptions"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as NodeUpgrade from "@effect-ws/platform-node/NodeUpgrade"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Http from "node:http"
import { makeInbox } from "./support/inbox.ts"
import { withoutLeaks } from "./support/leaks.ts"
import { connectWs, close, opened, text } from "./support/peers.ts"
import { masked, rawClient, rawUpgrade, upgradeRequest } from "./support/rawPeer.ts"
import { httpPort, httpServer } from "./support/serving.ts"
import { event } from "./support/sockets.ts"

/** A `node:http` server whose upgrades are accepted by hand, one after the other, by an echo. */
const serveByHand = (options?: AcceptOptions) =>
  Effect.gen(function* () {
    const server = yield* httpServer
    const ends = makeInbox<Exit.Exit<void, unknown>>()
    server.on("upgrade", (request, socket, head) => {
      const echo = Effect.flatMap(NodeUpgrade.accept(request, socket, head, options), (connection) =>
        WebSocket.run(connection, (message) => connection.send(message))
      )
      Effect.runCallback(Effect.scoped(echo), { onExit: (exit) => ends.push(exit) })
    })
    const port = httpPort(server)
    return { server, port, url: `ws://127.0.0.1:${port}/chat?room=1`, nextEnd: ends.next }
  })

describe("NodeUpgrade", () => {
  it.scopedLive("server accepts by hand, beside its pages", () =>
    Effect.gen(function* () {
      const { nextEnd, port, url } = yield* serveByHand({ subprotocols: ["b", "a"] })
      const peer = yield* connectWs(url, { subprotocols: ["a", "b"] })
      assert.deepStrictEqual(yield* peer.next, opened("b"))
      peer.send("hello")
      assert.deepStrictEqual(yield* peer.next, text("hello"))
      const page = yield* Effect.promise(() => fetch(`http://127.0.0.1:${port}/page`).then((answer) => answer.text()))
      assert.strictEqual(page, "page of /page")
      peer.close(1000, "bye")
      assert.deepStrictEqual(yield* peer.next, close(1000))
      assert.strictEqual((yield* nextEnd)._tag, "Success")
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server delivers the frames that came with the upgrade, in order", () =>
    Effect.gen(function* () {
      const { port } = yield* serveByHand()
      const peer = yield* rawUpgrade({ port }, masked(0x81, "first"), masked(0x81, "second"), "88 80 00 00 00 00")
      assert.strictEqual((yield* peer.next)._tag, "Head")
      assert.strictEqual(yield* peer.nextFrame, "1 66 69 72 73 74")
      assert.strictEqual(yield* peer.nextFrame, "1 73 65 63 6f 6e 64")
      assert.strictEqual(yield* peer.nextFrame, "8")
      peer.socket.end()
      assert.strictEqual((yield* peer.next)._tag, "End")
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server refuses by hand what isn't right, says so, and ends the socket", () =>
    Effect.gen(function* () {
      const { nextEnd, url } = yield* serveByHand()
      const peer = yield* connectWs(url, { headers: { Origin: "https://elsewhere.example" } })
      const refused = yield* peer.next
      assert.deepInclude(refused, { _tag: "Refused", status: 403 })
      assert(refused._tag === "Refused")
      assert.strictEqual(refused.headers.connection, "close")
      const exit = yield* nextEnd
      assert(exit._tag === "Failure" && exit.cause._tag === "Fail")
      const error = exit.cause.error as HandshakeError
      assert.deepInclude(error, { _tag: "HandshakeError", reusable: false })
      assert.strictEqual(error.reason._tag, "ForbiddenOrigin")
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server refuses by hand a head beyond its limits, and one of which Node has dropped fields", () =>
    Effect.gen(function* () {
      const { nextEnd, port, server } = yield* serveByHand({ maxHeadFields: 50, maxHeadSize: 2048 })
      const ask = (fields: string) =>
        Effect.gen(function* () {
          const peer = yield* rawClient({ port })
          peer.send(Buffer.from(upgradeRequest.replace("\r\n\r\n", `\r\n${fields}\r\n`)))
          const answer = yield* peer.next
          assert(answer._tag === "Head")
          if (!answer.head.startsWith("HTTP/1.1 101 ")) {
            assert.match(answer.head, /^HTTP\/1\.1 431 [^]*\r\nConnection: close$/)
            const exit = yield* nextEnd
            assert(exit._tag === "Failure" && exit.cause._tag === "Fail")
            return (exit.cause.error as HandshakeError).reason
          }
          peer.socket.destroy()
          yield* nextEnd
          return answer.head.slice(9, 12)
        })
      // The request has five fields of its own.
      assert.strictEqual(yield* ask("a:\r\n".repeat(45)), "101")
      assert.deepInclude(yield* ask("a:\r\n".repeat(46)), { _tag: "TooManyFields", limit: 50 })
      const rest = 2048 - upgradeRequest.length - "a: \r\n".length
      assert.strictEqual(yield* ask(`a: ${"x".repeat(rest)}\r\n`), "101")
      assert.deepInclude(yield* ask(`a: ${"x".repeat(rest + 1)}\r\n`), { _tag: "HeadTooLarge", limit: 2048 })
      server.maxHeadersCount = 40
      assert.strictEqual(yield* ask("a:\r\n".repeat(34)), "101")
      assert.deepInclude(yield* ask("a:\r\n".repeat(35)), { _tag: "TooManyFields", limit: 39 })
      assert.deepInclude(yield* ask(`${"a:\r\n".repeat(60)}Transfer-Encoding: chunked\r\n`), { _tag: "TooManyFields" })
      server.maxHeadersCount = 0
      assert.strictEqual(yield* ask("a:\r\n".repeat(45)), "101")
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server refuses by hand a head that reaches the limit Node has by default", () =>
    Effect.gen(function* () {
      const { nextEnd, port } = yield* serveByHand({ maxHeadFields: 10_000, maxHeadSize: 1_000_000 })
      const peer = yield* rawClient({ port })
      const fields = `${"a:\r\n".repeat(1100)}Transfer-Encoding: chunked\r\n`
      peer.send(Buffer.from(upgradeRequest.replace("\r\n\r\n", `\r\n${fields}\r\n`)))
      const answer = yield* peer.next
      assert.match(answer._tag === "Head" ? answer.head : answer._tag, /^HTTP\/1\.1 431 /)
      const exit = yield* nextEnd
      assert(exit._tag === "Failure" && exit.cause._tag === "Fail")
      assert.deepInclude((exit.cause.error as HandshakeError).reason, { _tag: "TooManyFields", limit: 999 })
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server survives a reset between the event and the effect", () =>
    Effect.gen(function* () {
      const server = yield* httpServer
      const events = makeInbox<Effect.Effect<WebSocket.WebSocket, HandshakeError>>()
      server.on("upgrade", (request, socket, head) => {
        events.push(Effect.scoped(NodeUpgrade.accept(request, socket, head)))
      })
      const peer = yield* rawUpgrade({ port: httpPort(server) })
      const accepting = yield* events.next
      peer.socket.resetAndDestroy()
      yield* event(peer.socket, "close")
      // Nobody reads yet, so the reset shows when the 101 is written or later: never as an uncaught error.
      const exit = yield* Effect.exit(accepting)
      if (exit._tag === "Failure") assert(exit.cause._tag === "Fail" && exit.cause.error._tag === "HandshakeError")
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server tells an upgrade from a page and from another protocol", () =>
    Effect.gen(function* () {
      const server = yield* httpServer
      const seen = makeInbox<boolean>()
      const note = (request: Http.IncomingMessage) => seen.push(NodeUpgrade.isUpgrade(request))
      server.on("request", note)
      server.on("upgrade", (request, socket) => {
        note(request)
        socket.destroy()
      })
      yield* Effect.promise(() => fetch(`http://127.0.0.1:${httpPort(server)}/`).then((answer) => answer.text()))
      assert.isFalse(yield* seen.next)
      yield* rawUpgrade({ port: httpPort(server) })
      assert.isTrue(yield* seen.next)
    }).pipe(Effect.scoped, withoutLeaks)
  )
})
