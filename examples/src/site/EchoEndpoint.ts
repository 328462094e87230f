/**
 * `/echo`: sends every message back, and reports what the server sees. With `?id=...` the connection can be watched and
 * closed through `/watch` by who knows the id.
 */
import { formatAddress } from "@effect-ws/api/TransportError"
import type { UpgradeExchange } from "@effect-ws/api/UpgradeExchange"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as Effect from "effect/Effect"
import * as Text from "../cli/Text.ts"
import { ServerView } from "./ServerView.ts"

/** Those that `/echo` speaks, the preferred one first. They mean the same: they are there to be chosen from. */
export const subprotocols = ["echo.v2", "echo.v1"]

/** Accepts the connection and echoes until it ends. */
export const serve = (exchange: UpgradeExchange) =>
  Effect.gen(function* () {
    const view = yield* ServerView
    const id = new URLSearchParams(exchange.request.query).get("id") ?? undefined
    const socket = yield* WebSocket.accept(exchange, { subprotocols })
    if (id !== undefined) yield* view.register(id, socket)
    const report = (text: string) => view.report({ id, text })
    yield* report(`accepted ${peer(socket)}, ${socket.subprotocol ?? "no subprotocol"}`)
    yield* WebSocket.run(socket, (message) =>
      Effect.andThen(report(`received ${Text.message(message)}`), socket.send(message))
    ).pipe(
      // A message that came right before the end can't be sent back.
      Effect.catchTag("SendRejected", () => Effect.void),
      Effect.ensuring(Effect.flatMap(socket.closed, (end) => report(Text.outcome(end))))
    )
  })

const peer = (socket: WebSocket.WebSocket): string =>
  socket.info.remoteAddress === undefined ? "somebody" : formatAddress(socket.info.remoteAddress)
