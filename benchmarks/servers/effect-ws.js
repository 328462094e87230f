/**
 * Ours, with a handler, and so a fiber, for each connection.
 */
import { formatAddress } from "@effect-ws/api/TransportError"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as WebSocketServer from "@effect-ws/api/WebSocketServer"
import * as NodeWebSocketServer from "@effect-ws/platform-node/NodeWebSocketServer"
import * as Effect from "effect/Effect"
import { deflate, report, touch, work } from "./report.js"

/** @typedef {import("@effect-ws/api/UpgradeExchange").UpgradeExchange} UpgradeExchange */

/** @type {Set<WebSocket.WebSocket>} */
const members = new Set()

/** @type {Record<string, (exchange: UpgradeExchange) => Effect.Effect<void, unknown, import("effect/Scope").Scope>>} */
const handlers = {
  echo: (exchange) =>
    Effect.flatMap(WebSocket.accept(exchange), (socket) => WebSocket.run(socket, (message) => socket.send(message))),
  read: (exchange) =>
    Effect.flatMap(WebSocket.accept(exchange), (socket) =>
      WebSocket.run(socket, (message) => {
        if (message._tag === "Text") touch(message.text)
        return socket.send(message)
      })
    ),
  fanout: (exchange) =>
    Effect.gen(function* () {
      const socket = yield* WebSocket.accept(exchange)
      members.add(socket)
      yield* Effect.addFinalizer(() => Effect.sync(() => members.delete(socket)))
      yield* WebSocket.run(socket, (message) => WebSocket.broadcast(members, message))
    })
}

const program = Effect.gen(function* () {
  report(Number(formatAddress(yield* WebSocketServer.address).split(":")[1]))
  yield* WebSocketServer.run(handlers[work])
})

const takeover = deflate === "takeover" ? { serverContextTakeover: true, clientContextTakeover: true } : {}
const permessageDeflate = deflate === "off" ? false : { threshold: 0, ...takeover }

Effect.runFork(Effect.provide(program, NodeWebSocketServer.layer({ permessageDeflate })))
