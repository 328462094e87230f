/** What a hostile peer may send over an open connection: control frames, and bytes that are shared. */
import * as WebSocket from "@effect-ws/api/WebSocket"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { open, roles } from "./support/connections.ts"
import * as Frames from "./support/frames.ts"
import { leavesNothing, settled } from "./support/leaks.ts"
import { bytesOf, repeat, openCounting } from "./support/attacks.ts"

const { opcodes } = Frames
const { ping, pong } = opcodes

describe.each(roles)("Attack cases of control frames and bytes: %s", (role) => {
  it.effect(`${role} holds one Pong for all the Pings of a peer that doesn't read, the newest (attack case 46)`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role, { pair: { readSize: 4096 } })
        peer.transport.pause()
        const payload = (i: number) => Frames.concat([Frames.utf8(`${i}`.padStart(5, "0")), bytesOf(120)])
        const [count, atOnce, pongSize] = [10_000, 20, role === "server" ? 127 : 131]
        for (let i = 0; i < count; i += atOnce) {
          peer.send(...Array.from({ length: atOnce }, (_, j) => peer.frame(ping, payload(i + j))))
          yield* settled
        }
        const { outgoing, state } = yield* socket.status
        assert.strictEqual(state, "open")
        // What the transport takes until it says that it is full.
        assert.isBelow(outgoing, 16 * 1024 + atOnce * pongSize)
        peer.transport.resume()
        const newest = `pong ${Frames.toHex(payload(count - 1))}`
        yield* peer.until("the newest Pong", () => peer.said.at(-1) === newest)
        assert.isBelow(peer.frames.length, (16 * 1024) / pongSize + atOnce + 2)
      })
    )
  )

  it.effect(`${role} holds nothing of the Pongs that nobody asked for (attack case 47)`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { ops, peer, socket, transport } = yield* openCounting(role)
        for (let i = 0; i < 10; i++) {
          peer.send(repeat(peer.frame(pong, bytesOf(i * 12)), 10_000))
          yield* settled
          assert.deepInclude(yield* socket.status, { incoming: 0, outgoing: 0, state: "open" })
        }
        assert.strictEqual(ops.allocated, 0)
        assert.deepStrictEqual([peer.said, transport.ledger.pauses], [[], 0])
        peer.sendText("and now")
        assert.deepInclude(yield* socket.receive, { text: "and now" })
      })
    )
  )

  it.effect(`${role} leaves the caller's bytes alone, and is done with them when send is (attack case 49)`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role, { pair: { highWaterMark: 10_000_000 } })
        const sizes = [1, 3, 125, 126, 4096, 4097, 70_000]
        for (const size of sizes) {
          const bytes = bytesOf(size)
          yield* socket.send(bytes)
          assert.isTrue(bytes.every((byte) => byte === 0x61))
          bytes.fill(0x7a)
          if (size > 125) continue
          const control = bytesOf(size)
          yield* socket.sendPing(control)
          control.fill(0x7a)
        }
        yield* peer.awaitFrames(sizes.length + 3)
        const data = peer.frames.filter(({ opcode }) => opcode === opcodes.binary)
        assert.deepStrictEqual(
          data.map(({ payload }) => payload.length),
          sizes
        )
        for (const { payload } of peer.frames) assert.isTrue(payload.every((byte) => byte === 0x61))
      })
    )
  )

  it.effect(`${role} leaves alone the bytes that wait for room, until send is done (attack case 49)`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role, { socket: { sendHighWaterMark: 100 }, pair: { highWaterMark: 100 } })
        peer.transport.pause()
        yield* socket.send(bytesOf(200))
        const bytes = bytesOf(300)
        const sending = yield* Effect.fork(socket.send(bytes))
        yield* settled
        assert.isTrue(Option.isNone(yield* sending.poll))
        peer.transport.resume()
        yield* Fiber.join(sending)
        assert.isTrue(bytes.every((byte) => byte === 0x61))
        bytes.fill(0x7a)
        yield* peer.awaitFrames(2)
        assert.isTrue(peer.frames[1]!.payload.every((byte) => byte === 0x61))
      })
    )
  )

  it.effect(`${role} never writes to a message that it has delivered (attack case 50)`, () =>
    leavesNothing(
      Effect.gen(function* () {
        for (const readSize of [7, 4096, undefined]) {
          const { peer, socket } = yield* open(role, { pair: { readSize } })
          const sizes = [1, 20, 64, 65, 600, 1024, 5000, 9000]
          for (const [i, size] of sizes.entries()) peer.send(peer.binary(bytesOf(size, i)))
          const messages = yield* Effect.replicateEffect(socket.receive, sizes.length)
          peer.send(...sizes.map((size) => peer.binary(bytesOf(size, 0xff))))
          yield* Effect.replicateEffect(socket.receive, sizes.length)
          for (const [i, size] of sizes.entries()) {
            const { bytes } = messages[i]!
            assert.deepStrictEqual([bytes.length, bytes.every((byte) => byte === i)], [size, true])
          }
        }
      })
    )
  )

  it.effect(`${role} sends the bytes that a view shows, and no other memory (attack case 51)`, () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer, socket } = yield* openCounting(role)
        const memory = Uint8Array.from({ length: 64 }, (_, i) => i)
        const { buffer } = memory
        const views: ReadonlyArray<[WebSocket.Sendable, from: number, to: number]> = [
          [buffer, 0, 64],
          [new DataView(buffer, 3, 5), 3, 8],
          [new Uint16Array(buffer, 2, 4), 2, 10],
          [new Float64Array(buffer, 8, 2), 8, 24],
          [new BigInt64Array(buffer, 16), 16, 64],
          [memory.subarray(9, 9), 9, 9],
          [memory.subarray(63), 63, 64]
        ]
        for (const [view] of views) yield* socket.send(view)
        for (const [view] of views) yield* socket.send(WebSocket.prepare(view))
        const said = yield* peer.awaitFrames(2 * views.length)
        const expected = views.map(([, from, to]) => `binary ${Frames.toHex(memory.subarray(from, to))}`.trim())
        assert.deepStrictEqual(said, [...expected, ...expected])
      })
    )
  )
})
