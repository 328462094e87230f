/** What tests of receiving share. */
import type { Incoming } from "@effect-ws/api/MessageStream"
import type { WebSocket } from "@effect-ws/api/WebSocket"
import type { Message } from "@effect-ws/core/Message"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberStatus from "effect/FiberStatus"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Frames from "./frames.ts"
import { opcodes } from "./frames.ts"
import type { Peer } from "./Peer.ts"

/** In bytes: what a message costs in the inbox besides its payload. */
export const messageCost = 128

export const textOf = (message: Message): string =>
  message._tag === "Text" ? message.text : `binary ${Frames.toHex(message.bytes)}`

export const receive = (socket: WebSocket) => Effect.map(socket.receive, textOf)

/** All of a message, with its type in front if it isn't text. */
export const read = (incoming: Incoming) =>
  incoming._tag === "Text"
    ? Stream.mkString(incoming.text)
    : Effect.map(Stream.runCollect(incoming.bytes), (pieces) => `binary ${Frames.toHex(Frames.concat([...pieces]))}`)

export const receivePieces = (socket: WebSocket) => Effect.scoped(Effect.flatMap(socket.receiveStream, read))

/** Splits a message into frames: the payloads are its fragments. */
export const fragments = (
  peer: Peer,
  opcode: number,
  ...payloads: ReadonlyArray<Uint8Array | string>
): Array<Uint8Array> =>
  payloads.map((payload, i) =>
    peer.frame(i === 0 ? opcode : opcodes.continuation, payload, { fin: i === payloads.length - 1 })
  )

export const isSuspended = (fiber: Fiber.RuntimeFiber<unknown, unknown>) =>
  Effect.map(Fiber.status(fiber), FiberStatus.isSuspended)

export const isDone = (fiber: Fiber.RuntimeFiber<unknown, unknown>) => Effect.map(fiber.poll, Option.isSome)

export const held = (socket: WebSocket) => Effect.map(socket.status, ({ incoming }) => incoming)
