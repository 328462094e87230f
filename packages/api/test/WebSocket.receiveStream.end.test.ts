/** What ends a message that is received piece by piece: limits, the end of the connection, interruption. */
import * as WebSocket from "@effect-ws/api/WebSocket"
import type { Message } from "@effect-ws/core/Message"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { open, roles, type Opened } from "./support/connections.ts"
import * as Frames from "./support/frames.ts"
import { leavesNothing, settled } from "./support/leaks.ts"
import { fragments, held, isDone, isSuspended, receive, receivePieces, textOf } from "./support/receiving.ts"
import { atEveryPoint, describePoints, interruptions, pauses, type Points } from "./support/schedulers.ts"

const { opcodes } = Frames

const limits = { maxMessageSize: 100, maxStreamedSize: 1000, inboxHighWaterMark: 4096 }

/** A message of so many bytes in one chunk, in many, and in many fragments; the first part alone says that it is large. */
const shapes = ["in one chunk", "in many chunks", "of many fragments", "with nothing but its header at first"] as const

const partsOf = (shape: (typeof shapes)[number], { peer }: Opened, size: number): Array<Uint8Array> => {
  const whole = peer.binary(new Uint8Array(size).fill(7))
  const header = whole.length - size
  if (shape === "in one chunk") return [whole]
  if (shape === "in many chunks") return [0, 1, 2].map((i) => whole.slice(...cut(i, whole.length)))
  if (shape !== "of many fragments") return [whole.slice(0, header), whole.slice(header)]
  const payloads = Array.from({ length: Math.ceil(size / 60) }, (_, i) =>
    new Uint8Array(Math.min(60, size - i * 60)).fill(7)
  )
  const frames = fragments(peer, opcodes.binary, ...payloads)
  return [Frames.concat(frames.slice(0, 2)), ...frames.slice(2)]
}

const cut = (i: number, length: number): [number, number] => [
  Math.floor((i * length) / 3),
  Math.floor(((i + 1) * length) / 3)
]

const sendAll = ({ peer }: Opened, parts: ReadonlyArray<Uint8Array>) =>
  Effect.forEach(
    parts,
    (part) =>
      Effect.zipRight(
        Effect.sync(() => peer.send(part)),
        settled
      ),
    { discard: true }
  )

describe.each(roles)("WebSocket of a %s: receiveStream and its limit", (role) => {
  for (const shape of shapes) {
    it.scoped(`${role} refuses a message over maxStreamedSize ${shape}, with 1009 and both figures`, () =>
      Effect.gen(function* () {
        const opened = yield* open(role, { socket: limits })
        const reading = yield* Effect.fork(Effect.flip(receivePieces(opened.socket)))
        yield* settled
        yield* sendAll(opened, partsOf(shape, opened, 1200))
        const error = yield* Fiber.join(reading)
        const size = shape === "of many fragments" ? 1020 : 1200
        assert.deepInclude(error, { _tag: "MessageTooBig", limit: 1000, size })
        assert.match(opened.peer.said.at(-1)!, new RegExp(`^close 1009 .*${size}.*1000`))
      })
    )

    it.scoped(`${role} reads a message over maxMessageSize ${shape} that a reader waits for`, () =>
      Effect.gen(function* () {
        const opened = yield* open(role, { socket: limits })
        const reading = yield* Effect.fork(receivePieces(opened.socket))
        yield* settled
        yield* sendAll(opened, partsOf(shape, opened, 1000))
        assert.isTrue(yield* isDone(reading))
        assert.strictEqual((yield* Fiber.join(reading)).length, "binary".length + 3 * 1000)
        opened.peer.sendText("next")
        assert.strictEqual(yield* receive(opened.socket), "next")
      })
    )

    it.scoped(`${role} leaves a message over maxMessageSize ${shape} undecided until it is read piece by piece`, () =>
      Effect.gen(function* () {
        const opened = yield* open(role, { socket: limits })
        const parts = partsOf(shape, opened, 1000)
        yield* sendAll(opened, parts)
        assert.deepInclude(yield* opened.socket.status, { isPaused: parts.length > 1, state: "open" })
        const reading = yield* Effect.fork(receivePieces(opened.socket))
        yield* settled
        assert.isTrue(yield* isDone(reading))
        assert.strictEqual((yield* Fiber.join(reading)).length, "binary".length + 3 * 1000)
        assert.deepInclude(yield* opened.socket.status, { isPaused: false, incoming: 0 })
      })
    )

    it.scoped(`${role} goes on behind a message over maxMessageSize ${shape} that is left at once`, () =>
      Effect.gen(function* () {
        const opened = yield* open(role, { socket: limits })
        const reading = yield* Effect.fork(Effect.scoped(opened.socket.receiveStream))
        yield* settled
        yield* sendAll(opened, partsOf(shape, opened, 1000))
        yield* Fiber.join(reading)
        opened.peer.sendText("next")
        assert.strictEqual(yield* receive(opened.socket), "next")
      })
    )

    const takers: Record<string, (socket: WebSocket.WebSocket) => Effect.Effect<unknown, unknown>> = {
      receive: (socket) => socket.receive,
      receiveAll: (socket) => socket.receiveAll,
      messages: (socket) => Stream.runDrain(socket.messages),
      run: (socket) => WebSocket.run(socket, () => {})
    }

    for (const [name, take] of Object.entries(takers)) {
      it.effect(`${role} refuses a message over maxMessageSize ${shape} that ${name} comes for, or waits for`, () =>
        leavesNothing(
          Effect.gen(function* () {
            for (const isFirst of [true, false]) {
              const opened = yield* open(role, { socket: limits })
              const waiting = isFirst ? yield* Effect.fork(Effect.flip(take(opened.socket))) : undefined
              yield* settled
              yield* sendAll(opened, partsOf(shape, opened, 1000))
              const error = yield* waiting === undefined ? Effect.flip(take(opened.socket)) : Fiber.join(waiting)
              assert.deepInclude(error as object, { _tag: "MessageTooBig", limit: 100 })
              yield* settled
              assert.match(opened.peer.said.at(-1)!, /^close 1009 /)
              assert.strictEqual(yield* opened.socket.closed, error)
            }
          })
        )
      )
    }

    it.effect(`${role} refuses an undecided message ${shape} when it closes, and ends in time`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const opened = yield* open(role, { socket: limits })
          yield* sendAll(opened, partsOf(shape, opened, 1000))
          const exit = yield* Effect.exit(opened.socket.close())
          assert.strictEqual(opened.peer.said[0], "close 1000")
          if (shape === "in one chunk") assert.isTrue(Exit.isSuccess(exit))
          else assert.deepInclude(yield* opened.socket.closed, { _tag: "MessageTooBig", limit: 100 })
        })
      )
    )

    it.effect(`${role} refuses an undecided message ${shape} when its scope closes, and ends in time`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const opened = yield* open(role, { socket: limits })
          yield* sendAll(opened, partsOf(shape, opened, 1000))
        })
      )
    )
  }

  it.scoped(`${role} refuses an undecided message when the reader in front lets others read`, () =>
    Effect.gen(function* () {
      const opened = yield* open(role, { socket: limits })
      const { peer, socket } = opened
      const holding = yield* Effect.fork(Effect.scoped(Effect.zipRight(socket.receiveStream, Effect.never)))
      peer.sendText("first")
      yield* settled
      const waiting = yield* Effect.fork(Effect.flip(socket.receive))
      yield* settled
      yield* sendAll(opened, partsOf("in many chunks", opened, 1000))
      assert.isTrue(yield* isSuspended(waiting))
      yield* Fiber.interrupt(holding)
      assert.deepInclude(yield* Fiber.join(waiting), { _tag: "MessageTooBig", limit: 100 })
    })
  )

  it.scoped(
    `${role} tells of a message in one chunk that nobody takes as a whole before the Close frame behind it`,
    () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role, { socket: limits })
        peer.send(peer.binary(new Uint8Array(1000)), peer.close(1000))
        yield* settled
        const error = yield* Effect.flip(socket.receive)
        assert.deepInclude(error, { _tag: "MessageTooBig", limit: 100, size: 1000 })
        yield* settled
        assert.deepStrictEqual(peer.said, ["close 1000"])
        if (role === "client") peer.end()
        assert.strictEqual(yield* socket.closed, error)
      })
  )
})

/** Reads a message by its pieces, and returns them with what the stream failed with. */
const readToEnd = (socket: WebSocket.WebSocket, got: Array<string>) =>
  Effect.scoped(
    Effect.flatMap(socket.receiveStream, ({ bytes }) =>
      Stream.runForEach(bytes, (piece) => Effect.sync(() => got.push(Frames.toText(piece))))
    )
  )

const ends: Record<string, { readonly by: (opened: Opened) => Effect.Effect<void>; readonly tag: string }> = {
  "a Close frame": { by: ({ peer }) => Effect.sync(() => peer.sendClose(1000)), tag: "ConnectionClosed" },
  "the end of the transport": { by: ({ peer }) => Effect.sync(() => peer.end()), tag: "ConnectionClosed" },
  "a fault": { by: ({ peer }) => Effect.sync(() => peer.send(peer.text("x"))), tag: "ProtocolError" },
  "a reset": {
    by: ({ peer }) =>
      Effect.sync(() => {
        peer.send(peer.text("lost"))
        peer.destroy()
      }),
    tag: "TransportError"
  },
  "a timeout": {
    by: ({ peer }) =>
      Effect.zipRight(
        Effect.sync(() => (peer.polite = false)),
        TestClock.adjust(10_500)
      ),
    tag: "ConnectionTimeout"
  },
  destroy: { by: ({ socket }) => socket.destroy, tag: "ConnectionClosed" }
}

describe.each(roles)("WebSocket of a %s: receiveStream and the end", (role) => {
  for (const [name, { by, tag }] of Object.entries(ends)) {
    for (const reader of ["waits", "comes"] as const) {
      it.scoped(
        `${role} gives the pieces, then the one error, when ${name} comes in the middle and the reader ${reader}`,
        () =>
          Effect.gen(function* () {
            const opened = yield* open(role, { socket: { idleTimeout: "10 seconds" } })
            const { peer, socket } = opened
            const [first] = fragments(peer, opcodes.text, "a", "b")
            const got: Array<string> = []
            peer.send(first!)
            yield* settled
            const scope = yield* Effect.fork(socket.receiveStream)
            const { bytes } = yield* Fiber.join(scope)
            const reading = Effect.flip(
              Stream.runForEach(bytes, (piece) => Effect.sync(() => got.push(Frames.toText(piece))))
            )
            const waiting = reader === "waits" ? yield* Effect.fork(reading) : undefined
            yield* settled
            yield* by(opened)
            yield* settled
            const error = yield* waiting === undefined ? reading : Fiber.join(waiting)
            assert.deepStrictEqual(got, ["a"])
            assert.strictEqual(error._tag, tag)
            // Others fail at once, although the reading is held.
            assert.strictEqual(yield* Effect.flip(socket.receive), error)
            assert.strictEqual((yield* socket.status).state === "open", false)
            if (role === "client") peer.end()
            yield* TestClock.adjust(7000)
            assert.strictEqual(yield* socket.closed, error)
          })
      )
    }
  }

  it.scoped(`${role} answers a Close frame at once when the reader only waits`, () =>
    Effect.gen(function* () {
      for (const isWithin of [false, true]) {
        const { peer, socket } = yield* open(role)
        if (isWithin) peer.send(fragments(peer, opcodes.text, "a", "b")[0]!)
        const reading = yield* Effect.fork(Effect.exit(readToEnd(socket, [])))
        yield* settled
        peer.sendClose(4000)
        yield* settled
        assert.deepStrictEqual(peer.said, ["close 4000"])
        assert.isTrue(Exit.isFailure(yield* Fiber.join(reading)))
      }
    })
  )

  for (const isWhole of [true, false]) {
    it.scoped(
      `${role} lets the reply to a message ${isWhole ? "in" : "of many chunks, the last in"} the chunk of the Close frame go first`,
      () =>
        Effect.gen(function* () {
          const { peer, socket } = yield* open(role)
          const echo = Effect.zipRight(
            Effect.flatMap(receivePieces(socket), (text) => socket.send(text)),
            Effect.flip(receivePieces(socket))
          )
          const [first, second] = fragments(peer, opcodes.text, "a", "b")
          const fiber = yield* Effect.fork(echo)
          yield* settled
          if (!isWhole) peer.send(first!)
          yield* settled
          peer.send(isWhole ? peer.text("ab") : second!, peer.close(1000))
          yield* settled
          assert.deepStrictEqual(peer.said, ["text ab", "close 1000"])
          assert.deepInclude(yield* Fiber.join(fiber), { _tag: "ConnectionClosed", clean: true })
        })
    )
  }

  it.scoped(
    `${role} lets the reply to a message go first whose reader has seen its end when the Close frame comes`,
    () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        const [first, second] = fragments(peer, opcodes.text, "a", "b")
        const reading = yield* Effect.fork(receivePieces(socket))
        yield* settled
        peer.send(first!)
        yield* settled
        peer.send(second!)
        const text = yield* Fiber.join(reading)
        peer.sendClose(1000)
        yield* settled
        assert.deepStrictEqual(peer.said, [])
        yield* socket.send(text)
        yield* Effect.flip(socket.receive)
        assert.deepStrictEqual(yield* peer.awaitFrames(2), ["text ab", "close 1000"])
      })
  )

  it.scoped(`${role} answers a Close frame as soon as the reader lets others read who wait`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      peer.sendText("a")
      const holding = yield* Effect.fork(Effect.scoped(Effect.zipRight(socket.receiveStream, Effect.never)))
      yield* settled
      const waiting = yield* Effect.fork(Effect.flip(socket.receive))
      peer.sendClose(1000)
      yield* settled
      assert.deepStrictEqual(peer.said, [])
      yield* Fiber.interrupt(holding)
      assert.deepInclude(yield* Fiber.join(waiting), { _tag: "ConnectionClosed", clean: true })
      assert.deepStrictEqual(yield* peer.awaitFrames(1), ["close 1000"])
    })
  )

  it.scoped(
    `${role} goes on with a message while it closes, up to the mark, and never gives one with a hole in it`,
    () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role, { socket: { inboxHighWaterMark: 1000 }, peer: { polite: false } })
        const parts = fragments(peer, opcodes.text, "a", ...Array.from({ length: 10 }, () => "b".repeat(400)), "c")
        peer.send(parts[0]!)
        yield* settled
        const { bytes } = yield* socket.receiveStream
        const closing = yield* Effect.fork(socket.close())
        yield* peer.awaitFrames(1)
        peer.polite = true
        for (const part of parts.slice(1, -1)) {
          peer.send(part)
          yield* settled
        }
        assert.strictEqual(yield* held(socket), 1201)
        let got = ""
        const reading = yield* Effect.fork(
          Effect.flip(Stream.runForEach(bytes, (piece) => Effect.sync(() => (got += Frames.toText(piece)))))
        )
        yield* settled
        assert.strictEqual(got, `a${"b".repeat(1200)}`)
        peer.send(parts.at(-1)!)
        yield* settled
        assert.isFalse(yield* isDone(reading))
        peer.sendClose(1000)
        if (role === "client") peer.end()
        assert.deepInclude(yield* Fiber.join(closing), { clean: true, discarded: 1 })
        assert.deepInclude(yield* Fiber.join(reading), { _tag: "ConnectionClosed" })
        assert.strictEqual(got.length, 1201)
      })
  )
})

// Turns that are shorter than these have more tasks of the same kind, and take long.
const disturbances: ReadonlyArray<Points> = [
  ...interruptions.filter(({ each }) => each === "operation"),
  { each: "task", opsPerTurn: 24, interrupt: true },
  ...pauses
]

describe.each(roles)("WebSocket of a %s: receiveStream, disturbed", (role) => {
  for (const points of disturbances) {
    for (const texts of [["a"], ["a1", "a2"]]) {
      it.effect(
        `${role} loses no more than the message of ${texts.length === 1 ? "one frame" : "two frames"} that was begun when receiveStream is ${describePoints(points)}`,
        () =>
          Effect.map(
            atEveryPoint(points, (disturbed) =>
              Effect.gen(function* () {
                const { peer, socket } = yield* open(role)
                const got: Array<string> = []
                const note = (message: Message) => Effect.sync(() => got.push(textOf(message)))
                const [first, ...others] = fragments(peer, opcodes.text, ...texts)
                const feed = Effect.gen(function* () {
                  yield* Effect.repeatN(Effect.yieldNow(), 3)
                  peer.send(first!)
                  yield* Effect.repeatN(Effect.yieldNow(), 9)
                  peer.send(...others, peer.text("b"))
                })
                let isBegun = false
                const stream = Effect.scoped(
                  Effect.flatMap(socket.receiveStream, ({ bytes }) => {
                    isBegun = true
                    return Effect.map(
                      Stream.runFold(bytes, "", (text, piece) => text + Frames.toText(piece)),
                      (text) => {
                        got.push(text)
                        isBegun = false
                      }
                    )
                  })
                )
                const exit = yield* disturbed(stream, feed)
                assert.isTrue(Exit.isSuccess(exit) || Exit.isInterrupted(exit), String(exit))
                peer.sendText("c")
                peer.sendClose(1000)
                // The reading was given back: whole messages come again, and streamed ones.
                if (Exit.isFailure(exit))
                  yield* Effect.ignore(Effect.tap(receivePieces(socket), (text) => Effect.sync(() => got.push(text))))
                yield* Effect.ignore(Effect.forever(Effect.flatMap(socket.receive, note)))
                const all = [texts.join(""), "b", "c"]
                assert.deepStrictEqual(
                  got,
                  all.filter((text) => got.includes(text))
                )
                assert.isAtLeast(got.length, isBegun || Exit.isInterrupted(exit) ? 2 : 3)
                assert.strictEqual(yield* held(socket), 0)
              })
            ),
            (count) => assert.isAbove(count, 5)
          )
      )
    }

    it.effect(`${role} gives the turn on when one of those who wait for it is ${describePoints(points)}`, () =>
      atEveryPoint(points, (disturbed) =>
        Effect.gen(function* () {
          const { peer, socket } = yield* open(role)
          const holding = yield* Effect.fork(Effect.scoped(Effect.zipRight(socket.receiveStream, Effect.never)))
          peer.sendText("held")
          yield* settled
          const got: Array<string> = []
          const stream = Effect.scoped(socket.receiveStream)
          const feed = Effect.gen(function* () {
            yield* settled
            const last = yield* Effect.fork(Effect.map(receivePieces(socket), (text) => got.push(text)))
            yield* settled
            yield* Fiber.interrupt(holding)
            peer.sendText("a")
            yield* settled
            peer.sendText("b")
            yield* Fiber.await(last)
          })
          const exit = yield* disturbed(stream, feed)
          assert.isTrue(
            Exit.isSuccess(exit) || Exit.isInterrupted(exit),
            Exit.isFailure(exit) ? Cause.pretty(exit.cause) : ""
          )
          assert.strictEqual(got.length, 1)
          peer.sendText("last")
          let text = yield* receive(socket)
          if (text === "b") text = yield* receive(socket)
          assert.strictEqual(text, "last")
        })
      )
    )
  }
})
