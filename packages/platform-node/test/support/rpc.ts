/**
 * A group of calls with the servers and clients of `@effect/rpc` that carry it, over the stock sockets and over ours.
 */
import { formatAddress } from "@effect-ws/api/TransportError"
import * as NodeHttpServer from "@effect-ws/platform-node/NodeHttpServer"
import * as NodeSocket from "@effect-ws/platform-node/NodeSocket"
import * as NodeSocketServer from "@effect-ws/platform-node/NodeSocketServer"
import * as StockHttpServer from "@effect/platform-node/NodeHttpServer"
import * as StockSocket from "@effect/platform-node/NodeSocket"
import * as StockSocketServer from "@effect/platform-node/NodeSocketServer"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServer from "@effect/platform/HttpServer"
import * as Socket from "@effect/platform/Socket"
import * as SocketServer from "@effect/platform/SocketServer"
import * as Rpc from "@effect/rpc/Rpc"
import * as RpcClient from "@effect/rpc/RpcClient"
import * as RpcGroup from "@effect/rpc/RpcGroup"
import * as RpcSerialization from "@effect/rpc/RpcSerialization"
import * as RpcServer from "@effect/rpc/RpcServer"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Http from "node:http"
import { makeInbox } from "./inbox.ts"

// The stock HTTP server looks at stdin, which Node opens then once and for all: no test leaves it behind.
void process.stdin

/** What a call fails with that the server doesn't like. */
export class Refused extends Schema.TaggedError<Refused>()("Refused", { why: Schema.String }) {}

export const Group = RpcGroup.make(
  Rpc.make("Double", { payload: { number: Schema.Number }, success: Schema.Number, error: Refused }),
  Rpc.make("Count", { payload: { to: Schema.Number }, success: Schema.Number, error: Refused, stream: true }),
  Rpc.make("Forever", { payload: { id: Schema.Number } }),
  Rpc.make("Broken", { success: Schema.Number })
)

/** What the handlers tell the test. */
export interface Seen {
  /** The numbers that were asked to be doubled, in order. */
  readonly doubled: Array<number>
  /** Takes what became of a call of `Forever`. */
  readonly next: Effect.Effect<string>
}

export interface Served extends Seen {
  readonly url: string
  readonly port: number
}

/** How a server is reached: what listens, and the protocol over it. */
export type Carrier = (
  port: number
) => Layer.Layer<RpcServer.Protocol | Where, unknown, RpcSerialization.RpcSerialization>

/** Where a carrier listens. */
export class Where extends Context.Tag("test/Where")<Where, SocketServer.Address>() {}

const overSocketServer =
  (listen: (port: number) => Layer.Layer<SocketServer.SocketServer, unknown>): Carrier =>
  (port) =>
    Layer.merge(
      RpcServer.layerProtocolSocketServer,
      Layer.effect(
        Where,
        Effect.map(SocketServer.SocketServer, ({ address }) => address)
      )
    ).pipe(Layer.provide(listen(port)))

const overHttpServer =
  (listen: (port: number) => Layer.Layer<HttpServer.HttpServer, unknown>): Carrier =>
  (port) =>
    Layer.merge(
      HttpRouter.Default.serve(),
      Layer.effect(
        Where,
        Effect.map(HttpServer.HttpServer, ({ address }) => address)
      )
    ).pipe(Layer.provideMerge(RpcServer.layerProtocolWebsocket({ path: "/" })), Layer.provide(listen(port)))

export const carriers: Readonly<Record<string, Carrier>> = {
  "the stock socket server": overSocketServer((port) => StockSocketServer.layerWebSocket({ port, host: "127.0.0.1" })),
  "the stock HTTP server": overHttpServer((port) =>
    StockHttpServer.layer(() => Http.createServer(), { port, host: "127.0.0.1" })
  ),
  "our socket server": overSocketServer((port) => NodeSocketServer.layerWebSocket({ port })),
  "our HTTP server": overHttpServer((port) =>
    NodeHttpServer.layer(() => Http.createServer(), { port, host: "127.0.0.1" })
  )
}

export const clients: Readonly<Record<string, (url: string) => Layer.Layer<Socket.Socket>>> = {
  "the stock socket": (url) => StockSocket.layerWebSocket(url),
  "our socket": (url) => NodeSocket.layerWebSocket(url),
  "the stock socket over our constructor": (url) =>
    Layer.provide(Socket.layerWebSocket(url), NodeSocket.layerWebSocketConstructor)
}

export const serializations: Readonly<Record<string, Layer.Layer<RpcSerialization.RpcSerialization>>> = {
  json: RpcSerialization.layerJson,
  ndjson: RpcSerialization.layerNdjson,
  jsonRpc: RpcSerialization.layerJsonRpc(),
  ndJsonRpc: RpcSerialization.layerNdJsonRpc(),
  msgPack: RpcSerialization.layerMsgPack
}

/** Serves the group until the scope closes. */
export const serve = (
  carrier: Carrier,
  serialization: Layer.Layer<RpcSerialization.RpcSerialization>,
  { disableTracing = false, port = 0 }: { readonly disableTracing?: boolean; readonly port?: number } = {}
): Effect.Effect<Served, never, Scope.Scope> =>
  Effect.gen(function* () {
    const told = makeInbox<string>()
    const doubled: Array<number> = []
    const layer = RpcServer.layer(Group, { disableTracing }).pipe(
      Layer.provide(handlers(told.push, doubled)),
      Layer.provideMerge(carrier(port)),
      Layer.provide(serialization)
    )
    const address = Context.get(yield* Layer.build(Layer.orDie(layer)), Where)
    const url = `ws://${formatAddress(address)}`
    return { url, port: address._tag === "TcpAddress" ? address.port : 0, doubled, next: told.next }
  })

const handlers = (tell: (what: string) => void, doubled: Array<number>) =>
  Group.toLayer({
    Double: ({ number }) => {
      doubled.push(number)
      return number < 0 ? new Refused({ why: `${number} is negative` }) : Effect.succeed(number * 2)
    },
    Count: ({ to }) =>
      Stream.concat(Stream.range(1, to), to > 1000 ? Stream.fail(new Refused({ why: "too far" })) : Stream.empty),
    Forever: ({ id }) =>
      Effect.sync(() => tell(`began ${id}`)).pipe(
        Effect.zipRight(Effect.never),
        Effect.onInterrupt(() => Effect.sync(() => tell(`interrupted ${id}`)))
      ),
    Broken: () => Effect.die(new Error("a mistake"))
  })

/** Makes a client of the group. */
export const connect = (
  socket: Layer.Layer<Socket.Socket>,
  serialization: Layer.Layer<RpcSerialization.RpcSerialization>,
  options: {
    readonly disableTracing?: boolean
    readonly retryTransientErrors?: boolean
    readonly retrySchedule?: Schedule.Schedule<unknown, Socket.SocketError>
  } = {}
) =>
  Effect.gen(function* () {
    const layer = RpcClient.layerProtocolSocket(options).pipe(Layer.provide(socket), Layer.provide(serialization))
    return yield* Effect.provide(RpcClient.make(Group, options), yield* Layer.build(layer))
  })
