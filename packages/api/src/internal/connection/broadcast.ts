/**
 * Sends one message to many connections.
 */
import type { PreparedMessage } from "@effect-ws/core/PreparedMessage"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Broadcast, BroadcastOptions, Missed } from "../../Broadcast.ts"
import type { WebSocket } from "../../WebSocket.ts"
import type { Connection } from "./Connection.ts"
import { connectionOf } from "./handle.ts"

/** Who has to wait. */
interface Member {
  readonly socket: WebSocket
  readonly connection: Connection
}

/** Those that have room get it at once, all in one turn. What becomes of the others is the policy's. */
export const broadcast = (
  sockets: Iterable<WebSocket>,
  message: PreparedMessage,
  slow: NonNullable<BroadcastOptions["slow"]>
): Effect.Effect<Broadcast> =>
  Effect.suspend(() => {
    const sent: Array<WebSocket> = []
    const missed: Array<Missed> = []
    const waiting: Array<Member> = []
    const all = Array.from(sockets)
    // What is no connection is a mistake, which is found before anything is sent.
    const connections = all.map(connectionOf)
    for (const [at, connection] of connections.entries()) {
      const socket = all[at]!
      const exit = connection.sending.trySend(message)
      if (exit === undefined) waiting.push({ socket, connection })
      else note(socket, exit, sent, missed)
    }
    if (waiting.length === 0) return Exit.succeed({ sent, missed })
    const rest = slow === "wait" ? waitFor(waiting, message, sent, missed) : leaveOut(waiting, message, slow, missed)
    return Effect.as(rest, { sent, missed })
  })

// All wait in one step, so that no fiber is made for each.
const waitFor = (
  members: ReadonlyArray<Member>,
  message: PreparedMessage,
  sent: Array<WebSocket>,
  missed: Array<Missed>
): Effect.Effect<void> =>
  Effect.async((resume) => {
    let left = members.length
    const giveUps = members.map((member) =>
      member.connection.sending.sendAndTell(message, (exit) => {
        note(member.socket, exit, sent, missed)
        if (--left === 0) resume(Effect.void)
      })
    )
    return Effect.forEach(giveUps, (giveUp) => giveUp ?? Effect.void, { discard: true })
  })

const leaveOut = (
  members: ReadonlyArray<Member>,
  message: PreparedMessage,
  slow: "drop" | "close",
  missed: Array<Missed>
): Effect.Effect<void> =>
  Effect.sync(() => {
    for (const { connection, socket } of members) {
      // Who is sent a message piece by piece just now isn't slow for that.
      if (slow === "close" && !connection.sending.awaitsTurn(message)) connection.beginClose(tooSlow)
      missed.push({ socket, error: undefined })
    }
  })

const note = (
  socket: WebSocket,
  exit: Exit.Exit<void, NonNullable<Missed["error"]>>,
  sent: Array<WebSocket>,
  missed: Array<Missed>
): void => {
  if (Exit.isSuccess(exit)) sent.push(socket)
  else if (exit.cause._tag === "Fail") missed.push({ socket, error: exit.cause.error })
}

const tooSlow = { code: 1008, reason: "too slow" }
