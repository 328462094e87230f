/** A connection as the `Socket` of @effect/platform: what it does while it is open, and how it ends. */
import * as PlatformSocket from "@effect-ws/api/PlatformSocket"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as Socket from "@effect/platform/Socket"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { open, roles } from "./support/connections.ts"
import * as Frames from "./support/frames.ts"
import { leavesNothing, makePair, settled } from "./support/leaks.ts"
import { isDone, isSuspended, messageCost, receive } from "./support/receiving.ts"

type Data = string | Uint8Array

const show = (data: Data): string => (typeof data === "string" ? data : `binary ${Frames.toHex(data)}`)

const causeOf = (exit: Exit.Exit<unknown, unknown>): string => String(Exit.isFailure(exit) && exit.cause)

/** Runs a scenario, and looks for what it left behind. */
const scoped = (title: string, scenario: () => Effect.Effect<void, unknown, Scope.Scope>) =>
  it.effect(title, () => leavesNothing(scenario()))

/** Collects what a run hands out. */
const collect = () => {
  const got: Array<string> = []
  return { got, note: (data: Data): void => void got.push(show(data)) }
}

describe.each(roles)("PlatformSocket of a %s: messages", (role) => {
  scoped(`${role} hands text to runRaw as a string, binary as bytes, and everything to run as bytes`, () =>
    Effect.gen(function* () {
      for (const way of ["runRaw", "run"] as const) {
        const { peer, socket } = yield* open(role)
        const { got, note } = collect()
        peer.send(peer.text("héllo"), peer.binary(Uint8Array.of(1, 2)), peer.text(""), peer.close(1000))
        yield* WebSocket.toSocket(socket)[way](note)
        const text = way === "runRaw" ? ["héllo", ""] : ["binary 68 c3 a9 6c 6c 6f", "binary "]
        assert.deepStrictEqual(got, [text[0], "binary 01 02", text[1]])
      }
    })
  )

  scoped(`${role} handles one after the other, and a slow handler pauses the peer`, () =>
    Effect.gen(function* () {
      const { peer, socket, transport } = yield* open(role, { socket: { inboxHighWaterMark: 2 * messageCost } })
      const latch = yield* Effect.makeLatch()
      const { got, note } = collect()
      const handler = (data: Data) => Effect.map(latch.await, () => note(data))
      const running = yield* Effect.fork(PlatformSocket.fromWebSocket(socket).runRaw(handler))
      const texts = Array.from("abcdefgh")
      for (const text of texts) {
        peer.sendText(text)
        yield* settled
      }
      assert.deepStrictEqual(got, [])
      assert.isTrue((yield* socket.status).isPaused)
      assert.isTrue(transport.ledger.isPaused)
      assert.isAbove(peer.transport.writable, 0)
      yield* latch.open
      yield* settled
      assert.deepStrictEqual(got, texts)
      assert.strictEqual(peer.transport.writable, 0)
      peer.sendClose(1000)
      yield* Fiber.join(running)
    })
  )

  scoped(`${role} writes strings as text and bytes as binary, and waits while the peer doesn't read`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role, { pair: { highWaterMark: 100 }, socket: { sendHighWaterMark: 100 } })
      const write = yield* WebSocket.toSocket(socket).writer
      yield* write("a")
      yield* write(Uint8Array.of(1))
      assert.deepStrictEqual(yield* peer.awaitFrames(2), ["text a", "binary 01"])
      peer.transport.pause()
      const texts = Array.from({ length: 20 }, (_, i) => `${i}`.padStart(50, "."))
      const writing = yield* Effect.fork(Effect.forEach(texts, (text) => write(text), { discard: true }))
      yield* settled
      assert.isTrue(yield* isSuspended(writing))
      assert.isBelow((yield* socket.status).outgoing, 300)
      peer.transport.resume()
      yield* Fiber.join(writing)
      assert.deepStrictEqual(
        (yield* peer.awaitFrames(22)).slice(2),
        texts.map((text) => `text ${text}`)
      )
    })
  )

  scoped(`${role} has the errors and requirements of the handler`, () =>
    Effect.gen(function* () {
      class Name extends Context.Tag("test/Name")<Name, string>() {}
      const { peer, socket } = yield* open(role)
      const handler = (data: Data) =>
        Effect.flatMap(Name, (name) => (show(data) === name ? Effect.fail("same" as const) : Effect.void))
      const running: Effect.Effect<void, Socket.SocketError | "same", Name> =
        PlatformSocket.fromWebSocket(socket).runRaw(handler)
      peer.sendText("a", "b", "c")
      assert.strictEqual(yield* Effect.flip(Effect.provideService(running, Name, "b")), "same")
      assert.strictEqual(yield* receive(socket), "c")
    })
  )

  scoped(`${role} leaves the connection open when the run is interrupted, and runs again`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const adapted = PlatformSocket.fromWebSocket(socket)
      const { got, note } = collect()
      const first = yield* Effect.fork(adapted.runRaw(note))
      peer.sendText("a")
      yield* settled
      yield* Fiber.interrupt(first)
      assert.strictEqual((yield* socket.status).state, "open")
      peer.send(peer.text("b"), peer.close(1000))
      yield* adapted.runRaw(note)
      assert.deepStrictEqual(got, ["a", "b"])
    })
  )

  scoped(`${role} can be interrupted inside a region that can't be`, () =>
    Effect.gen(function* () {
      const { socket } = yield* open(role)
      const running = yield* Effect.fork(Effect.uninterruptible(WebSocket.toSocket(socket).run(() => {})))
      yield* settled
      assert.isTrue(Exit.isInterrupted(yield* Fiber.interrupt(running)))
    })
  )

  scoped(`${role} handles messages while onOpen waits for one, after onOpen has begun`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const latch = yield* Effect.makeLatch()
      const log: Array<string> = []
      const note = (entry: string) => Effect.sync(() => void log.push(entry))
      const onOpen = note("open").pipe(Effect.zipRight(latch.await), Effect.zipRight(note("done")))
      peer.send(peer.text("a"), peer.close(1000))
      yield* settled
      yield* WebSocket.toSocket(socket).runRaw((data) => Effect.zipRight(note(show(data)), latch.open), { onOpen })
      assert.deepStrictEqual(log, ["open", "a", "done"])
    })
  )

  scoped(`${role} dies as onOpen does, and handles nothing more`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const { got, note } = collect()
      const exit = yield* Effect.exit(WebSocket.toSocket(socket).runRaw(note, { onOpen: Effect.dieMessage("boom") }))
      assert.include(causeOf(exit), "boom")
      peer.sendText("a")
      yield* settled
      assert.deepStrictEqual(got, [])
      assert.strictEqual(yield* receive(socket), "a")
    })
  )
})

describe.each(roles)("PlatformSocket of a %s: several at once", (role) => {
  for (const concurrency of [2, "unbounded"] as const) {
    scoped(`${role} begins in order with concurrency ${concurrency}, and lets the replies go before its Close`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        const adapted = PlatformSocket.fromWebSocket(socket, { concurrency })
        const write = yield* adapted.writer
        const latch = yield* Effect.makeLatch()
        const log: Array<string> = []
        const handler = (data: Data) => {
          log.push(show(data))
          return Effect.zipRight(latch.await, write(data))
        }
        const running = yield* Effect.fork(adapted.runRaw(handler))
        peer.send(peer.text("a"), peer.text("b"), peer.text("c"), peer.close(1000))
        yield* settled
        assert.deepStrictEqual(log, concurrency === 2 ? ["a", "b"] : ["a", "b", "c"])
        assert.deepStrictEqual(peer.said, [])
        yield* latch.open
        yield* Fiber.join(running)
        // Which of two is done first is open.
        assert.sameMembers(peer.said.slice(0, 3), ["text a", "text b", "text c"])
        assert.deepStrictEqual(peer.said.slice(3), ["close 1000"])
      })
    )

    scoped(
      `${role} fails as the first handler that fails with concurrency ${concurrency}, and interrupts the rest`,
      () =>
        Effect.gen(function* () {
          const { peer, socket } = yield* open(role)
          const ended: Array<string> = []
          const handler = (data: Data) =>
            data === "b"
              ? Effect.fail("no" as const)
              : Effect.onInterrupt(Effect.never, () => Effect.sync(() => ended.push(show(data))))
          peer.sendText("a", "b")
          const running = PlatformSocket.fromWebSocket(socket, { concurrency }).runRaw(handler)
          assert.strictEqual(yield* Effect.flip(running), "no")
          assert.deepStrictEqual(ended, ["a"])
          // Nothing is in hand any more that the answer to a Close frame would have to wait for.
          const last = yield* Effect.fork(Effect.flip(socket.receive))
          yield* settled
          peer.sendClose(1000)
          yield* Fiber.join(last)
          assert.deepStrictEqual(peer.said, ["close 1000"])
        })
    )
  }

  scoped(`${role} begins every message without a bound, and interrupts what runs when the transport has ended`, () =>
    Effect.gen(function* () {
      const { peer, socket, transport } = yield* open(role, { socket: { inboxHighWaterMark: messageCost } })
      const log: Array<string> = []
      const handler = (data: Data) => {
        log.push(show(data))
        return Effect.onInterrupt(Effect.never, () => Effect.sync(() => void log.push(`${show(data)} interrupted`)))
      }
      const running = yield* Effect.fork(
        Effect.flip(PlatformSocket.fromWebSocket(socket, { concurrency: "unbounded" }).runRaw(handler))
      )
      for (const text of "abcd") {
        peer.sendText(text)
        yield* settled
      }
      assert.isFalse(transport.ledger.isPaused)
      peer.destroy()
      assert.deepInclude(yield* Fiber.join(running), { reason: "Close", code: 1006 })
      const texts = Array.from("abcd")
      assert.sameMembers(log, [...texts, ...texts.map((text) => `${text} interrupted`)])
      assert.deepStrictEqual(log.slice(0, 4), texts)
    })
  )

  scoped(`${role} ends as the connection does when writes of several handlers come too late`, () =>
    Effect.gen(function* () {
      for (const concurrency of [1, 3, "unbounded"] as const) {
        const { peer, socket } = yield* open(role)
        const adapted = PlatformSocket.fromWebSocket(socket, { concurrency })
        const write = yield* adapted.writer
        const { got, note } = collect()
        const handler = (data: Data) =>
          Effect.zipRight(
            Effect.sync(() => note(data)),
            Effect.zipRight(write(new Socket.CloseEvent(1000)), write("late"))
          )
        peer.sendText("a", "b", "c")
        yield* adapted.runRaw(handler)
        assert.deepStrictEqual(got, ["a", "b", "c"])
        assert.deepStrictEqual(peer.said, ["close 1000"])
      }
    })
  )

  scoped(`${role} refuses a concurrency that can't be meant`, () =>
    Effect.gen(function* () {
      const { socket } = yield* open(role)
      for (const concurrency of [0, -1, 1.5, NaN, Infinity]) {
        assert.throws(() => PlatformSocket.fromWebSocket(socket, { concurrency }), RangeError, `and is ${concurrency}`)
        const exit = yield* Effect.exit(PlatformSocket.make(Effect.succeed(socket), { concurrency }))
        assert.include(causeOf(exit), "RangeError: The option concurrency must be")
      }
    })
  )
})

describe.each(roles)("PlatformSocket of a %s: the end", (role) => {
  const endings = [
    { code: 1000, reason: "bye", succeeds: true },
    { code: 1001, reason: "away", succeeds: false },
    { code: 1005, reason: "", succeeds: false },
    { code: 4000, reason: "why not", succeeds: false }
  ]
  for (const { code, reason, succeeds } of endings) {
    scoped(`${role} ${succeeds ? "succeeds" : "fails"} when the peer closes with ${code}`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        const adapted = WebSocket.toSocket(socket)
        if (code === 1005) peer.sendClose()
        else peer.sendClose(code, reason)
        const exit = yield* Effect.exit(adapted.run(() => {}))
        const error = new Socket.SocketCloseError({ reason: "Close", code, closeReason: reason })
        assert.deepStrictEqual(exit, succeeds ? Exit.void : Exit.fail(error))
        // The writer tells it in every case.
        assert.deepStrictEqual(
          yield* Effect.flip(Effect.flatMap(Effect.scoped(adapted.writer), (write) => write("a"))),
          error
        )
      })
    )
  }

  scoped(`${role} fails when the connection is lost, behind the messages that came before`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const { got, note } = collect()
      peer.sendText("a", "b")
      peer.end()
      const error = yield* Effect.flip(WebSocket.toSocket(socket).runRaw(note))
      assert.deepInclude(error, { _tag: "SocketError", reason: "Close", code: 1006 })
      assert.deepStrictEqual(got, ["a", "b"])
    })
  )

  scoped(`${role} leaves it to closeCodeIsError which codes are errors`, () =>
    Effect.gen(function* () {
      for (const code of [1000, 1006, 3000]) {
        const { peer, socket } = yield* open(role)
        const asked: Array<number> = []
        const closeCodeIsError = (code: number): boolean => {
          asked.push(code)
          return code === 1000
        }
        const run = PlatformSocket.fromWebSocket(socket, { closeCodeIsError }).run(() => {})
        if (code === 1006) peer.end()
        else peer.sendClose(code)
        const exit = yield* Effect.exit(run)
        assert.strictEqual(Exit.isFailure(exit), code === 1000)
        assert.deepStrictEqual(asked, [code])
      }
    })
  )

  scoped(`${role} fails with Read, and the writer with Write, for what is no closing`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const adapted = WebSocket.toSocket(socket)
      peer.send(peer.frame(3))
      const error = yield* Effect.flip(adapted.run(() => {}))
      const write = yield* adapted.writer
      const cause = yield* socket.closed
      assert.strictEqual(cause._tag, "ProtocolError")
      assert.deepStrictEqual(error, new Socket.SocketGenericError({ reason: "Read", cause }))
      const late = yield* Effect.flip(write("a"))
      assert.deepStrictEqual(late, new Socket.SocketGenericError({ reason: "Write", cause }))
    })
  )

  scoped(`${role} begins the closing handshake with the code and the reason of a CloseEvent`, () =>
    Effect.gen(function* () {
      const closings = [
        [new Socket.CloseEvent(), "close 1000"],
        [new Socket.CloseEvent(4001, "enough"), "close 4001 enough"],
        [new Socket.CloseEvent(1009, "€".repeat(100)), `close 1009 ${"€".repeat(41)}`],
        [new Socket.CloseEvent(1009, `a${"😀".repeat(50)}`), `close 1009 a${"😀".repeat(30)}`]
      ] as const
      for (const [event, said] of closings) {
        const { peer, socket } = yield* open(role)
        const adapted = WebSocket.toSocket(socket)
        const write = yield* adapted.writer
        yield* write(event)
        assert.deepStrictEqual(yield* peer.awaitFrames(1), [said])
        assert.strictEqual((yield* Effect.flip(write("late"))).reason, "Write")
        const exit = yield* Effect.exit(adapted.run(() => {}))
        assert.strictEqual(Exit.isSuccess(exit), event.code === 1000)
        // To close what is closed already is nothing new.
        yield* write(event)
      }
    })
  )

  scoped(`${role} dies of a CloseEvent whose code can't be sent, and goes on`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const write = yield* WebSocket.toSocket(socket).writer
      for (const code of [1006, 999, 5000]) {
        const exit = yield* Effect.exit(write(new Socket.CloseEvent(code)))
        assert.include(causeOf(exit), "RangeError")
      }
      yield* write("a")
      assert.deepStrictEqual(yield* peer.awaitFrames(1), ["text a"])
    })
  )

  scoped(`${role} fails a write that waited for room when the connection ends`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role, { pair: { highWaterMark: 10 }, socket: { sendHighWaterMark: 10 } })
      const write = yield* WebSocket.toSocket(socket).writer
      peer.transport.pause()
      const writing = yield* Effect.fork(Effect.forever(write("0123456789")))
      yield* settled
      assert.isFalse(yield* isDone(writing))
      yield* socket.destroy
      const error = yield* Effect.flip(Fiber.join(writing))
      assert.deepInclude(error, { reason: "Close", code: 1006 })
      peer.transport.resume()
    })
  )

  scoped(`${role} fails with Write when the queue is full and must not be waited for`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role, {
        pair: { highWaterMark: 10 },
        socket: { sendHighWaterMark: 10, whenFull: "fail" }
      })
      const adapted = WebSocket.toSocket(socket)
      const write = yield* adapted.writer
      peer.transport.pause()
      yield* write("0123456789")
      peer.transport.write([peer.text("go")])
      // The error of a handler, since the connection lives on.
      const error = yield* Effect.flip(adapted.run(() => write("0123456789")))
      assert.deepInclude(error, { reason: "Write" })
      assert.deepInclude((error as Socket.SocketGenericError).cause, { _tag: "SendRejected" })
      assert.strictEqual((yield* socket.status).state, "open")
      peer.transport.resume()
    })
  )
})

describe("PlatformSocket: many messages", () => {
  for (const concurrency of [1, 8, "unbounded"] as const) {
    const kept = concurrency === 1 ? "lose and reorder nothing" : "lose nothing"
    scoped(`both sides ${kept} of 10000 messages with concurrency ${concurrency}`, () =>
      Effect.gen(function* () {
        const count = 10_000
        const pair = yield* makePair()
        const accepting = yield* Effect.fork(WebSocket.acceptTransport(pair.server))
        const client = WebSocket.toSocket(yield* WebSocket.handshake(pair.client, { host: "localhost" }))
        const server = PlatformSocket.fromWebSocket(yield* Fiber.join(accepting), { concurrency })
        const reply = yield* server.writer
        const serving = yield* Effect.fork(server.runRaw((data) => reply(data)))
        const write = yield* client.writer
        const texts = Array.from({ length: count }, (_, i) => `${i}`)
        const writing = yield* Effect.fork(Effect.forEach(texts, (text) => write(text), { discard: true }))
        const got: Array<Data> = []
        yield* client.runRaw((data) => (got.push(data) === count ? write(new Socket.CloseEvent()) : undefined))
        yield* Fiber.join(writing)
        yield* Fiber.join(serving)
        // Done in any order means that replies may overtake each other.
        if (concurrency !== 1) got.sort((a, b) => Number(a) - Number(b))
        assert.isTrue(got.length === count && got.every((text, i) => text === texts[i]))
      })
    )
  }
})
