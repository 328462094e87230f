/**
 * Who serves which path: a handler has the exchange before it is answered, so routing is ordinary code.
 */
import type { UpgradeExchange } from "@effect-ws/api/UpgradeExchange"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as WebSocketServer from "@effect-ws/api/WebSocketServer"
import * as Layer from "effect/Layer"
import { ChatRoom } from "../chat/ChatRoom.ts"
import * as ChatMember from "../chat/ChatMember.ts"
import * as EchoEndpoint from "./EchoEndpoint.ts"
import { ServerView } from "./ServerView.ts"
import * as WatchEndpoint from "./WatchEndpoint.ts"

/** Serves every path until it is interrupted. */
export const run = WebSocketServer.run((exchange) => route(exchange))

/** What the paths need. */
export const layer: Layer.Layer<ChatRoom | ServerView> = Layer.merge(ChatRoom.Default, ServerView.Default)

const route = (exchange: UpgradeExchange) => {
  switch (exchange.request.path) {
    case "/chat":
      return ChatMember.serve(exchange)
    case "/echo":
      return EchoEndpoint.serve(exchange)
    case "/watch":
      return WatchEndpoint.serve(exchange)
    default:
      return WebSocket.reject({ status: 404, body: "there is /echo, /chat and /watch\n" })
  }
}
