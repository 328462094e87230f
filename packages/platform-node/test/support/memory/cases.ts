/** What is held in memory for a peer that makes the most of it. */
import type { WebSocket } from "@effect-ws/api/WebSocket"
import type { WebSocketError } from "@effect-ws/api/WebSocketError"
import type { Message } from "@effect-ws/core/Message"
import * as Effect from "effect/Effect"
import { masked } from "../rawPeer.ts"
import { turn } from "../sockets.ts"
import type { Faucet } from "./Faucet.ts"

export interface Opened {
  readonly faucet: Faucet
  readonly socket: WebSocket
}

/** What a case has filled the memory with. */
export interface Filled {
  /** In bytes: what is held, as it is documented. */
  readonly bound: number
  /** Says what became of it, once the memory was measured. */
  readonly finish: Effect.Effect<unknown, WebSocketError>
}

/** Fills the memory, for a warm-up only with a small share of what it is about. */
export type Case = (opened: ReadonlyArray<Opened>, scale: number) => Effect.Effect<Filled, WebSocketError>

const readSize = 64 * 1024
const mark = 256 * 1024
const transportMark = 16 * 1024
const messageCost = 128
/** In bytes: more than a message costs of which nearly nothing has come, and far less than was announced. */
const mostForNothing = 512

const repeat = (bytes: Uint8Array, count: number): Buffer => Buffer.concat(Array.from({ length: count }, () => bytes))

/** A chunk as large as a read, of as many frames as go into one. */
const chunkOf = (frame: Uint8Array): Buffer => repeat(frame, Math.floor(readSize / frame.length))

/** Pours so often, and lets what follows happen in between. */
const pourTimes = (faucet: Faucet, chunk: Uint8Array, count: number, atOnce = 1) =>
  Effect.gen(function* () {
    for (let done = 0; done < count; done += atOnce) {
      for (let i = 0; i < Math.min(atOnce, count - done); i++) faucet.pour(chunk)
      yield* turn
    }
  })

const pourUntilPaused = (faucet: Faucet, chunk: Uint8Array) =>
  Effect.gen(function* () {
    while (!faucet.isPaused) {
      faucet.pour(chunk)
      yield* turn
    }
  })

const sizeOf = ({ byteLength }: Message) => byteLength

const inBytes: Case = ([opened], scale) =>
  Effect.gen(function* () {
    const { faucet, socket } = opened!
    // A smaller one would have another header.
    const size = Math.max(0x1_0000, 512 * 1024 * scale)
    const header = Buffer.alloc(14)
    header.writeUInt16BE(0x82ff)
    header.writeBigUInt64BE(BigInt(size), 2)
    faucet.pour(header)
    yield* pourTimes(faucet, Buffer.of(7), size - 1, 4096)
    const finish = Effect.suspend(() => {
      faucet.pour(Buffer.of(7))
      return Effect.map(socket.receive, sizeOf)
    })
    return { bound: size, finish }
  })

const emptyFragments: Case = ([opened], scale) =>
  Effect.gen(function* () {
    const { faucet, socket } = opened!
    const count = 100_000 * scale
    faucet.pour(masked(0x01, ""))
    const chunk = repeat(masked(0x00, ""), 10_000)
    yield* pourTimes(faucet, chunk, Math.max(1, count / 10_000))
    const finish = Effect.suspend(() => {
      faucet.pour(masked(0x80, "a"))
      return Effect.map(socket.receive, sizeOf)
    })
    // Nothing is held for what holds nothing; the mark is what may be held in any case.
    return { bound: mark, finish }
  })

const smallFragments: Case = ([opened], scale) =>
  Effect.gen(function* () {
    const { faucet, socket } = opened!
    const count = Math.round(65_536 * scale)
    faucet.pour(masked(0x02, ""))
    yield* pourTimes(faucet, repeat(masked(0x00, Buffer.alloc(64, 7)), 512), count / 512)
    const finish = Effect.suspend(() => {
      faucet.pour(masked(0x80, ""))
      return Effect.map(socket.receive, sizeOf)
    })
    return { bound: count * 64, finish }
  })

const pings: Case = ([opened], scale) =>
  Effect.gen(function* () {
    const { faucet, socket } = opened!
    const chunk = repeat(masked(0x89, Buffer.alloc(125, 7)), 500)
    faucet.isRead = false
    yield* pourTimes(faucet, chunk, 2000 * scale)
    // The Pongs of one read are written before the transport says that it is full; then one is kept. The counter is exact.
    const finish = Effect.map(socket.status, ({ outgoing }) => outgoing > 0 && outgoing <= readSize + transportMark)
    return { bound: mark, finish }
  })

const pongs: Case = ([opened], scale) =>
  Effect.gen(function* () {
    const { faucet, socket } = opened!
    yield* pourTimes(faucet, repeat(masked(0x8a, Buffer.alloc(125, 7)), 500), 2000 * scale)
    return { bound: mark, finish: Effect.map(socket.status, ({ state }) => state) }
  })

/** Fills the inbox, and takes everything out of it at the end. */
const neverRead =
  (payload: Uint8Array): Case =>
  ([opened], scale) =>
    Effect.gen(function* () {
      const { faucet, socket } = opened!
      const chunk = chunkOf(masked(0x82, payload))
      if (scale < 1) faucet.pour(chunk)
      else yield* pourUntilPaused(faucet, chunk)
      const { incoming } = yield* socket.status
      const atOnce = Math.floor(readSize / masked(0x82, payload).length) * (payload.length + messageCost)
      // The counter is exact: the mark, and what the read brought that went above it.
      if (incoming > mark + atOnce) throw new Error(`The inbox counts ${incoming} bytes, over ${mark} and ${atOnce}`)
      const finish = Effect.map(
        socket.receiveAll,
        (messages) => messages.length * (payload.length + messageCost) - incoming
      )
      return { bound: incoming, finish }
    })

const keptMessages =
  (payloadSize: number): Case =>
  ([opened], scale) =>
    Effect.gen(function* () {
      const { faucet, socket } = opened!
      const count = Math.round(2000 * scale)
      const kept: Array<Message> = []
      for (let i = 0; i < count; i++) {
        faucet.pour(masked(0x82, Buffer.alloc(payloadSize, i)), readSize)
        kept.push(yield* socket.receive)
      }
      const finish = Effect.sync(() => kept.filter(({ bytes }, i) => bytes.every((byte) => byte === (i & 255))).length)
      // A message keeps at most four times its size.
      return { bound: count * (4 * payloadSize + messageCost), finish }
    })

const announced: Case = (all, scale) =>
  Effect.gen(function* () {
    for (const { faucet } of all) {
      if (scale < 1) continue
      faucet.pour(Buffer.from("82ff000000000100000000000000", "hex"))
      for (let i = 0; i < 10; i++) faucet.pour(Buffer.of(7))
    }
    yield* turn
    return { bound: all.length * mostForNothing, finish: Effect.succeed(all.length) }
  })

export const cases: Readonly<Record<string, { readonly connections: number; readonly fill: Case }>> = {
  "512 KiB in chunks of 1 byte": { connections: 1, fill: inBytes },
  "100 000 empty fragments": { connections: 1, fill: emptyFragments },
  "4 MiB in fragments of 64 bytes": { connections: 1, fill: smallFragments },
  "1 000 000 Pings, nobody reads the Pongs": { connections: 1, fill: pings },
  "1 000 000 Pongs": { connections: 1, fill: pongs },
  "an inbox of empty messages that nobody reads": { connections: 1, fill: neverRead(Buffer.alloc(0)) },
  "an inbox of messages of 20 bytes that nobody reads": { connections: 1, fill: neverRead(Buffer.alloc(20)) },
  "an inbox of 60 KB messages that nobody reads": { connections: 1, fill: neverRead(Buffer.alloc(60_000)) },
  "2000 messages of 20 bytes, each in a read of its own": { connections: 1, fill: keptMessages(20) },
  "2000 messages of 1000 bytes, each in a read of its own": { connections: 1, fill: keptMessages(1000) },
  "16 MiB announced on 500 connections": { connections: 500, fill: announced }
}
