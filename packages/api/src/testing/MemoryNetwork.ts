/**
 * A server and a client on one network in memory: what a program needs to test its own handlers, without a port.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as ConnectionOptions from "../ConnectionOptions.ts"
import type { Connector } from "../Connector.ts"
import type { Incoming, Listener } from "../Listener.ts"
import { TransportError } from "../TransportError.ts"
import type { ConnectOptions } from "../ConnectOptions.ts"
import * as WebSocketClient from "../WebSocketClient.ts"
import * as WebSocketServer from "../WebSocketServer.ts"
import * as MemoryTransport from "./MemoryTransport.ts"

/**
 * The two ports that belong together.
 *
 * @since 0.1.0
 * @category models
 */
export interface MemoryNetwork {
  /** Brings what the connector connects. Connections that come before it is started wait. */
  readonly listener: Listener
  /** Connects to the listener, whatever the endpoint; refused when the listener has stopped. */
  readonly connector: Connector
}

/**
 * Makes a network; the options are those of each pair of transports on it.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options?: MemoryTransport.Options): Effect.Effect<MemoryNetwork> =>
  Effect.sync(() => {
    const door = new Door()
    return {
      listener: {
        address: { _tag: "TcpAddress", hostname: "127.0.0.1", port: 80 },
        start: (onIncoming) => door.open(onIncoming),
        stop: Effect.sync(() => door.shut())
      },
      connector: () =>
        Effect.suspend(() => (door.isShut ? Effect.fail(refused) : Effect.void)).pipe(
          Effect.andThen(
            Effect.acquireRelease(MemoryTransport.make(options), ({ client }) => Effect.sync(() => client.destroy()))
          ),
          Effect.tap(({ server }) => Effect.sync(() => door.bring(server))),
          Effect.map(({ client }) => client)
        )
    }
  })

/**
 * What holds for both sides, and for each.
 *
 * @since 0.1.0
 * @category models
 */
export interface LayerOptions extends ConnectionOptions.Input {
  /** What holds for the server alone. */
  readonly server?: WebSocketServer.Options | undefined
  /** What holds for the client alone. */
  readonly client?: ConnectOptions | undefined
}

/**
 * Provides `WebSocketServer` and `WebSocketClient` on one network in memory.
 *
 * @example
 * import * as MemoryNetwork from "@effect-ws/api/testing/MemoryNetwork"
 * import * as WebSocket from "@effect-ws/api/WebSocket"
 * import * as WebSocketServer from "@effect-ws/api/WebSocketServer"
 * import * as Effect from "effect/Effect"
 *
 * const test = Effect.gen(function* () {
 *   yield* Effect.fork(
 *     WebSocketServer.run((exchange) =>
 *       Effect.flatMap(WebSocket.accept(exchange), (socket) => WebSocket.run(socket, (message) => socket.send(message)))
 *     )
 *   )
 *   const socket = yield* WebSocket.connect("ws://test/echo")
 *   yield* socket.send("hello")
 *   return yield* socket.receive
 * }).pipe(Effect.scoped, Effect.provide(MemoryNetwork.layer()))
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = ({ client: clientOptions, server: serverOptions, ...options }: LayerOptions = {}): Layer.Layer<
  WebSocketClient.WebSocketClient | WebSocketServer.WebSocketServer
> =>
  Layer.scopedContext(
    Effect.gen(function* () {
      const { connector, listener } = yield* make()
      const server = yield* WebSocketServer.make(listener, { ...options, ...serverOptions })
      return Context.make(WebSocketServer.WebSocketServer, server).pipe(
        Context.add(WebSocketClient.WebSocketClient, WebSocketClient.make(connector, { ...options, ...clientOptions }))
      )
    })
  )

/** Where those who come wait for somebody who lets them in. */
class Door {
  isShut = false
  private waiting: Array<MemoryTransport.MemoryTransport> = []
  private onIncoming: ((incoming: Incoming) => void) | undefined = undefined

  open(onIncoming: (incoming: Incoming) => void): void {
    this.onIncoming = onIncoming
    for (const transport of this.waiting.splice(0)) this.bring(transport)
  }

  bring(transport: MemoryTransport.MemoryTransport): void {
    if (this.isShut) transport.destroy()
    else if (this.onIncoming === undefined) this.waiting.push(transport)
    else this.onIncoming({ transport, request: undefined, leftover: undefined })
  }

  shut(): void {
    this.isShut = true
    for (const transport of this.waiting.splice(0)) transport.destroy()
  }
}

const refused = new TransportError({
  operation: "connect",
  address: "127.0.0.1:80",
  cause: new Error("nobody listens on this network any more")
})
