/**
 * The stock HTTP server of Effect, with a handler that upgrades: `HttpServerRequest.upgrade`.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as HttpServer from "@effect/platform/HttpServer"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Http from "node:http"
import { report, touch, work } from "./report.js"

/** @type {Record<string, (message: string | Uint8Array) => void>} */
const looks = { echo: () => {}, read: (message) => (typeof message === "string" ? touch(message) : undefined) }
const look = looks[work]

const app = Effect.gen(function* () {
  const socket = yield* HttpServerRequest.upgrade
  const write = yield* socket.writer
  yield* socket.runRaw((message) => {
    look(message)
    return write(message)
  })
  return HttpServerResponse.empty()
}).pipe(Effect.scoped)

const program = Effect.gen(function* () {
  const server = yield* HttpServer.HttpServer
  yield* server.serve(app)
  if (server.address._tag === "TcpAddress") report(server.address.port)
  yield* Effect.never
}).pipe(Effect.scoped)

const server = NodeHttpServer.layer(() => Http.createServer(), { host: "127.0.0.1", port: 0, backlog: 1024 })

Effect.runFork(Effect.provide(program, server))
