import * as CloseReason from "@effect-ws/core/CloseReason"
import * as Message from "@effect-ws/core/Message"
import * as Entropy from "@effect-ws/api/Entropy"
import * as WebSocket from "@effect-ws/api/WebSocket"
import type { WebSocketError } from "@effect-ws/api/WebSocketError"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { bufferOf } from "./support/bufferOf.ts"
import { open, roles } from "./support/connections.ts"
import * as Frames from "./support/frames.ts"
import { settled } from "./support/leaks.ts"
import { sampleAccept, sampleKey } from "./support/Peer.ts"
import { CountingScheduler } from "./support/schedulers.ts"

const { opcodes } = Frames

const describeMessage = (message: Message.Message): string =>
  message._tag === "Text" ? `Text ${message.text}` : `Binary ${Frames.toHex(message.bytes)}`

const receive = (socket: WebSocket.WebSocket) => Effect.map(socket.receive, describeMessage)

const defectOf = (exit: Exit.Exit<unknown, unknown>): string =>
  Exit.isFailure(exit) ? Option.match(Cause.dieOption(exit.cause), { onNone: () => "none", onSome: String }) : "none"

/** Every operation, each with the error it fails with. */
const failures = (socket: WebSocket.WebSocket) =>
  Effect.all({
    receive: Effect.flip(socket.receive),
    text: Effect.flip(socket.send("a")),
    bytes: Effect.flip(socket.send(new Uint8Array(3))),
    ping: Effect.flip(socket.ping()),
    pong: Effect.flip(socket.pong()),
    closed: socket.closed
  })

describe.each(roles)("WebSocket of a %s", (role) => {
  it.scoped(`${role} knows its role, the two heads and who the peer is`, () =>
    Effect.gen(function* () {
      const { socket, transport } = yield* open(role)
      assert.strictEqual(socket.role, role)
      assert.strictEqual(socket.request.path, role === "server" ? "/chat" : "/")
      assert.strictEqual(socket.response.status, 101)
      assert.isUndefined(socket.subprotocol)
      assert.deepStrictEqual(socket.info, transport.info)
    })
  )

  describe("messages", () => {
    it.scoped(`${role} receives messages in the order of the wire, with control frames between fragments`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        peer.send(
          peer.text("héllo"),
          peer.frame(opcodes.binary, Uint8Array.of(1), { fin: false }),
          peer.frame(opcodes.ping, "p"),
          peer.frame(opcodes.continuation, Uint8Array.of(2)),
          peer.text("")
        )
        assert.strictEqual(yield* receive(socket), "Text héllo")
        assert.strictEqual(yield* receive(socket), "Binary 01 02")
        assert.strictEqual(yield* receive(socket), "Text ")
        assert.deepStrictEqual(yield* peer.awaitFrames(1), ["pong 70"])
      })
    )

    it.scoped(`${role} receives messages whose bytes come one at a time`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role, { pair: { readSize: 1 } })
        peer.sendText("abc", "déf")
        assert.strictEqual(yield* receive(socket), "Text abc")
        assert.strictEqual(yield* receive(socket), "Text déf")
      })
    )

    it.scoped(`${role} sends text, bytes, any view of bytes, and messages`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        const buffer = Uint8Array.of(1, 2, 3, 4, 5, 6).buffer
        yield* socket.send("héllo")
        yield* socket.send(Uint8Array.of(1, 2))
        yield* socket.send(buffer)
        yield* socket.send(new DataView(buffer, 1, 2))
        yield* socket.send(new Uint16Array(buffer, 2, 2))
        yield* socket.send(Message.text("m"))
        yield* socket.send(Message.binary(Uint8Array.of(9)))
        yield* socket.send("")
        yield* socket.send("\ud800")
        assert.deepStrictEqual(yield* peer.awaitFrames(9), [
          "text héllo",
          "binary 01 02",
          "binary 01 02 03 04 05 06",
          "binary 02 03",
          "binary 03 04 05 06",
          "text m",
          "binary 09",
          "text",
          "text \ufffd"
        ])
      })
    )

    it.scoped(`${role} relays a message without decoding or altering it`, () =>
      Effect.gen(function* () {
        const from = yield* open(role)
        const to = yield* open(role)
        from.peer.sendText("relay")
        const message = yield* from.socket.receive
        yield* to.socket.send(message)
        yield* to.socket.send(message)
        assert.deepStrictEqual(yield* to.peer.awaitFrames(2), ["text relay", "text relay"])
        assert.strictEqual(describeMessage(message), "Text relay")
      })
    )

    it.scoped(`${role} lets the caller reuse the bytes once send has completed, and never alters them`, () =>
      Effect.gen(function* () {
        for (const size of [1, 100, 70_000]) {
          const { peer, socket } = yield* open(role)
          const bytes = bufferOf(size, 7)
          yield* socket.send(bytes)
          assert.isTrue(bytes.every((byte) => byte === 7))
          bytes.fill(8)
          yield* peer.awaitFrames(1)
          assert.deepStrictEqual(peer.frames[0]!.payload, new Uint8Array(size).fill(7))
        }
      })
    )

    it.scoped(`${role} hands out messages that later chunks don't change, and that pin no large chunk`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        const big = peer.binary(new Uint8Array(60_000).fill(1))
        peer.send(peer.text("small"), big)
        const small = yield* socket.receive
        yield* socket.receive
        peer.send(peer.text("other"), big)
        yield* socket.receive
        assert.strictEqual(describeMessage(small), "Text small")
        assert.isAtMost(small.bytes.buffer.byteLength, 4096)
      })
    )

    it.scoped(`${role} sends from many fibers at once without tearing anything`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role, { socket: { sendHighWaterMark: 4096 } })
        const sizes = [0, 1, 125, 126, 5000, 65_536, 70_000]
        const sent = Array.from({ length: 70 }, (_, i) => new Uint8Array(sizes[i % sizes.length]!).fill(i))
        const sending = Effect.forEach(sent, (bytes) => socket.send(bytes), { concurrency: "unbounded" })
        yield* Effect.withScheduler(sending, new CountingScheduler(11))
        yield* peer.awaitFrames(sent.length)
        assert.deepStrictEqual(
          peer.frames.map(({ payload }) => payload),
          sent
        )
      })
    )

    it.scoped(`${role} delivers what came in front of a bad frame, then the error, and says 1002`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        peer.send(peer.text("a"), peer.text("b"), peer.frame(opcodes.text, "c", { rsv: 4 }), peer.text("d"))
        assert.strictEqual(yield* receive(socket), "Text a")
        assert.strictEqual(yield* receive(socket), "Text b")
        const error = yield* Effect.flip(socket.receive)
        assert.strictEqual(error._tag, "ProtocolError")
        assert.strictEqual(error._tag === "ProtocolError" && error.closeCode, 1002)
        yield* peer.awaitFrames(1)
        assert.include(peer.said[0], "close 1002")
        yield* peer.awaitClosed
      })
    )

    it.scoped(`${role} fails with 1007 for text that isn't UTF-8`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        peer.send(peer.frame(opcodes.text, Uint8Array.of(0x61, 0xff)))
        const error = yield* Effect.flip(socket.receive)
        assert.strictEqual(error._tag === "ProtocolError" && error.closeCode, 1007)
        yield* peer.awaitFrames(1)
        assert.include(peer.said[0], "close 1007")
      })
    )

    it.scoped(`${role} refuses a message over the limit when its size is announced, with 1009`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role, { socket: { maxMessageSize: 10 } })
        peer.send(
          peer.text("0123456789"),
          peer.frame(opcodes.text, "0123456789a").subarray(0, role === "server" ? 6 : 2)
        )
        assert.strictEqual(yield* receive(socket), "Text 0123456789")
        const error = yield* Effect.flip(socket.receive)
        assert.deepInclude(error, { _tag: "MessageTooBig", limit: 10, size: 11 })
        yield* peer.awaitFrames(1)
        assert.include(peer.said[0], "close 1009")
      })
    )
  })

  describe("one wake-up for a chunk", () => {
    const many = 200

    const handlers: ReadonlyArray<[what: string, tasks: number, handled: (socket: WebSocket.WebSocket) => unknown]> = [
      ["does not wake the fiber of run for what its handler has done on the spot", 0, () => undefined],
      ["does not wake the fiber of run for messages that are sent at once", 0, (socket) => socket.send("reply")],
      ["wakes the fiber of run once for the effects of its handler", 1, () => Effect.sync(() => {})]
    ]

    for (const [what, tasks, handled] of handlers) {
      it.scoped(`${role} ${what}, and makes no other fiber`, () =>
        Effect.gen(function* () {
          const { peer, socket } = yield* open(role)
          const scheduler = new CountingScheduler()
          const got: Array<string> = []
          const handler = (message: Message.Message): Effect.Effect<void> => {
            got.push(describeMessage(message))
            return handled(socket) as Effect.Effect<void>
          }
          yield* Effect.fork(Effect.withScheduler(WebSocket.run(socket, handler), scheduler))
          yield* settled
          const before = scheduler.tasks
          const first = yield* Effect.fork(Effect.void)
          peer.sendText(...Array.from({ length: many }, (_, i) => `${i}`))
          yield* settled
          const second = yield* Effect.fork(Effect.void)
          assert.deepStrictEqual(
            got,
            Array.from({ length: many }, (_, i) => `Text ${i}`)
          )
          assert.strictEqual(scheduler.tasks - before, tasks)
          assert.strictEqual(second.id().id - first.id().id, 1)
        })
      )
    }

    it.scoped(`${role} wakes a fiber that receives in a loop once, and makes no other fiber`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        const scheduler = new CountingScheduler()
        let got = 0
        const loop = Effect.gen(function* () {
          for (; ; got++) yield* socket.receive
        })
        yield* Effect.fork(Effect.withScheduler(loop, scheduler))
        yield* settled
        const before = scheduler.tasks
        const first = yield* Effect.fork(Effect.void)
        peer.sendText(...Array.from({ length: many }, (_, i) => `${i}`))
        yield* settled
        const second = yield* Effect.fork(Effect.void)
        assert.strictEqual(got, many)
        assert.strictEqual(scheduler.tasks - before, 1)
        assert.strictEqual(second.id().id - first.id().id, 1)
      })
    )

    it.scoped(`${role} writes what is sent in one turn in one write, and makes no fiber for it`, () =>
      Effect.gen(function* () {
        const { peer, socket, transport } = yield* open(role)
        const before = transport.ledger.writes
        const first = yield* Effect.fork(Effect.void)
        for (let i = 0; i < many; i++) yield* socket.send("a")
        const second = yield* Effect.fork(Effect.void)
        yield* peer.awaitFrames(many)
        assert.strictEqual(transport.ledger.writes - before, 1)
        assert.strictEqual(second.id().id - first.id().id, 1)
      })
    )

    it.scoped(`${role} answers all Pings of a chunk in one write`, () =>
      Effect.gen(function* () {
        const { peer, transport } = yield* open(role)
        const before = transport.ledger.writes
        peer.send(...Array.from({ length: many }, () => peer.frame(opcodes.ping)))
        yield* peer.awaitFrames(many)
        assert.strictEqual(transport.ledger.writes - before, 1)
      })
    )
  })

  describe("run", () => {
    it.scoped(`${role} gives the next message to the handler when the effect of the last one is done`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        const log: Array<string> = []
        const running = yield* Effect.fork(
          WebSocket.run(socket, (message) => {
            log.push(`begin ${describeMessage(message)}`)
            return Effect.zipRight(
              Effect.sleep("1 second"),
              Effect.sync(() => log.push("end"))
            )
          })
        )
        peer.sendText("a", "b")
        yield* TestClock.adjust("999 millis")
        assert.deepStrictEqual(log, ["begin Text a"])
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(log, ["begin Text a", "end", "begin Text b"])
        yield* Fiber.interrupt(running)
      })
    )

    it.scoped(`${role} answers Pings while a handler takes its time`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        yield* Effect.fork(WebSocket.run(socket, () => Effect.never))
        peer.send(peer.text("a"), peer.frame(opcodes.ping, "1"))
        assert.deepStrictEqual(yield* peer.awaitFrames(1), ["pong 31"])
      })
    )

    it.scoped(`${role} takes nothing, an Exit and an effect from the handler`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        const answers = [undefined, Exit.void, Effect.sync(() => 1), Effect.yieldNow()]
        let count = 0
        const running = yield* Effect.fork(WebSocket.run(socket, () => answers[count++ % answers.length]))
        peer.sendText(..."abcdefgh")
        peer.sendClose(1000)
        yield* Fiber.join(running)
        assert.strictEqual(count, 8)
      })
    )

    it.scoped(`${role} fails with the failure of the handler, and keeps the messages that were not handed out`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        peer.sendText("a", "b", "c")
        const error = yield* Effect.flip(WebSocket.run(socket, () => Effect.fail("no" as const)))
        assert.strictEqual(error, "no")
        assert.strictEqual(yield* receive(socket), "Text b")
        const exit = yield* Effect.exit(
          WebSocket.run(socket, () => {
            throw new Error("oops")
          })
        )
        assert.include(defectOf(exit), "oops")
      })
    )

    it.scoped(`${role} ends normally when the handler meets the clean end itself`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        const running = yield* Effect.fork(
          WebSocket.run(socket, () => Effect.zipRight(Effect.ignore(socket.closed), socket.send("late")))
        )
        peer.sendText("a")
        yield* settled
        peer.sendClose(1000)
        yield* TestClock.adjust(1050)
        yield* Fiber.join(running)
      })
    )

    it.scoped(`${role} has every message of its handler's type inferred`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        peer.sendText("a")
        const failing = WebSocket.run(socket, (message) =>
          message.byteLength > 0 ? Effect.fail("no" as const) : undefined
        )
        const error: WebSocketError | "no" = yield* Effect.flip(failing)
        assert.strictEqual(error, "no")
      })
    )

    it.scoped("run is a defect for what is no connection of this library", () =>
      Effect.gen(function* () {
        const exit = yield* Effect.exit(WebSocket.run({} as WebSocket.WebSocket, () => Effect.void))
        assert.include(defectOf(exit), "was not made by this library")
      })
    )
  })

  describe("the end", () => {
    const endings = [
      { name: "1000", code: 1000, clean: true },
      { name: "1001", code: 1001, clean: true },
      { name: "no code", code: undefined, clean: true },
      { name: "1011", code: 1011, clean: false },
      { name: "4000", code: 4000, clean: false }
    ]

    for (const { clean, code, name } of endings) {
      it.scoped(
        `${role} ends its messages ${clean ? "normally" : "with a failure"} when the peer closes with ${name}`,
        () =>
          Effect.gen(function* () {
            const { peer, socket } = yield* open(role)
            const taken = yield* Effect.fork(Effect.exit(Stream.runDrain(socket.messages)))
            const handled = yield* Effect.fork(Effect.exit(WebSocket.run(socket, () => Effect.void)))
            yield* settled
            peer.sendClose(code)
            const exits = [yield* Fiber.join(taken), yield* Fiber.join(handled)]
            const closed = yield* socket.closed
            for (const exit of exits) {
              assert.strictEqual(Exit.isSuccess(exit), clean)
              if (Exit.isFailure(exit)) assert.deepStrictEqual(Cause.failureOption(exit.cause), Option.some(closed))
            }
            assert.deepInclude(closed, { _tag: "ConnectionClosed", initiator: "peer", clean, discarded: 0 })
            assert.strictEqual(closed._tag === "ConnectionClosed" && closed.code, code ?? 1005)
            yield* peer.awaitFrames(1)
            assert.strictEqual(peer.said[0], code === undefined ? "close" : `close ${code}`)
          })
      )
    }

    it.scoped(`${role} fails with 1006 when the transport ends without a Close frame`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        peer.sendText("last")
        peer.end()
        assert.strictEqual(yield* receive(socket), "Text last")
        const error = yield* Effect.flip(socket.receive)
        assert.deepInclude(error, { _tag: "ConnectionClosed", received: undefined, initiator: "peer", clean: false })
        assert.strictEqual(yield* socket.closed, error)
        const exit = yield* Effect.exit(Stream.runDrain(socket.messages))
        assert.isTrue(Exit.isFailure(exit))
      })
    )

    it.scoped(`${role} fails with the error of the transport when the peer resets it`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        peer.sendText("lost")
        peer.destroy()
        const error = yield* socket.closed
        assert.deepInclude(error, { _tag: "TransportError", operation: "read" })
      })
    )

    const ways: ReadonlyArray<
      readonly [
        string,
        (socket: WebSocket.WebSocket, peer: import("./support/Peer.ts").Peer) => Effect.Effect<unknown, WebSocketError>
      ]
    > = [
      ["its own close", (socket) => socket.close()],
      ["the peer's close", (_, peer) => Effect.sync(() => peer.sendClose(1000))],
      ["a fault of the peer", (_, peer) => Effect.sync(() => peer.send(peer.frame(3)))],
      ["an end of the transport", (_, peer) => Effect.sync(() => peer.end())],
      ["a failure of the transport", (_, peer) => Effect.sync(() => (peer.sendText("a"), peer.destroy()))]
    ]
    for (const [name, end] of ways) {
      it.scoped(`${role} fails with the one error in every operation after ${name}`, () =>
        Effect.gen(function* () {
          const { peer, socket } = yield* open(role)
          const waiting = yield* Effect.fork(Effect.flip(socket.ping()))
          yield* settled
          peer.polite = false
          yield* Effect.fork(Effect.exit(end(socket, peer)))
          yield* settled
          peer.polite = true
          if (name === "its own close") peer.sendClose(1000)
          peer.end()
          const error = yield* socket.closed
          const all = yield* failures(socket)
          for (const [operation, failure] of Object.entries(all)) assert.strictEqual(failure, error, operation)
          assert.strictEqual(yield* Fiber.join(waiting), error)
          const closing = yield* Effect.exit(socket.close())
          if (error._tag === "ConnectionClosed" && error.received !== undefined) {
            assert.deepStrictEqual(closing, Exit.succeed(error))
          } else assert.deepStrictEqual(closing, Exit.fail(error))
        })
      )
    }
  })

  describe("close", () => {
    it.scoped(`${role} closes with 1000 and completes with what both said`, () =>
      Effect.gen(function* () {
        const { pair, peer, socket } = yield* open(role)
        const outcome = yield* socket.close()
        assert.deepInclude(outcome, {
          _tag: "ConnectionClosed",
          sent: { code: 1000, reason: "" },
          received: { code: 1000, reason: "" },
          initiator: "local",
          clean: true,
          discarded: 0
        })
        assert.deepStrictEqual(peer.said, ["close 1000"])
        yield* settled
        assert.deepStrictEqual(pair.leftovers(), [])
        assert.strictEqual(yield* socket.close({ code: 4000, reason: "again" }), outcome)
      })
    )

    it.scoped(`${role} sends the reason it is given, or none`, () =>
      Effect.gen(function* () {
        const first = yield* open(role)
        yield* first.socket.close({ code: 4001, reason: "bye" })
        assert.deepStrictEqual(first.peer.said, ["close 4001 bye"])
        const second = yield* open(role)
        const outcome = yield* second.socket.close(CloseReason.none)
        assert.deepStrictEqual(second.peer.said, ["close"])
        assert.deepInclude(outcome, { clean: true, code: 1005 })
      })
    )

    it.scoped(`${role} is clean when it began, whatever the peer answers`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role, { peer: { polite: false } })
        const closing = yield* Effect.fork(socket.close())
        yield* peer.awaitFrames(1)
        peer.polite = true
        peer.sendClose(1011, "no")
        if (role === "client") peer.end()
        assert.deepInclude(yield* Fiber.join(closing), { initiator: "local", clean: true, code: 1011 })
      })
    )

    it.scoped(`${role} receives what comes before the peer's Close frame, and sends nothing after its own`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role, { peer: { polite: false } })
        const closing = yield* Effect.fork(socket.close())
        yield* peer.awaitFrames(1)
        for (const rejected of [socket.send("a"), socket.ping(), socket.pong()]) {
          assert.deepInclude(yield* Effect.flip(rejected), { _tag: "SendRejected", reason: { _tag: "Closing" } })
        }
        peer.polite = true
        peer.sendText("a", "b")
        peer.sendClose(1000)
        if (role === "client") peer.end()
        assert.strictEqual(yield* receive(socket), "Text a")
        assert.strictEqual(yield* receive(socket), "Text b")
        assert.strictEqual(yield* Effect.flip(socket.receive), yield* Fiber.join(closing))
        assert.deepStrictEqual(peer.said, ["close 1000"])
      })
    )

    it.scoped(`${role} fails to close when the peer ends the transport without a Close frame`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role, { peer: { polite: false } })
        const closing = yield* Effect.fork(Effect.flip(socket.close()))
        yield* peer.awaitFrames(1)
        peer.end()
        assert.deepInclude(yield* Fiber.join(closing), { _tag: "ConnectionClosed", received: undefined, clean: false })
      })
    )

    it.scoped(`${role} leaves it to the server to end the transport`, () =>
      Effect.gen(function* () {
        const { peer, transport } = yield* open(role, { peer: { polite: false } })
        peer.sendClose(1000)
        yield* peer.awaitFrames(1)
        yield* settled
        assert.strictEqual(peer.hasEnded, role === "server")
        assert.isTrue(transport.ledger.isOpen)
        peer.end()
        yield* peer.awaitClosed
      })
    )

    const invalid: ReadonlyArray<readonly [string, CloseReason.CloseReason]> = [
      ["a code that must not be sent", { code: 1006, reason: "" }],
      ["a code outside the ranges", { code: 999, reason: "" }],
      ["1005 with a text", { code: 1005, reason: "text" }],
      ["a text of more than 123 bytes", { code: 1000, reason: "é".repeat(62) }]
    ]
    for (const [name, reason] of invalid) {
      it.scoped(`${role} dies of ${name}, says what is wrong, and sends nothing`, () =>
        Effect.gen(function* () {
          const { peer, socket } = yield* open(role)
          const defect = defectOf(yield* Effect.exit(socket.close(reason)))
          assert.match(defect, /^RangeError: .*(RFC 6455|123)/)
          yield* socket.send("alive")
          assert.deepStrictEqual(yield* peer.awaitFrames(1), ["text alive"])
        })
      )
    }
  })

  describe("ping and pong", () => {
    it.scoped(`${role} completes a Ping with the time until its Pong`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        const waiting = yield* Effect.fork(socket.ping())
        yield* peer.awaitFrames(1)
        yield* TestClock.adjust("40 millis")
        peer.send(peer.frame(opcodes.pong, peer.frames[0]!.payload))
        assert.strictEqual(Duration.toMillis(yield* Fiber.join(waiting)), 40)
      })
    )

    it.scoped(`${role} gives each Ping a payload of its own and answers all that went before the answered one`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        const waiting = yield* Effect.forEach([1, 2, 3], () => Effect.fork(socket.ping()))
        yield* peer.awaitFrames(3)
        assert.strictEqual(new Set(peer.said).size, 3)
        peer.send(peer.frame(opcodes.pong, "nobody asked"), peer.frame(opcodes.pong, peer.frames[1]!.payload))
        yield* Fiber.join(waiting[0]!)
        yield* Fiber.join(waiting[1]!)
        yield* settled
        assert.isTrue(Option.isNone(yield* waiting[2]!.poll))
        peer.send(peer.frame(opcodes.pong, peer.frames[2]!.payload))
        yield* Fiber.join(waiting[2]!)
      })
    )

    it.scoped(`${role} sends the payload of a Ping and a Pong as they were when they were sent`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        const payload = new Uint8Array(125).fill(5)
        const pong = Uint8Array.of(6)
        const waiting = yield* Effect.fork(socket.ping(payload))
        yield* Effect.yieldNow()
        yield* socket.pong(pong)
        yield* socket.pong()
        pong.fill(9)
        payload.fill(9)
        yield* peer.awaitFrames(3)
        assert.deepStrictEqual(peer.frames[0]!.payload, new Uint8Array(125).fill(5))
        assert.deepStrictEqual(peer.said.slice(1), ["pong 06", "pong"])
        peer.send(peer.frame(opcodes.pong, new Uint8Array(125).fill(5)))
        yield* Fiber.join(waiting)
      })
    )

    it.scoped(`${role} dies of a payload of more than 125 bytes, says so, and sends nothing`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        const long = new Uint8Array(126)
        assert.match(defectOf(yield* Effect.exit(socket.ping(long))), /125 bytes .*was 126/)
        assert.match(defectOf(yield* Effect.exit(socket.pong(long))), /125 bytes .*was 126/)
        yield* socket.send("alive")
        assert.deepStrictEqual(yield* peer.awaitFrames(1), ["text alive"])
      })
    )
  })

  describe("messages as a stream", () => {
    it.scoped(`${role} streams what is there in one batch and what comes later`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        peer.sendText("a", "b")
        yield* settled
        const batches = yield* Effect.fork(
          Stream.runCollect(
            Stream.map(Stream.chunks(socket.messages), (batch) => Chunk.toArray(batch).map(describeMessage))
          )
        )
        yield* settled
        peer.sendText("c")
        peer.sendClose(1000)
        assert.deepStrictEqual(Chunk.toArray(yield* Fiber.join(batches)), [["Text a", "Text b"], ["Text c"]])
      })
    )

    it.scoped(`${role} fails a stream after the messages that came before a fault`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        const got: Array<string> = []
        peer.send(peer.text("a"), peer.frame(3))
        const error = yield* Effect.flip(
          Stream.runForEach(socket.messages, (message) => Effect.sync(() => got.push(describeMessage(message))))
        )
        assert.deepStrictEqual(got, ["Text a"])
        assert.strictEqual(error._tag, "ProtocolError")
      })
    )

    it.scoped(`${role} leaves to receive what a stream has not taken`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        const streaming = yield* Effect.fork(Stream.runDrain(socket.messages))
        yield* settled
        yield* Fiber.interrupt(streaming)
        peer.sendText("a")
        assert.strictEqual(yield* receive(socket), "Text a")
      })
    )
  })
})

describe("WebSocket and Entropy", () => {
  const counting = (): Entropy.EntropySource => {
    let next = 0
    return { fill: (bytes) => bytes.forEach((_, i) => (bytes[i] = next++ & 0xff)) }
  }

  it.scoped("client draws its key and a masking key for each frame from the Entropy in force", () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* Effect.provideService(open("client"), Entropy.Entropy, counting())
      yield* socket.send("a")
      yield* socket.send("b")
      yield* socket.pong()
      yield* peer.awaitFrames(3)
      assert.strictEqual(peer.field("Sec-WebSocket-Key"), "AAECAwQFBgcICQoLDA0ODw==")
      assert.deepStrictEqual(
        peer.frames.map(({ key }) => Frames.toHex(key!)),
        ["10 11 12 13", "14 15 16 17", "18 19 1a 1b"]
      )
    })
  )

  it.scoped("client uses other keys for each connection by default", () =>
    Effect.gen(function* () {
      const first = yield* open("client")
      const second = yield* open("client")
      assert.notStrictEqual(first.peer.field("Sec-WebSocket-Key"), second.peer.field("Sec-WebSocket-Key"))
      for (const { peer, socket } of [first, second]) {
        yield* socket.send("a")
        yield* peer.awaitFrames(1)
      }
      assert.notDeepEqual(first.peer.frames[0]!.key, second.peer.frames[0]!.key)
    })
  )

  it.scoped("server draws no Entropy and masks nothing", () =>
    Effect.gen(function* () {
      const source = { fill: () => assert.fail("drawn") }
      const { peer, socket } = yield* Effect.provideService(open("server"), Entropy.Entropy, source)
      yield* socket.send("Hello")
      yield* peer.awaitFrames(1)
      assert.isUndefined(peer.frames[0]!.key)
      assert.strictEqual(peer.field("Sec-WebSocket-Accept"), sampleAccept)
      assert.strictEqual(socket.request.key, sampleKey)
    })
  )
})
