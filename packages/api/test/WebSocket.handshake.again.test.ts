/** Another opening handshake on a transport whose server declined the last one (RFC 6455 4.1, RFC 9112 9.3). */
import type { HandshakeError } from "@effect-ws/api/HandshakeError"
import type * as MemoryTransport from "@effect-ws/api/testing/MemoryTransport"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as WebSocketClient from "@effect-ws/api/WebSocketClient"
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import {
  accepted,
  acceptedFor,
  accepts,
  answer,
  bytesOf,
  countingUp,
  declined,
  describeError,
  everySplit,
  failedFor,
  handshake,
  host,
  keys,
  lines,
  makeServer,
  requestHead
} from "./support/answering.ts"
import { makeConnector } from "./support/endpoints.ts"
import { leavesNothing, makePair, settled } from "./support/leaks.ts"
import { Peer } from "./support/Peer.ts"
import { CountingScheduler } from "./support/schedulers.ts"

const unauthorized = lines("HTTP/1.1 401 Unauthorized", "WWW-Authenticate: Bearer", "Content-Length: 4", "") + "who?"
const credentials = { headers: { Authorization: "Bearer 1" } }
const fields = [
  ["WWW-Authenticate", "Bearer"],
  ["Content-Length", "4"]
] as const
const rested = declined(401, fields, "who?", { reusable: true })
const notReusable = failedFor({ _tag: "NotReusable" })

const isDone = (fiber: Fiber.RuntimeFiber<unknown, unknown>) => Effect.map(fiber.poll, Option.isSome)

/** Does a handshake that the server declines with the bytes, and returns what the client tells. */
const decline = (
  pair: MemoryTransport.Pair,
  peer: Peer,
  text = unauthorized,
  client: Effect.Effect<WebSocket.WebSocket, HandshakeError, Scope.Scope> = handshake(pair.client)
) =>
  Effect.gen(function* () {
    const opening = yield* Effect.fork(Effect.flip(client))
    yield* answer(peer, [bytesOf(text)])
    return yield* Fiber.join(opening)
  })

/** A transport that rests after the server has declined once. */
const makeResting = Effect.gen(function* () {
  const { pair, peer } = yield* makeServer()
  assert.deepStrictEqual(describeError(yield* decline(pair, peer)), rested)
  assert.isTrue(pair.client.ledger.isOpen)
  return { pair, peer }
})

/** Waits for the next request on the same transport. */
const nextPeer = (pair: MemoryTransport.Pair) => new Peer(pair.server, "server")

/** The connection carries messages both ways. */
const assertWorks = (socket: WebSocket.WebSocket, peer: Peer) =>
  Effect.gen(function* () {
    yield* socket.send("ours")
    assert.deepStrictEqual((yield* peer.awaitFrames(1)).slice(-1), ["text ours"])
    peer.sendText("theirs")
    assert.deepInclude(yield* socket.receive, { _tag: "Text", text: "theirs" })
  })

/** The transport is refused, nothing is written on it, and it is not destroyed for that. */
const assertLeftAlone = (transport: MemoryTransport.MemoryTransport) =>
  Effect.gen(function* () {
    const { isOpen, sinks, writes } = transport.ledger
    assert.deepStrictEqual(describeError(yield* Effect.flip(handshake(transport))), notReusable)
    assert.deepInclude({ ...transport.ledger }, { isOpen, sinks, writes })
  })

describe("RFC 6455 4.1: another attempt on the same transport", () => {
  it.effect("client authenticates after a 401, with another key, byte for byte", () =>
    Effect.gen(function* () {
      const accepting = bytesOf(acceptedFor(accepts[1]) + "\x81\x02hi")
      for (const [i, pieces] of [...everySplit(bytesOf(unauthorized)), ...everySplit(accepting)].entries()) {
        const isFirst = i < everySplit(bytesOf(unauthorized)).length
        yield* leavesNothing(
          Effect.gen(function* () {
            const { pair, peer } = yield* makeServer()
            const entropy = countingUp()
            const first = yield* Effect.fork(Effect.flip(handshake(pair.client, {}, entropy)))
            yield* answer(peer, isFirst ? pieces : [bytesOf(unauthorized)])
            assert.deepStrictEqual(describeError(yield* Fiber.join(first)), rested)
            assert.strictEqual(peer.head, requestHead(keys[0]))

            const next = nextPeer(pair)
            const second = yield* Effect.fork(handshake(pair.client, credentials, entropy))
            yield* answer(next, isFirst ? [accepting] : pieces)
            const socket = yield* Fiber.join(second)
            assert.strictEqual(next.head, requestHead(keys[1], "Authorization: Bearer 1"))
            assert.strictEqual(pair.client.ledger.bytesWritten, peer.head!.length + next.head!.length + 8)
            assert.deepInclude(yield* socket.receive, { _tag: "Text", text: "hi" })
            yield* assertWorks(socket, next)
          })
        )
      }
    })
  )

  it.effect("client tries as often as the server declines", () =>
    leavesNothing(
      Effect.gen(function* () {
        const pair = yield* makePair()
        const entropy = countingUp()
        const answers = [unauthorized, lines("HTTP/1.1 100 Continue", "", "HTTP/1.1 204 x", ""), unauthorized]
        const asked: Array<string | undefined> = []
        for (const text of answers) {
          const peer = nextPeer(pair)
          const error = yield* decline(pair, peer, text, handshake(pair.client, {}, entropy))
          assert.isTrue(error.reusable)
          asked.push(peer.field("Sec-WebSocket-Key"))
        }
        assert.deepStrictEqual(asked, [...keys])
      })
    )
  )

  it.effect("client forgets the deadline while the transport rests, and has a new one then", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { pair } = yield* makeResting
        yield* TestClock.adjust("1 hour")
        assert.isTrue(pair.client.ledger.isOpen)
        const peer = nextPeer(pair)
        const opening = yield* Effect.fork(Effect.flip(handshake(pair.client)))
        yield* peer.awaitHead
        yield* TestClock.adjust(9999)
        assert.isFalse(yield* isDone(opening))
        yield* TestClock.adjust(501)
        const timeout = { _tag: "Timeout", phase: "head", duration: Duration.seconds(10) }
        assert.deepStrictEqual(describeError(yield* Fiber.join(opening)), failedFor(timeout))
        assert.isFalse(pair.client.ledger.isOpen)
      })
    )
  )

  it.effect("client goes by the options of each attempt, not by those of the first", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { pair } = yield* makeResting
        const second = yield* decline(
          pair,
          nextPeer(pair),
          lines("HTTP/1.1 403 x", "Content-Length: 0", "a:", "b:", ""),
          handshake(pair.client, { maxHeadFields: 3 })
        )
        assert.isTrue(second.reusable)
        const third = yield* decline(pair, nextPeer(pair), unauthorized, handshake(pair.client, { maxBodySize: 3 }))
        assert.deepStrictEqual(describeError(third), declined(401, fields, "who", { isComplete: false }))
      })
    )
  )

  it.effect("client gives up in the time of the attempt, not in that of the first", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { pair } = yield* makeResting
        const peer = nextPeer(pair)
        const opening = yield* Effect.fork(Effect.flip(handshake(pair.client, { handshakeTimeout: "1 minute" })))
        yield* peer.awaitHead
        yield* TestClock.adjust(59_999)
        assert.isFalse(yield* isDone(opening))
        yield* TestClock.adjust(3001)
        assert.strictEqual((yield* Fiber.join(opening)).reason._tag, "Timeout")
      })
    )
  )

  it.effect("client takes messages as large as the attempt allows that led to the connection", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { pair } = yield* makeResting
        const peer = nextPeer(pair)
        const opening = yield* Effect.fork(handshake(pair.client, { maxMessageSize: 3 }))
        yield* answer(peer, [bytesOf(accepted())])
        peer.sendText("four")
        assert.strictEqual((yield* Effect.flip((yield* Fiber.join(opening)).receive))._tag, "MessageTooBig")
      })
    )
  )

  it.effect("client destroys a transport that rests when the scope closes", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { pair, peer } = yield* makeServer()
        const error = yield* Effect.scoped(
          Effect.tap(decline(pair, peer), () => assert.isTrue(pair.client.ledger.isOpen))
        )
        assert.isTrue(error.reusable)
        assert.isFalse(pair.client.ledger.isOpen)
        yield* peer.awaitClosed
        yield* assertLeftAlone(pair.client)
      })
    )
  )

  it.effect("client leaves another attempt alone when the scope of the last one closes", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { pair, peer } = yield* makeServer()
        const first = yield* Scope.make()
        yield* Scope.extend(decline(pair, peer), first)
        const next = nextPeer(pair)
        const opening = yield* Effect.fork(handshake(pair.client))
        yield* next.awaitHead
        yield* Scope.close(first, Exit.void)
        yield* answer(next, [bytesOf(accepted())])
        yield* assertWorks(yield* Fiber.join(opening), next)
      })
    )
  )

  it.effect("client leaves nothing when another attempt is interrupted", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { pair } = yield* makeResting
        const peer = nextPeer(pair)
        const opening = yield* Effect.fork(handshake(pair.client))
        yield* peer.awaitHead
        yield* Fiber.interrupt(opening)
        assert.isFalse(pair.client.ledger.isOpen)
        yield* assertLeftAlone(pair.client)
      })
    )
  )

  it.effect("client destroys a transport that rests when the next request can't be sent", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { pair, peer } = yield* makeResting
        const { bytesWritten } = pair.client.ledger
        const error = yield* Effect.flip(handshake(pair.client, { headers: { Host: "x" } }))
        assert.strictEqual(error.reason._tag, "ReservedField")
        assert.strictEqual(pair.client.ledger.bytesWritten, bytesWritten)
        assert.isFalse(pair.client.ledger.isOpen)
        yield* peer.awaitClosed
      })
    )
  )
})

describe("RFC 9112 9.3: no other attempt", () => {
  const answers: ReadonlyArray<readonly [string, string]> = [
    ["keeps nothing alive", lines("HTTP/1.1 401 x", "Content-Length: 0", "Connection: close", "")],
    ["speaks HTTP/1.0", lines("HTTP/1.0 401 x", "Content-Length: 0", "Connection: keep-alive", "")],
    ["sends a body that is malformed", `${lines("HTTP/1.1 401 x", "Transfer-Encoding: chunked", "")}x`],
    ["sends too large a body", `${lines("HTTP/1.1 401 x", "Content-Length: 65537", "")}${"a".repeat(65_537)}`],
    ["sends bytes behind the body", `${unauthorized}H`],
    ["sends another answer behind the first", unauthorized + unauthorized],
    ["accepts wrongly", acceptedFor(accepts[1])]
  ]
  for (const [name, text] of answers) {
    it.effect(`client may not try again when the server ${name}`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const { pair, peer } = yield* makeServer()
          assert.isFalse((yield* decline(pair, peer, text)).reusable)
          assert.isFalse(pair.client.ledger.isOpen)
          yield* assertLeftAlone(pair.client)
        })
      )
    )
  }

  it.effect("client doesn't take what came unasked for the answer to another attempt", () =>
    Effect.gen(function* () {
      for (const unasked of ["H", acceptedFor(accepts[1]), unauthorized, "x".repeat(100_000)]) {
        yield* leavesNothing(
          Effect.gen(function* () {
            const { pair, peer } = yield* makeResting
            const { bytesWritten } = pair.client.ledger
            peer.send(bytesOf(unasked))
            yield* settled
            const error = yield* Effect.flip(handshake(pair.client, credentials))
            assert.deepStrictEqual(describeError(error), notReusable)
            assert.strictEqual(pair.client.ledger.bytesWritten, bytesWritten)
            assert.isFalse(pair.client.ledger.isOpen)
            yield* peer.awaitClosed
          })
        )
      }
    })
  )

  it.effect("client holds a bounded part of what comes unasked, and pauses the server", () =>
    leavesNothing(
      Effect.gen(function* () {
        const pair = yield* makePair({ readSize: 1000 })
        const peer = nextPeer(pair)
        yield* decline(pair, peer)
        const { bytesDelivered } = pair.client.ledger
        peer.send(new Uint8Array(1_000_000))
        yield* settled
        assert.isTrue(pair.client.ledger.isPaused)
        assert.isAtMost(pair.client.ledger.bytesDelivered - bytesDelivered, 16 * 1024 + 1000)
      })
    )
  )

  for (const leave of ["end", "destroy"] as const) {
    it.effect(`client learns that the server is gone while the transport rested, by ${leave}`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const { pair, peer } = yield* makeResting
          const { bytesWritten } = pair.client.ledger
          peer[leave]()
          yield* settled
          const error = yield* Effect.flip(handshake(pair.client, credentials))
          assert.deepStrictEqual(describeError(error), failedFor({ _tag: "PeerGone" }))
          assert.strictEqual(pair.client.ledger.bytesWritten, bytesWritten)
          assert.isFalse(pair.client.ledger.isOpen)
        })
      )
    )
  }

  it.effect("client learns that the connection was reset while the transport rested", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { pair, peer } = yield* makeResting
        peer.transport.pause()
        // What the server doesn't read any more makes its loss a reset.
        pair.client.write([new Uint8Array(1)])
        yield* settled
        peer.destroy()
        yield* settled
        const { reason } = yield* Effect.flip(handshake(pair.client, credentials))
        assert(reason._tag === "Transport")
        assert.include(reason.error.message, "ECONNRESET")
      })
    )
  )

  it.effect("client learns that the server is gone only after it has asked", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { pair, peer } = yield* makeResting
        const { writes } = pair.client.ledger
        peer.destroy()
        const { reason } = yield* Effect.flip(handshake(pair.client, credentials))
        assert.strictEqual(reason._tag, "PeerGone")
        assert.strictEqual(pair.client.ledger.writes, writes + 1)
        assert.isFalse(pair.client.ledger.isOpen)
      })
    )
  )

  it.effect("client leaves the transport of an open connection alone, and of a closed one", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { pair, peer } = yield* makeServer()
        const opening = yield* Effect.fork(handshake(pair.client))
        yield* answer(peer, [bytesOf(accepted())])
        const socket = yield* Fiber.join(opening)
        yield* assertLeftAlone(pair.client)
        yield* assertWorks(socket, peer)
        assert.deepInclude(yield* socket.close(), { clean: true })
        yield* assertLeftAlone(pair.client)
      })
    )
  )

  it.effect("client leaves the transport of a handshake alone that is under way", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { pair, peer } = yield* makeServer()
        const opening = yield* Effect.fork(handshake(pair.client))
        yield* peer.awaitHead
        yield* assertLeftAlone(pair.client)
        yield* answer(peer, [bytesOf(accepted())])
        yield* assertWorks(yield* Fiber.join(opening), peer)
      })
    )
  )

  it.effect("client leaves the transport of another attempt alone that is under way", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { pair } = yield* makeResting
        const peer = nextPeer(pair)
        const opening = yield* Effect.fork(handshake(pair.client))
        yield* peer.awaitHead
        yield* assertLeftAlone(pair.client)
        yield* answer(peer, [bytesOf(accepted())])
        yield* assertWorks(yield* Fiber.join(opening), peer)
      })
    )
  )

  it.effect("client and server leave each other's transports alone", () =>
    leavesNothing(
      Effect.gen(function* () {
        const pair = yield* makePair()
        const accepting = yield* Effect.fork(WebSocket.acceptTransport(pair.server))
        const client = yield* handshake(pair.client)
        const server = yield* Fiber.join(accepting)
        yield* assertLeftAlone(pair.server)
        const { reason } = yield* Effect.flip(WebSocket.acceptTransport(pair.client))
        assert.deepStrictEqual(reason, { _tag: "NotReusable" })
        yield* server.send("a")
        assert.deepInclude(yield* client.receive, { _tag: "Text", text: "a" })
      })
    )
  )

  for (const isResting of [false, true]) {
    const what = isResting ? "that rests" : "that is new"
    it.effect(`client gives a transport ${what} to one of two fibers, wherever they are held up`, () =>
      Effect.gen(function* () {
        for (let opsPerTurn = 10; opsPerTurn < 60; opsPerTurn++) {
          yield* leavesNothing(
            Effect.withScheduler(
              Effect.gen(function* () {
                const { pair, peer } = yield* isResting ? makeResting : makeServer()
                const next = isResting ? nextPeer(pair) : peer
                const { sinks, writes } = pair.client.ledger
                const both = yield* Effect.replicateEffect(Effect.fork(Effect.either(handshake(pair.client))), 2)
                yield* answer(next, [bytesOf(accepted())])
                const outcomes = yield* Effect.forEach(both, Fiber.join)
                const sockets = outcomes.flatMap((outcome) => (outcome._tag === "Right" ? [outcome.right] : []))
                const errors = outcomes.flatMap((outcome) => (outcome._tag === "Left" ? [outcome.left] : []))
                assert.deepStrictEqual(errors.map(describeError), [notReusable], `${opsPerTurn} operations a turn`)
                assert.strictEqual(pair.client.ledger.writes, writes + 1)
                // One for the handshake, one for the connection.
                assert.isAtMost(pair.client.ledger.sinks, sinks + 2)
                yield* assertWorks(sockets[0]!, next)
              }),
              new CountingScheduler(opsPerTurn)
            )
          )
        }
      })
    )
  }

  it.effect("client never keeps a transport that it made itself", () =>
    leavesNothing(
      Effect.gen(function* () {
        const memory = makeConnector({ accepts: false })
        const connecting = yield* Effect.fork(
          Effect.flip(WebSocketClient.make(memory.connector).connect(`ws://${host}/`))
        )
        yield* settled
        yield* answer(memory.peers[0]!, [bytesOf(unauthorized)])
        const error = yield* Fiber.join(connecting)
        assert.deepStrictEqual(describeError(error), declined(401, fields, "who?"))
        assert.strictEqual(memory.released, 1)
        yield* memory.peers[0]!.awaitClosed
      })
    )
  )
})
