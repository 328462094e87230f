/**
 * The stock socket server of Effect: `NodeSocketServer.layerWebSocket`.
 */
import * as NodeSocketServer from "@effect/platform-node/NodeSocketServer"
import * as SocketServer from "@effect/platform/SocketServer"
import * as Effect from "effect/Effect"
import { deflate, report, touch, work } from "./report.js"

/** @type {Record<string, (socket: import("@effect/platform/Socket").Socket) => Effect.Effect<void, unknown>>} */
const handlers = {
  echo: (socket) => Effect.scoped(Effect.flatMap(socket.writer, (write) => socket.runRaw((message) => write(message)))),
  read: (socket) =>
    Effect.scoped(
      Effect.flatMap(socket.writer, (write) =>
        socket.runRaw((message) => {
          if (typeof message === "string") touch(message)
          return write(message)
        })
      )
    )
}

const program = Effect.gen(function* () {
  const server = yield* SocketServer.SocketServer
  if (server.address._tag === "TcpAddress") report(server.address.port)
  yield* server.run(handlers[work])
})

const alone = { threshold: 0, serverNoContextTakeover: true, clientNoContextTakeover: true }
const perMessageDeflate = deflate === "off" ? false : deflate === "alone" ? alone : { threshold: 0 }

Effect.runFork(
  Effect.provide(
    program,
    NodeSocketServer.layerWebSocket({ host: "127.0.0.1", port: 0, backlog: 1024, perMessageDeflate })
  )
)
