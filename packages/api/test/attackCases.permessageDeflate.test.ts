/** What a hostile peer may do to a connection that decompresses, and what becomes of the memory of compression, whatever the end. */
import type { WebSocket } from "@effect-ws/api/WebSocket"
import type { WebSocketError } from "@effect-ws/api/WebSocketError"
import * as MessageStream from "@effect-ws/api/MessageStream"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as Zlib from "node:zlib"
import {
  agreements,
  answerTo,
  compressed,
  compressedFragments,
  type Compressing,
  type CompressingOptions,
  openCompressing,
  openCompressingOn,
  rsv1,
  withoutTakeover,
  withTakeover,
  ZlibCodec
} from "./support/compressing.ts"
import { type Role, roles } from "./support/connections.ts"
import * as Frames from "./support/frames.ts"
import { leavesNothing, makePair, settled } from "./support/leaks.ts"
import type { Peer } from "./support/Peer.ts"
import { receive } from "./support/receiving.ts"
import { atEveryPoint, describePoints, type Points } from "./support/schedulers.ts"

const { opcodes } = Frames

const limit = 10_000

/** Asserts that the connection ends with this error, tells the peer once and with this code, and lets go of its memory. */
const assertRefused = (
  role: Role,
  code: number,
  tag: string,
  send: (peer: Peer) => void,
  options: CompressingOptions = {}
) =>
  leavesNothing(
    Effect.gen(function* () {
      const { codec, peer, socket } = yield* openCompressing(role, { socket: { maxMessageSize: limit }, ...options })
      send(peer)
      const error = yield* socket.closed
      assert.strictEqual(tagOf(error), tag)
      assert.strictEqual(yield* Effect.flip(socket.receive), error)
      assert.deepStrictEqual([peer.said.length, peer.said[0]?.slice(0, 10)], [1, `close ${code}`])
      assertFreed(codec)
      return codec
    })
  )

const tagOf = (error: WebSocketError): string => (error._tag === "ProtocolError" ? error.reason._tag : error._tag)

const assertFreed = (codec: ZlibCodec): void => assert.deepStrictEqual([codec.inflaters, codec.deflaters], [0, 0])

const raw = (peer: Peer, payload: Uint8Array | string, options: Frames.FrameOptions = {}): Uint8Array =>
  peer.frame(opcodes.text, typeof payload === "string" ? Frames.hex(payload) : payload, { rsv: rsv1, ...options })

/** Zeros by the megabyte, as small as zlib makes them. */
const bomb = Zlib.deflateRawSync(new Uint8Array(16 * 1024 * 1024), { finishFlush: Zlib.constants.Z_SYNC_FLUSH })

describe.each(roles)("Attack cases of compression: %s", (role) => {
  for (const [agreement, setting] of agreements) {
    it.effect(`${role} ${agreement} fails with 1009 as soon as compressed fragments can't fit (attack case 38)`, () =>
      Effect.gen(function* () {
        const text = "0123456789".repeat((limit + 10) / 10)
        const pieces = (peer: Peer) => compressedFragments(peer, text, 5)
        for (const send of [
          (peer: Peer) => peer.send(...pieces(peer)),
          // One frame for each, and never the last: with takeover nothing has to be gathered to know.
          (peer: Peer) =>
            peer.send(
              ...compressedFragments(peer, text.repeat(100), 40).slice(0, setting === withTakeover ? -1 : undefined)
            )
        ]) {
          const codec = yield* assertRefused(role, 1009, "MessageTooBig", send, { setting, ...limited })
          assert.isAtMost(codec.inflated, 3 * limit)
        }
      })
    )

    it.effect(
      `${role} ${agreement} fails with 1009 for a length on the wire that nothing within the limit has (attack case 38)`,
      () =>
        assertRefused(
          role,
          1009,
          "MessageTooBig",
          (peer) => peer.send(peer.frame(1, new Uint8Array(12_000), { rsv: rsv1 }).subarray(0, 8)),
          {
            setting,
            ...limited
          }
        )
    )

    const bombs: ReadonlyArray<readonly [title: string, send: (peer: Peer) => void]> = [
      ["in one frame", (peer) => peer.send(raw(peer, bomb.subarray(0, 11_000)))],
      [
        "spread over fragments",
        (peer) => {
          for (let at = 0; at < 11_000; at += 100) {
            const bytes = bomb.subarray(at, at + 100)
            peer.send(peer.frame(at === 0 ? 1 : 0, bytes, { rsv: at === 0 ? rsv1 : 0, fin: at + 100 >= 11_000 }))
          }
        }
      ],
      [
        "whose excess is in the last block",
        (peer) => {
          const first = Zlib.deflateRawSync(new Uint8Array(limit - 1), { finishFlush: Zlib.constants.Z_SYNC_FLUSH })
          peer.send(raw(peer, first, { fin: false }), peer.frame(0, bomb.subarray(0, 1000)))
        }
      ]
    ]
    for (const [title, send] of bombs) {
      it.effect(
        `${role} ${agreement} fails with 1009 for a bomb ${title}, and inflates no more of it (attack case 39)`,
        () =>
          Effect.gen(function* () {
            const codec = yield* assertRefused(role, 1009, "MessageTooBig", send, { setting, ...limited })
            assert.isAtMost(codec.inflated, 3 * limit)
          })
      )
    }

    const corrupt: ReadonlyArray<readonly [title: string, payload: string]> = [
      ["a reserved type of block", "07"],
      ["a stored block whose length is wrong", "00 01 00 01 00 41"],
      ["a distance from before the beginning", "4b 04 42 00"],
      ["codes that are no codes", "ed fd ff ff ff ff"]
    ]
    for (const [title, payload] of corrupt) {
      it.effect(`${role} ${agreement} fails with 1007 for ${title} (attack case 40)`, () =>
        Effect.gen(function* () {
          yield* assertRefused(role, 1007, "InvalidCompressedData", (peer) => peer.send(raw(peer, payload)), {
            setting
          })
          const fragments = (peer: Peer) =>
            peer.send(
              ...Array.from(Frames.hex(payload), (byte, at) =>
                peer.frame(at === 0 ? 1 : 0, Uint8Array.of(byte), { rsv: at === 0 ? rsv1 : 0, fin: false })
              ),
              peer.frame(0, "")
            )
          yield* assertRefused(role, 1007, "InvalidCompressedData", fragments, { setting })
        })
      )
    }

    it.effect(
      `${role} ${agreement} fails with 1007 for text that is no UTF-8 when it has come out (attack case 40)`,
      () =>
        assertRefused(
          role,
          1007,
          "InvalidUtf8",
          (peer) => peer.send(raw(peer, compressedBytes(Uint8Array.of(0x61, 0xff)))),
          {
            setting
          }
        )
    )

    it.scoped(`${role} ${agreement} reads final blocks, stored blocks and empty messages (attack case 40)`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* openCompressing(role, { setting })
        const payloads: ReadonlyArray<readonly [string, string]> = [
          ["f3 48 cd c9 c9 07 00 00", "Hello"],
          ["00 05 00 fa ff 48 65 6c 6c 6f 00", "Hello"],
          ["f2 48 05 00 00 00 ff ff ca c9 c9 07 00", "Hello"],
          ["00", ""],
          ["f2 48 cd c9 c9 07 00", "Hello"]
        ]
        for (const [payload] of payloads) peer.send(raw(peer, payload))
        for (const [, text] of payloads) assert.strictEqual(yield* receive(socket), text)
      })
    )
  }

  it.effect(`${role} fails with 1007 for a message that is cut off, where nothing is taken over (attack case 40)`, () =>
    Effect.gen(function* () {
      const whole = compressedBytes(Frames.utf8("a compressed message that is cut off"))
      for (let end = 1; end < whole.length - 1; end++) {
        yield* assertRefused(role, 1007, "InvalidCompressedData", (peer) => peer.send(raw(peer, whole.slice(0, end))))
      }
    })
  )
})

const limited: CompressingOptions = { socket: { maxMessageSize: limit } }

const compressedBytes = (bytes: Uint8Array): Uint8Array => {
  const all = Zlib.deflateRawSync(bytes, { finishFlush: Zlib.constants.Z_SYNC_FLUSH })
  return new Uint8Array(all.subarray(0, all.length - 4))
}

// Turns that are shorter than these have more tasks of the same kind, and take long.
const disturbances: ReadonlyArray<Points> = [
  { each: "operation", interrupt: true },
  { each: "task", opsPerTurn: 24, interrupt: true }
]

// --- what is held, and until when -----------------------------------------------------------------------------------------

/** Leaves a message of the peer unfinished, of which much has come, and one of our own. */
const inTheMiddle = ({ peer, socket }: Compressing) =>
  Effect.gen(function* () {
    const random = crypto.getRandomValues(new Uint8Array(60_000))
    peer.send(compressed(peer, "whole"))
    yield* socket.receive
    peer.send(...compressedFragments(peer, Frames.concat([random, random]), 40_000).slice(0, -1))
    yield* Effect.fork(
      Effect.ignore(socket.sendStream(MessageStream.text(Stream.concat(Stream.make("a", "b"), Stream.never))))
    )
    yield* settled
  })

type End = (opened: Compressing) => Effect.Effect<unknown, unknown, Scope.Scope>

/** Lets the time pass that is given to whoever handles the message before the end, and waits for the end. */
const ended = (socket: WebSocket): Effect.Effect<unknown> =>
  Effect.zipRight(Effect.zipRight(settled, TestClock.adjust("2 seconds")), socket.closed)

const ends: Readonly<Record<string, End>> = {
  "we close": ({ socket }) => socket.close(),
  "the peer closes": ({ peer, socket }) => {
    peer.sendClose(1000)
    return ended(socket)
  },
  "the peer ends the transport": ({ peer, socket }) => {
    peer.end()
    return socket.closed
  },
  "the peer is gone": ({ peer, socket }) => {
    peer.destroy()
    return socket.closed
  },
  "it is destroyed": ({ socket }) => Effect.zipRight(socket.destroy, socket.closed),
  "the peer breaks the protocol": ({ peer, socket }) => {
    peer.send(peer.frame(3))
    return ended(socket)
  },
  "it has lived long enough": ({ socket }) => Effect.zipRight(TestClock.adjust("2 hours"), socket.closed)
}

describe.each(roles)("Memory of compression: %s", (role) => {
  for (const [agreement, setting] of agreements) {
    const open = (codec: ZlibCodec) => openCompressing(role, { codec, setting, socket: { maxLifetime: "1 hour" } })

    for (const [title, end] of Object.entries(ends)) {
      it.effect(
        `${role} ${agreement} lets go of it when ${title}, in the middle of messages too (attack case 59)`,
        () =>
          Effect.gen(function* () {
            for (const prepare of [() => Effect.void, inTheMiddle]) {
              const codec = new ZlibCodec()
              yield* leavesNothing(
                Effect.gen(function* () {
                  const opened = yield* open(codec)
                  yield* prepare(opened)
                  if (prepare === inTheMiddle) assert.deepStrictEqual([codec.inflaters, codec.deflaters], [1, 1])
                  yield* Effect.ignore(end(opened))
                  yield* settled
                  assertFreed(codec)
                })
              )
              assertFreed(codec)
            }
          })
      )
    }

    it.live(`${role} ${agreement} lets go of it when a large message is only half compressed (attack case 59)`, () =>
      Effect.gen(function* () {
        const sudden: ReadonlyArray<(opened: Compressing) => Effect.Effect<unknown>> = [
          ({ socket }) => socket.destroy,
          ({ peer }) => Effect.sync(() => peer.destroy()),
          ({ peer }) => Effect.sync(() => peer.send(peer.frame(3)))
        ]
        for (const end of sudden) {
          const opened = yield* openCompressing(role, { setting, peer: { polite: false } })
          const { codec, peer, socket } = opened
          yield* socket.send("a".repeat(300 * 1024))
          assert.strictEqual(codec.deflaters, 1)
          yield* end(opened)
          const done = yield* Effect.fork(socket.closed)
          // Every slice has had its turn.
          for (let i = 0; i < 10; i++) yield* Effect.async<void>((resume) => codec.later(() => resume(Effect.void)))
          peer.destroy()
          yield* Fiber.join(done)
          assertFreed(codec)
        }
      }).pipe(Effect.scoped)
    )

    it.effect(`${role} ${agreement} lets go of it with the scope, in the middle of messages too (attack case 59)`, () =>
      Effect.gen(function* () {
        for (const exit of [Exit.void, Exit.fail("no"), Exit.interrupt(yield* Effect.fiberId)]) {
          const codec = new ZlibCodec()
          const scope = yield* Scope.make()
          yield* leavesNothing(
            Effect.gen(function* () {
              yield* inTheMiddle(yield* Scope.extend(open(codec), scope))
              assert.deepStrictEqual([codec.inflaters, codec.deflaters], [1, 1])
              yield* Scope.close(scope, exit)
              assertFreed(codec)
            })
          )
        }
      })
    )

    for (const points of disturbances) {
      it.effect(`${role} ${agreement} lets go of it, ${describePoints(points)} (attack case 59)`, () =>
        Effect.gen(function* () {
          const codecs: Array<ZlibCodec> = []
          const count = yield* atEveryPoint(points, (disturbed) =>
            Effect.gen(function* () {
              const codec = new ZlibCodec()
              codecs.push(codec)
              const pair = yield* makePair()
              const talk = Effect.gen(function* () {
                const { peer, socket } = yield* openCompressingOn(role, pair, { codec, setting })
                peer.send(compressed(peer, "hello"))
                yield* socket.receive
                yield* socket.sendStream(MessageStream.text(Stream.make("one ", "two")))
              })
              yield* disturbed(Effect.scoped(talk))
              // Who was interrupted before it had a connection leaves the peer alone.
              pair.client.destroy()
              pair.server.destroy()
            })
          )
          assert.isAbove(count, 5)
          for (const codec of codecs) assertFreed(codec)
        })
      )
    }
  }

  it.scoped(`${role} without takeover holds nothing between messages, and with it one of each from the first on`, () =>
    Effect.gen(function* () {
      for (const [setting, held] of [
        [withoutTakeover, 0],
        [withTakeover, 1]
      ] as const) {
        const { codec, peer, socket } = yield* openCompressing(role, { setting })
        assert.strictEqual(codec.deflaters, 0)
        yield* socket.send("a".repeat(100))
        peer.send(compressed(peer, "b"))
        yield* socket.receive
        assert.deepStrictEqual([codec.inflaters, codec.deflaters], [held, held])
        // A large message may have one of its own, until it is over.
        const random = crypto.getRandomValues(new Uint8Array(60_000))
        const pieces = compressedFragments(peer, Frames.concat([random, random]), 40_000)
        peer.send(...pieces.slice(0, -1))
        yield* settled
        assert.strictEqual(codec.inflaters, 1)
        peer.send(pieces.at(-1)!)
        assert.deepInclude(yield* socket.receive, { byteLength: 120_000 })
        assert.strictEqual(codec.inflaters, held)
      }
    })
  )
})

describe("Memory of compression: a server", () => {
  it.effect("server lets go of it when the handler fails in the middle of messages (attack case 59)", () =>
    Effect.gen(function* () {
      const codec = new ZlibCodec()
      yield* leavesNothing(
        Effect.gen(function* () {
          const handling = Effect.scoped(
            Effect.gen(function* () {
              const opened = yield* openCompressing("server", { codec, setting: withTakeover })
              yield* inTheMiddle(opened)
              return yield* Effect.fail("the handler failed")
            })
          )
          yield* Effect.exit(handling)
          assertFreed(codec)
        })
      )
    })
  )

  it.effect("client that fails for the answer has asked the codec for nothing (attack case 25)", () =>
    Effect.gen(function* () {
      const codec = new ZlibCodec()
      const says = `${answerTo(withTakeover)}; server_max_window_bits=7`
      const exit = yield* Effect.exit(leavesNothing(openCompressing("client", { codec, says })))
      assert.isTrue(Exit.isFailure(exit))
      assert.deepStrictEqual(codec.asked, [])
    })
  )
})
