/**
 * Servers of sockets as a program of `@effect/platform` has them, stock or ours.
 */
import type * as Socket from "@effect/platform/Socket"
import * as SocketServer from "@effect/platform/SocketServer"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

export type Layered = Layer.Layer<SocketServer.SocketServer, SocketServer.SocketServerError>

/** Builds until the scope closes. Nothing is served yet. */
export const build = (layer: Layered) =>
  Effect.map(Layer.build(Layer.orDie(layer)), (context) => {
    const server = Context.get(context, SocketServer.SocketServer)
    const port = server.address._tag === "TcpAddress" ? server.address.port : 0
    return { ...server, port, url: `ws://127.0.0.1:${port}` }
  })

/** Builds and runs until the scope closes. */
export const serve = <A, E, R>(layer: Layered, handler: (socket: Socket.Socket) => Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const server = yield* build(layer)
    const running = yield* Effect.forkScoped(server.run(handler))
    return { ...server, running }
  })

/** Sends every message back. */
export const echo = (socket: Socket.Socket) =>
  Effect.scoped(Effect.flatMap(socket.writer, (write) => socket.runRaw((data) => write(data))))
