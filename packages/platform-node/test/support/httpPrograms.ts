/**
 * Programs as the users of `@effect/platform` write them, none of which knows whose server it runs on. Each returns what its
 * clients and its routes saw.
 */
import * as NodeHttpServer from "@effect-ws/platform-node/NodeHttpServer"
import * as NodeSocket from "@effect/platform-node/NodeSocket"
import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpMiddleware from "@effect/platform/HttpMiddleware"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServer from "@effect/platform/HttpServer"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Rpc from "@effect/rpc/Rpc"
import * as RpcClient from "@effect/rpc/RpcClient"
import * as RpcGroup from "@effect/rpc/RpcGroup"
import * as RpcSerialization from "@effect/rpc/RpcSerialization"
import * as RpcServer from "@effect/rpc/RpcServer"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import type { HttpFixture } from "./httpServers.ts"
import { makeInbox } from "./inbox.ts"
import { connectWs, type PeerEvent } from "./peers.ts"
import type { AddressInfo } from "node:net"

export type HttpProgram = (fixture: HttpFixture) => Effect.Effect<unknown, unknown, Scope.Scope>

type Serving = Layer.Layer<
  never,
  never,
  HttpServer.HttpServer | Layer.Layer.Success<typeof NodeHttpServer.layerContext>
>

/** Runs a server as a user's `main` would, and returns its port. */
const launch = ({ layer, nodeServer }: HttpFixture, serving: Serving) =>
  serving.pipe(
    Layer.provide(NodeHttpServer.layerContext),
    Layer.provide(Layer.orDie(layer)),
    Layer.build,
    Effect.map(() => (nodeServer.address() as AddressInfo).port)
  )

const fetchText = (url: string, options?: RequestInit) =>
  Effect.promise(async () => {
    const response = await fetch(url, { ...options, headers: { connection: "close", ...options?.headers } })
    return [response.status, await response.text()]
  })

const eventOf = (event: PeerEvent): unknown =>
  event._tag === "Refused" ? { _tag: event._tag, status: event.status, body: event.body } : event

/** Says something, hears the echo, and closes. */
const converse = (url: string, ...said: ReadonlyArray<string | Uint8Array>) =>
  Effect.gen(function* () {
    const peer = yield* connectWs(url, { headers: { "x-forwarded-for": "192.0.2.1" } })
    const first = yield* peer.next
    if (first._tag !== "Open") return eventOf(first)
    for (const data of said) peer.send(data)
    const heard: Array<PeerEvent> = [first]
    for (const _ of said) heard.push(yield* peer.next)
    peer.close(1000)
    return [...heard, yield* peer.next]
  })

/** The echo of the documentation: what comes is sent back. */
const echo = Effect.gen(function* () {
  const request = yield* HttpServerRequest.HttpServerRequest
  const socket = yield* request.upgrade
  const write = yield* socket.writer
  yield* socket.runRaw((data) => write(data))
  return HttpServerResponse.empty()
})

const router = HttpRouter.empty.pipe(
  HttpRouter.get("/", HttpServerResponse.text("page")),
  HttpRouter.post(
    "/body",
    Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
      Effect.map(request.text, (text) => HttpServerResponse.text(text))
    )
  ),
  HttpRouter.get("/echo", echo),
  HttpRouter.get(
    "/rooms/:room",
    Effect.gen(function* () {
      const { room } = yield* HttpRouter.params
      const socket = yield* HttpServerRequest.upgrade
      const write = yield* socket.writer
      yield* socket.runRaw(() => {}, { onOpen: Effect.orDie(write(`in ${room}`)) })
      return HttpServerResponse.empty()
    })
  ),
  HttpRouter.get(
    "/forbidden",
    Effect.zipRight(HttpServerRequest.upgrade, HttpServerResponse.text("no", { status: 403 }))
  ),
  HttpRouter.get("/broken", Effect.die("broken"))
)

const httpRouter: HttpProgram = (fixture) =>
  Effect.gen(function* () {
    const port = yield* launch(fixture, HttpServer.serve(router))
    return [
      yield* fetchText(`http://127.0.0.1:${port}/`),
      yield* fetchText(`http://127.0.0.1:${port}/body`, { method: "POST", body: "a body" }),
      yield* fetchText(`http://127.0.0.1:${port}/nowhere`),
      yield* fetchText(`http://127.0.0.1:${port}/broken`),
      yield* fetchText(`http://127.0.0.1:${port}/echo`),
      yield* converse(`ws://127.0.0.1:${port}/echo`, "héllo", Uint8Array.of(1, 2)),
      yield* converse(`ws://127.0.0.1:${port}/forbidden`),
      yield* converse(`ws://127.0.0.1:${port}/broken`),
      yield* converse(`ws://127.0.0.1:${port}/nowhere`),
      yield* converse(`ws://127.0.0.1:${port}/`)
    ]
  })

const parametersAndOnOpen: HttpProgram = (fixture) =>
  Effect.gen(function* () {
    const port = yield* launch(fixture, HttpServer.serve(router))
    const peer = yield* connectWs(`ws://127.0.0.1:${port}/rooms/7`)
    return [yield* peer.next, yield* peer.next]
  })

/** Tells of the request that a route saw, behind everything that modifies it. */
const whoAsks = Effect.gen(function* () {
  const { headers, originalUrl, remoteAddress, upgrade, url } = yield* HttpServerRequest.HttpServerRequest
  const socket = yield* upgrade
  const write = yield* socket.writer
  const seen = [url, originalUrl, headers["host"], Option.getOrUndefined(remoteAddress)].join(" ")
  yield* socket.runRaw(() => write(seen))
  return HttpServerResponse.empty()
})

const mounted: HttpProgram = (fixture) =>
  Effect.gen(function* () {
    const inner = HttpRouter.empty.pipe(HttpRouter.get("/who", whoAsks))
    const app = HttpRouter.empty.pipe(HttpRouter.mount("/inner", inner))
    const port = yield* launch(fixture, HttpServer.serve(app, HttpMiddleware.xForwardedHeaders))
    const heard = yield* converse(`ws://127.0.0.1:${port}/inner/who`, "who?")
    return JSON.parse(JSON.stringify(heard).replaceAll(`${port}`, "PORT"))
  })

const plainApp: HttpProgram = (fixture) =>
  Effect.gen(function* () {
    const port = yield* launch(fixture, HttpServer.serve(Effect.orDie(echo)))
    return [
      yield* converse(`ws://127.0.0.1:${port}/any`, "to the app itself"),
      yield* fetchText(`http://127.0.0.1:${port}/`)
    ]
  })

const channel: HttpProgram = (fixture) =>
  Effect.gen(function* () {
    const app = Effect.gen(function* () {
      const words = Stream.make("one", "two").pipe(Stream.encodeText, Stream.concat(Stream.never))
      const received = yield* words.pipe(
        Stream.pipeThroughChannelOrFail(HttpServerRequest.upgradeChannel()),
        Stream.decodeText(),
        Stream.take(1),
        Stream.runCollect
      )
      ended.push(Chunk.toReadonlyArray(received))
      return HttpServerResponse.empty()
    })
    const ended = makeInbox<ReadonlyArray<string>>()
    const port = yield* launch(fixture, HttpServer.serve(Effect.orDie(app)))
    const peer = yield* connectWs(`ws://127.0.0.1:${port}/`)
    const heard = [yield* peer.next, yield* peer.next, yield* peer.next]
    peer.send("three")
    return [heard, yield* ended.next, (yield* peer.next)._tag]
  })

/** A tracer that remembers the spans of servers, as far as they don't differ from run to run. */
const collectSpans = Effect.map(Effect.tracer, (native) => {
  const spans: Array<Tracer.Span> = []
  const tracer = Tracer.make({
    context: (run) => run(),
    span: (...args) => {
      const span = native.span(...args)
      if (span.kind === "server") spans.push(span)
      return span
    }
  })
  const shown = () =>
    spans.map(({ attributes, name, parent, status }) => [
      name,
      Option.map(parent, ({ spanId, traceId }) => `${traceId} ${spanId}`),
      attributes.get("url.path"),
      attributes.get("http.response.status_code"),
      status._tag
    ])
  return { layer: Layer.setTracer(tracer), shown }
})

const middlewareAndTracing: HttpProgram = (fixture) =>
  Effect.gen(function* () {
    const { layer, shown } = yield* collectSpans
    const statuses = makeInbox<number>()
    const middleware = HttpMiddleware.make((app) =>
      Effect.tap(app, ({ status }) => Effect.sync(() => statuses.push(status)))
    )
    const port = yield* launch(fixture, Layer.provide(HttpServer.serve(router, middleware), layer))
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    const peer = yield* connectWs(`ws://127.0.0.1:${port}/echo`, { headers: { traceparent } })
    yield* peer.next
    peer.close(1000)
    const heard = [yield* peer.next, yield* statuses.next]
    return [
      ...heard,
      yield* converse(`ws://127.0.0.1:${port}/forbidden`),
      yield* statuses.next,
      yield* fetchText(`http://127.0.0.1:${port}/broken`),
      shown()
    ]
  })

const scopes: HttpProgram = (fixture) =>
  Effect.gen(function* () {
    const told = makeInbox<string>()
    const app = Effect.gen(function* () {
      yield* Effect.addFinalizer((exit) => Effect.sync(() => told.push(exit._tag)))
      return yield* echo
    })
    const port = yield* launch(fixture, HttpServer.serve(Effect.orDie(app)))
    return [yield* converse(`ws://127.0.0.1:${port}/`, "in a scope"), yield* told.next]
  })

const layerRouter: HttpProgram = (fixture) =>
  Effect.gen(function* () {
    const routes = HttpLayerRouter.use((router) =>
      Effect.zipRight(router.add("GET", "/echo", echo), router.add("GET", "/", HttpServerResponse.text("page")))
    )
    const serving = HttpLayerRouter.serve(routes, { disableListenLog: true, disableLogger: true })
    const port = yield* launch(fixture, serving)
    return [
      yield* converse(`ws://127.0.0.1:${port}/echo`, "by a layer"),
      yield* fetchText(`http://127.0.0.1:${port}/`),
      yield* fetchText(`http://127.0.0.1:${port}/nowhere`)
    ]
  })

const Api = HttpApi.make("api").add(
  HttpApiGroup.make("group")
    .add(HttpApiEndpoint.get("hello")`/hello`.addSuccess(Schema.String))
    .add(HttpApiEndpoint.get("echo")`/echo`)
)

const httpApi: HttpProgram = (fixture) =>
  Effect.gen(function* () {
    const group = HttpApiBuilder.group(Api, "group", (handlers) =>
      handlers.handle("hello", () => Effect.succeed("hello")).handleRaw("echo", () => Effect.orDie(Effect.scoped(echo)))
    )
    const api = Layer.provide(HttpApiBuilder.api(Api), group)
    const port = yield* launch(fixture, Layer.provide(HttpApiBuilder.serve(), api))
    return [
      yield* converse(`ws://127.0.0.1:${port}/echo`, "of an api"),
      yield* fetchText(`http://127.0.0.1:${port}/hello`),
      yield* fetchText(`http://127.0.0.1:${port}/nowhere`)
    ]
  })

const Calls = RpcGroup.make(
  Rpc.make("upper", { payload: { text: Schema.String }, success: Schema.String, error: Schema.String }),
  Rpc.make("count", { payload: { to: Schema.Number }, success: Schema.Number, stream: true })
)

const handlers = Calls.toLayer({
  upper: ({ text }) => (text === "" ? Effect.fail("nothing to say") : Effect.succeed(text.toUpperCase())),
  count: ({ to }) => Stream.range(1, to)
})

const rpc: HttpProgram = (fixture) =>
  Effect.gen(function* () {
    const protocol = RpcServer.layerProtocolWebsocket({ path: "/rpc" })
    const serving = HttpRouter.Default.serve().pipe(
      Layer.provide(Layer.provide(RpcServer.layer(Calls), handlers)),
      Layer.provide(protocol),
      Layer.provide(RpcSerialization.layerNdjson)
    )
    const port = yield* launch(fixture, serving)
    const client = yield* Effect.provide(
      RpcClient.make(Calls),
      yield* Layer.build(
        RpcClient.layerProtocolSocket().pipe(
          Layer.provide(NodeSocket.layerWebSocket(`ws://127.0.0.1:${port}/rpc`)),
          Layer.provide(RpcSerialization.layerNdjson)
        )
      )
    )
    return [
      yield* client.upper({ text: "over http" }),
      yield* Effect.exit(client.upper({ text: "" })),
      Chunk.toReadonlyArray(yield* Stream.runCollect(client.count({ to: 100 }))).length
    ]
  })

/** The programs by what they use. */
export const httpPrograms: Readonly<Record<string, HttpProgram>> = {
  HttpRouter: httpRouter,
  "parameters of a route, and onOpen": parametersAndOnOpen,
  "mounted routes behind xForwardedHeaders": mounted,
  "an application without a router": plainApp,
  upgradeChannel: channel,
  "middleware and tracing": middlewareAndTracing,
  "the scope of a request": scopes,
  HttpLayerRouter: layerRouter,
  "HttpApi with a route for WebSockets": httpApi,
  "RpcServer.layerProtocolWebsocket": rpc
}
