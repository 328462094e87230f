/** What Boost.Beast's table says of the opening handshake beyond single heads, and what becomes of it here. */
import type { AcceptTransportOptions } from "@effect-ws/api/AcceptTransportOptions"
import type { HandshakeError } from "@effect-ws/api/HandshakeError"
import type { AcceptOptions } from "@effect-ws/api/AcceptOptions"
import * as WebSocket from "@effect-ws/api/WebSocket"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { exchangeRows } from "../../core/test/support/beastHandshake.ts"
import * as Frames from "./support/frames.ts"
import { leavesNothing, makePair, settled } from "./support/leaks.ts"
import { headBytes, Peer, requestBytes, responseBytes, sampleAccept } from "./support/Peer.ts"

type Outcome = Effect.Effect<string, unknown, Scope.Scope>

const long = `Cookie: ${"c".repeat(2000)}`

const keyless = (...fields: ReadonlyArray<string>): Uint8Array =>
  headBytes(
    "GET /chat HTTP/1.1",
    "Host: server.example.com",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    ...fields
  )

const textOf = (bytes: Uint8Array): string => Array.from(bytes, (byte) => String.fromCharCode(byte)).join("")

/** Our server, and a client by hand that is impolite: it keeps all that it is sent, as one text. */
const asServer = (
  options: AcceptTransportOptions,
  play: (peer: Peer) => void,
  judge: (accepting: Effect.Effect<WebSocket.WebSocket, HandshakeError>, sent: () => string) => Outcome
): Outcome =>
  Effect.gen(function* () {
    const pair = yield* makePair()
    const peer = new Peer(pair.client, "client")
    const accepting = yield* Effect.fork(WebSocket.acceptTransport(pair.server, options))
    play(peer)
    yield* settled
    const sent = (): string => (peer.head === undefined ? "" : `${peer.head}\r\n\r\n`) + textOf(peer.rest)
    const outcome = yield* judge(Fiber.join(accepting), sent)
    peer.end()
    return outcome
  })

const reasonOf = (attempt: Effect.Effect<unknown, HandshakeError>): Effect.Effect<string, unknown> =>
  Effect.map(Effect.flip(attempt), ({ reason }) => reason._tag)

/** The reason and the status of the answer. */
const refused = (attempt: Effect.Effect<unknown, HandshakeError>, sent: () => string): Outcome =>
  Effect.map(reasonOf(attempt), (reason) => `${reason}, ${sent().slice(9, 12)}`)

/** Our client, and a server by hand that answers. */
const asClient = (
  answer: (peer: Peer) => void,
  judge: (opening: Effect.Effect<WebSocket.WebSocket, HandshakeError>) => Outcome
): Outcome =>
  Effect.gen(function* () {
    const pair = yield* makePair()
    const peer = new Peer(pair.server, "server")
    const opening = yield* Effect.fork(WebSocket.handshake(pair.client, { host: "server.example.com" }))
    yield* peer.awaitHead
    answer(peer)
    return yield* judge(Fiber.join(opening))
  })

const acceptedWith =
  (text: string) =>
  <R>(attempt: Effect.Effect<WebSocket.WebSocket, HandshakeError, R>) =>
    Effect.gen(function* () {
      const socket = yield* attempt
      assert.deepInclude(yield* socket.receive, { _tag: "Text", text })
      return "accepted"
    })

const accepted101 = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]

/** How each row is played, by what it is about. */
const scenarios: Readonly<Record<string, Outcome>> = {
  "the end before the first byte": asServer(
    {},
    (peer) => peer.end(),
    (attempt, sent) =>
      Effect.map(reasonOf(attempt), (reason) => `${reason}, ${sent() === "" ? "nothing sent" : sent()}`)
  ),
  "the end inside the head": asServer(
    {},
    (peer) => {
      peer.send(requestBytes().slice(0, 60))
      peer.end()
    },
    (attempt, sent) =>
      Effect.map(reasonOf(attempt), (reason) => `${reason}, ${sent() === "" ? "nothing sent" : sent()}`)
  ),
  "2 KiB that were read before": asServer(
    { bytes: requestBytes(long) },
    (peer) => peer.sendText("hi"),
    acceptedWith("hi")
  ),
  "a page of another origin": asServer({}, (peer) => peer.sendRequest("Origin: http://evil.example"), refused),
  "a decorator that turns the 101 into a 403": asServer(
    { decorate: (response) => ({ ...response, status: 403 }) },
    (peer) => peer.sendRequest(),
    (attempt, sent) =>
      Effect.map(refused(attempt, sent), (outcome) => {
        assert.notMatch(sent(), /^(upgrade|sec-websocket-accept):/im)
        return outcome
      })
  ),
  "Expect: 100-continue in a correct request": asServer(
    {},
    (peer) => peer.sendRequest("Expect: 100-continue"),
    (attempt, sent) =>
      Effect.map(attempt, () => {
        assert.isTrue(sent().startsWith(`HTTP/1.1 100 Continue\r\n\r\n${accepted101.join("\r\n")}\r\n`))
        return "accepted, behind a 100 without fields"
      })
  ),
  "Expect: 100-continue in a request without a key": asServer(
    {},
    (peer) => peer.send(keyless("Expect: 100-continue")),
    (attempt, sent) =>
      Effect.map(refused(attempt, sent), (outcome) => `${outcome}${sent().includes(" 100 ") ? "" : " and no 100"}`)
  ),
  "a correct request behind one without a key, in one chunk": Effect.gen(function* () {
    const pair = yield* makePair()
    const peer = new Peer(pair.client, "client")
    peer.send(keyless(), requestBytes(), peer.text("hi"))
    const error = yield* Effect.flip(WebSocket.acceptTransport(pair.server))
    assert.isTrue(error.reusable)
    const outcome = yield* acceptedWith("hi")(WebSocket.acceptTransport(pair.server))
    yield* settled
    assert.include(textOf(peer.rest), accepted101.join("\r\n"))
    const status = peer.statusLine!.slice(9, 12)
    peer.end()
    return `${outcome} behind the ${status}`
  }),
  "Connection: close, Upgrade in a request without a key": Effect.gen(function* () {
    const pair = yield* makePair()
    const peer = new Peer(pair.client, "client")
    peer.send(keyless("Connection: close"))
    const error = yield* Effect.flip(WebSocket.acceptTransport(pair.server))
    assert.isFalse(error.reusable)
    yield* peer.awaitEnd
    assert.strictEqual(peer.field("Connection"), "close")
    return `${error.reason._tag}, ${peer.statusLine!.slice(9, 12)} and the end`
  }),
  "the end without a response": asClient((peer) => peer.end(), reasonOf),
  "a 403 with a body of a megabyte": asClient(
    (peer) => {
      peer.sendHead("HTTP/1.1 403 Forbidden", `Content-Length: ${1024 * 1024}`)
      peer.send(new Uint8Array(1024 * 1024))
    },
    (attempt) =>
      Effect.map(Effect.flip(attempt), ({ reason }) => {
        assert(reason._tag === "Declined", reason._tag)
        assert.isFalse(reason.isComplete)
        return `Declined, with ${reason.body.length / 1024} KiB of it`
      })
  ),
  "a 103 before the 101": asClient((peer) => {
    peer.sendHead("HTTP/1.1 103 Early Hints", "Link: </a.css>; rel=preload")
    peer.send(responseBytes(peer.acceptValue), peer.text("hi"))
  }, acceptedWith("hi")),
  "2 KiB of frames behind a 101 of 2 KiB": asClient(
    (peer) => {
      peer.send(responseBytes(peer.acceptValue, long), peer.text("a".repeat(2048)))
    },
    acceptedWith("a".repeat(2048))
  )
}

describe("Beast's opening handshake, as an exchange", () => {
  for (const { about, beast, enumerator, ours, role } of exchangeRows) {
    const beasts = `${enumerator} to Beast${beast === undefined ? "" : `, which ${beast}`}`
    it.effect(`${role}: ${about} is ${beasts}, and here ${ours}`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const scenario = scenarios[about]
          assert(scenario !== undefined, `no scenario is about ${about}`)
          assert.strictEqual(yield* Effect.orDie(scenario), ours)
        })
      )
    )
  }

  it("client and server have a row for each scenario", () => {
    assert.sameMembers(
      Object.keys(scenarios),
      exchangeRows.map(({ about }) => about)
    )
  })

  it.effect("server lets a decorator see the 101, the 400 and the 426, and puts Server behind what it leaves", () =>
    leavesNothing(
      Effect.gen(function* () {
        const seen: Array<number> = []
        const decorate: AcceptOptions["decorate"] = (response) => {
          seen.push(response.status)
          return { ...response, headers: [...response.headers, ["X-Seen", `${response.status}`]] }
        }
        const pair = yield* makePair()
        const peer = new Peer(pair.client, "client")
        const version8 = Frames.utf8(textOf(requestBytes()).replace("Version: 13", "Version: 8"))
        peer.send(keyless(), version8, requestBytes())
        yield* Effect.flip(WebSocket.acceptTransport(pair.server, { decorate }))
        yield* Effect.flip(WebSocket.acceptTransport(pair.server, { decorate }))
        yield* WebSocket.acceptTransport(pair.server, { decorate })
        yield* settled
        assert.deepStrictEqual(seen, [400, 426, 101])
        const sent = `${peer.head}\r\n\r\n${textOf(peer.rest)}`
        for (const status of seen) assert.include(sent, `X-Seen: ${status}\r\nServer: effect-ws\r\n`)
        assert.include(sent, `Sec-WebSocket-Accept: ${sampleAccept}\r\nX-Seen: 101\r\n`)
        peer.end()
      })
    )
  )
})
