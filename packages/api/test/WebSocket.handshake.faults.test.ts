/** Opening handshakes of a client that are disturbed: the transport fails at any operation, or the program goes on to something else. */
import { HandshakeError } from "@effect-ws/api/HandshakeError"
import type * as MemoryTransport from "@effect-ws/api/testing/MemoryTransport"
import type * as WebSocket from "@effect-ws/api/WebSocket"
import * as WebSocketClient from "@effect-ws/api/WebSocketClient"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import { acceptedFor, accepts, countingUp, handshake, host, lines, Script } from "./support/answering.ts"
import { leavesNothing, makePair, settled } from "./support/leaks.ts"
import { atEveryPoint, describePoints, interruptions, pauses } from "./support/schedulers.ts"

const interim = lines("HTTP/1.1 103 Early Hints", "")
const unauthorized = interim + lines("HTTP/1.1 401 x", "Content-Length: 4", "") + "who?"
const forbidden = lines("HTTP/1.1 403 x", "Transfer-Encoding: chunked", "") + "2\r\nno\r\n0\r\n\r\n"
const closing = lines("HTTP/1.1 503 x", "Connection: close", "Content-Length: 5", "") + "later"

/** The answers of a server, and how many requests it takes when nothing goes wrong. */
const scripts: ReadonlyArray<readonly [name: string, answers: ReadonlyArray<string>, outcome: string]> = [
  ["accepts", [acceptedFor(accepts[0])], "open"],
  ["declines", [closing], "503"],
  ["declines twice and closes then", [unauthorized, forbidden, closing], "503"],
  ["declines and accepts then", [unauthorized, acceptedFor(accepts[1])], "open"],
  ["declines twice and accepts then", [unauthorized, forbidden, acceptedFor(accepts[2])], "open"]
]

/** Tries again for as long as the transport may be used again. */
const insist = (transport: MemoryTransport.MemoryTransport) => {
  const entropy = countingUp()
  const attempt: Effect.Effect<WebSocket.WebSocket, HandshakeError, Scope.Scope> = Effect.suspend(() =>
    handshake(transport, {}, entropy)
  ).pipe(
    Effect.catchIf(
      ({ reusable }) => reusable,
      () => attempt
    )
  )
  return attempt
}

const describeExit = (exit: Exit.Exit<WebSocket.WebSocket, HandshakeError>): string => {
  if (Exit.isSuccess(exit)) return "open"
  if (Exit.isInterrupted(exit)) return "interrupted"
  assert(Cause.isFailType(exit.cause), Cause.pretty(exit.cause))
  const { reason } = exit.cause.error
  return reason._tag === "Declined" && reason.isComplete ? `${reason.status}` : reason._tag
}

const assertEchoes = (socket: WebSocket.WebSocket, { peer }: Script) =>
  Effect.gen(function* () {
    yield* socket.send("a")
    assert.deepStrictEqual(yield* peer!.awaitFrames(1), ["text a"])
    peer!.sendText("b")
    assert.deepInclude(yield* socket.receive, { _tag: "Text", text: "b" })
  })

describe("RFC 6455 4.1: a transport that fails", () => {
  const pairs: ReadonlyArray<readonly [string, MemoryTransport.Options]> = [
    ["whole chunks", {}],
    ["chunks of 9 bytes", { readSize: 9 }],
    ["a low high-water mark", { highWaterMark: 10 }]
  ]

  for (const [name, answers, outcome] of scripts) {
    for (const [how, options] of pairs) {
      it.effect(`client leaves nothing whichever operation fails with a server that ${name}, with ${how}`, () =>
        Effect.gen(function* () {
          const outcomes: Array<string> = []
          for (let failAt = 1, hasFailed = true; hasFailed; failAt++) {
            hasFailed = yield* leavesNothing(
              Effect.gen(function* () {
                const pair = yield* makePair({ ...options, failAt })
                const script = new Script(pair.server, answers)
                outcomes.push(describeExit(yield* Effect.exit(Effect.scoped(insist(pair.client)))))
                yield* settled
                assert.isFalse(pair.client.ledger.isOpen)
                if (!pair.hasFailed()) assert.strictEqual(script.heads.length, answers.length)
                return pair.hasFailed()
              })
            )
          }
          assert.strictEqual(outcomes.at(-1), outcome)
          // A failure of the server's end looks like one of ours, and one within a body leaves what came of it.
          const expected = [outcome, "Transport", "PeerGone", "Declined"]
          for (const told of outcomes) assert.include(expected, told)
          assert.isAbove(outcomes.filter((told) => told === "Transport").length, 2)
        })
      )
    }
  }
})

describe("RFC 6455 4.1: a program that is disturbed", () => {
  for (const points of [...interruptions, ...pauses]) {
    for (const [name, answers, outcome] of scripts) {
      it.effect(`client leaves nothing with a server that ${name} when it is ${describePoints(points)}`, () =>
        Effect.gen(function* () {
          const outcomes: Array<string> = []
          yield* atEveryPoint(points, (disturbed) =>
            Effect.gen(function* () {
              const pair = yield* makePair()
              const script = new Script(pair.server, answers)
              const exit = yield* disturbed(insist(pair.client))
              outcomes.push(describeExit(exit))
              // Interrupted before its first step it has not touched the transport.
              if (pair.client.ledger.sinks === 0) pair.client.destroy()
              if (Exit.isSuccess(exit)) yield* assertEchoes(exit.value, script)
              // Interrupted between two attempts, the transport rests until the scope closes.
              else if (Exit.isInterrupted(exit)) yield* settled
              else assert.isFalse(pair.client.ledger.isOpen)
            })
          )
          assert.isAbove(outcomes.length, 5)
          assert.strictEqual(outcomes.at(-1), outcome)
          const expected = points.interrupt ? [outcome, "interrupted"] : [outcome]
          for (const told of outcomes) assert.include(expected, told)
        })
      )
    }
  }
})

describe("RFC 6455 4.1: a connector that keeps its transports", () => {
  for (const answer of [unauthorized, forbidden, closing]) {
    it.effect(`client destroys the transport itself behind ${JSON.stringify(answer.slice(-40))}`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const pair = yield* makePair()
          const script = new Script(pair.server, [answer])
          const client = WebSocketClient.make(() => Effect.succeed(pair.client))
          const error = yield* Effect.flip(client.connect(`ws://${host}/`))
          assert.strictEqual(error.reason._tag, "Declined")
          assert.isFalse(error.reusable)
          assert.isFalse(pair.client.ledger.isOpen)
          assert.lengthOf(script.heads, 1)
        })
      )
    )
  }
})
