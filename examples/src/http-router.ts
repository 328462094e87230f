/**
 * Pages and WebSockets from one router of `@effect/platform`: a counter that every visitor sees, and moves by hand.
 *
 * Of what a program for the stock server would need, one line differs, the layer that listens. `/watch` uses the `Socket` of
 * `@effect/platform`, as any route may go on to do; `/move` the connection itself.
 *
 * Usage: node scripts/example.js http-router [--host HOST] [--port PORT]
 */
import { formatAddress } from "@effect-ws/api/TransportError"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as NodeHttpServer from "@effect-ws/platform-node/NodeHttpServer"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServer from "@effect/platform/HttpServer"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import * as Http from "node:http"
import * as Cli from "./cli/Cli.ts"

type Counter = SubscriptionRef.SubscriptionRef<number>

const page = (counter: Counter) =>
  Effect.map(counter.get, (count) => HttpServerResponse.text(`the counter is at ${count}\n`))

/** Sends the counter whenever it moves, until the peer closes. */
const watch = (counter: Counter) =>
  Effect.gen(function* () {
    const { upgrade } = yield* HttpServerRequest.HttpServerRequest
    const socket = yield* upgrade
    const write = yield* socket.writer
    const feed = yield* Effect.fork(Stream.runForEach(counter.changes, (count) => write(`${count}`)))
    yield* Effect.ensuring(
      socket.run(() => {}),
      Fiber.interrupt(feed)
    )
    return HttpServerResponse.empty()
  }).pipe(Effect.scoped)

/** Moves the counter by what is sent. A client that doesn't speak our subprotocol is refused, before there is a connection. */
const move = (counter: Counter) =>
  Effect.gen(function* () {
    const socket = yield* WebSocket.acceptHttp({
      subprotocols: (offers) =>
        offers.includes("steps") ? Effect.succeed("steps") : WebSocket.reject({ status: 400, body: "speak steps\n" })
    })
    yield* WebSocket.run(socket, (message) =>
      message._tag === "Text" && /^-?\d{1,6}$/.test(message.text)
        ? SubscriptionRef.update(counter, (count) => count + Number(message.text))
        : socket.close({ code: 1003, reason: "a step is a whole number" })
    )
    return HttpServerResponse.empty()
  })

const serve = Effect.gen(function* () {
  const counter = yield* SubscriptionRef.make(0)
  const router = HttpRouter.empty.pipe(
    HttpRouter.get("/", page(counter)),
    HttpRouter.get("/watch", watch(counter)),
    HttpRouter.get("/move", move(counter))
  )
  yield* HttpServer.serveEffect(router)
  const { address } = yield* HttpServer.HttpServer
  yield* Console.log(`open http://${formatAddress(address)}`)
  return yield* Effect.never
})

const program = Effect.gen(function* () {
  const { values } = yield* Cli.parse("usage: http-router [--host HOST] [--port PORT]", {
    options: { host: { type: "string", default: "127.0.0.1" }, port: { type: "string", default: "0" } }
  })
  const port = yield* Cli.port(values.port)
  const layer = NodeHttpServer.layer(() => Http.createServer(), { host: values.host, port })
  yield* serve.pipe(Effect.scoped, Effect.provide(layer))
})

program.pipe(
  Effect.catchTag("ServeError", ({ cause }) => Cli.fail(cause instanceof Error ? cause.message : String(cause))),
  Cli.run
)
