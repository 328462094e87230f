/** What the attack cases of open connections share: bytes by hand, and what must come of them. */
import { ByteOps } from "@effect-ws/api/ByteOps"
import type { WebSocketError } from "@effect-ws/api/WebSocketError"
import type * as Core from "@effect-ws/core/ByteOps"
import { portable } from "@effect-ws/core/ByteOps"
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { open, type OpenOptions, type Role } from "./connections.ts"
import { leavesNothing } from "./leaks.ts"
import type { Peer } from "./Peer.ts"

export const tagOf = (error: WebSocketError): string =>
  error._tag === "ProtocolError" ? error.reason._tag : error._tag

/** Asserts that the connection ends with this fault and tells the peer, once and with this code. */
export const assertRefused = (
  role: Role,
  code: number,
  tag: string,
  send: (peer: Peer) => void,
  options: OpenOptions = {}
): Effect.Effect<WebSocketError, unknown> =>
  leavesNothing(
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role, options)
      send(peer)
      const error = yield* socket.closed
      assert.strictEqual(tagOf(error), tag)
      assert.strictEqual(yield* Effect.flip(socket.receive), error)
      assert.deepStrictEqual([peer.said.length, peer.said[0]?.slice(0, 10)], [1, `close ${code}`])
      return error
    })
  )

export const each = <A>(values: Iterable<A>, assertOne: (value: A) => Effect.Effect<unknown, unknown>) =>
  Effect.forEach(values, assertOne, { discard: true })

export const key = Uint8Array.of(1, 2, 3, 4)
export const bytesOf = (count: number, byte = 0x61): Uint8Array => new Uint8Array(count).fill(byte)

/** A header alone, as this peer writes it: with the bytes of the length, without the key. */
export const header = (peer: Peer, first: number, short: number, ...length: ReadonlyArray<number>): Uint8Array =>
  Uint8Array.of(first, peer.role === "client" ? 0x80 | short : short, ...length)

export const keyOf = (peer: Peer): Uint8Array => (peer.role === "client" ? key : new Uint8Array(0))

/** The eight bytes of a length. */
export const long = (length: number): Array<number> =>
  Array.from({ length: 8 }, (_, i) => Math.floor(length / 2 ** (56 - 8 * i)) % 256)

export const repeat = (bytes: Uint8Array, count: number): Uint8Array => {
  const all = new Uint8Array(bytes.length * count)
  for (let i = 0; i < count; i++) all.set(bytes, i * bytes.length)
  return all
}

/** Functions on bytes that count what is allocated, and hand it out full of old content. */
export const counting = (): Core.ByteOps & { allocated: number; masked: number } => {
  const ops = {
    ...portable,
    allocated: 0,
    masked: 0,
    mask: (bytes: Uint8Array, start: number, end: number, maskingKey: number, phase: number) => {
      ops.masked += end - start
      return portable.mask(bytes, start, end, maskingKey, phase)
    },
    allocate: (size: number) => {
      ops.allocated += size
      return bytesOf(size, 0xee)
    },
    allocateShared: (size: number) => ops.allocate(size)
  }
  return ops
}

export const openCounting = (role: Role, options: OpenOptions = {}) =>
  Effect.suspend(() => {
    const ops = counting()
    return Effect.map(Effect.provideService(open(role, options), ByteOps, ops), (opened) => {
      // What all connections share was allocated with the first one.
      ops.allocated = 0
      return { ...opened, ops }
    })
  })
