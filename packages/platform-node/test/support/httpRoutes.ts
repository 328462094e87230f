/**
 * Routes and requests for the tests of our HTTP server.
 */
import type { AcceptOptions } from "@effect-ws/api/AcceptOptions"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type App, type Options, ours, serveHttp, type Served } from "./httpServers.ts"
import { withoutLeaks } from "./leaks.ts"
import { rawClient, upgradeRequest } from "./rawPeer.ts"

/** Sends every message back. */
export const echo: App = Effect.gen(function* () {
  const socket = yield* WebSocket.acceptHttp()
  yield* WebSocket.run(socket, (message) => socket.send(message))
  return HttpServerResponse.empty()
})

export const done = HttpServerResponse.text("done")

/** Accepts, does what it is told with the connection, and answers with a page, which nobody may get to see. */
export const accepting = (
  rest: (socket: WebSocket.WebSocket) => Effect.Effect<unknown, unknown>,
  options?: AcceptOptions
): App => Effect.as(Effect.flatMap(WebSocket.acceptHttp(options), rest), done)

/** An upgrade request with more fields. */
export const withFields = (...fields: ReadonlyArray<string>) =>
  upgradeRequest.replace("\r\n\r\n", `\r\n${fields.join("\r\n")}\r\n\r\n`)

/** What a request is answered with: the lines of the head, and the body. The server ends the connection behind it. */
export const answerTo = (server: Served, request: string) =>
  Effect.gen(function* () {
    const peer = yield* rawClient(server.to)
    peer.send(Buffer.from(request))
    const head = yield* peer.next
    const body = yield* peer.next
    assert.deepStrictEqual([head._tag, body._tag, (yield* peer.next)._tag], ["Head", "Body", "End"])
    peer.socket.end()
    const lines = (head as { readonly head: string }).head.split("\r\n").filter((line) => !line.startsWith("Date:"))
    return { lines, body: (body as { readonly body: string }).body }
  })

/** Serves the application while it is used. */
export const onServer = <A, E>(
  app: App,
  use: (server: Served) => Effect.Effect<A, E, Scope.Scope>,
  options?: Options
) => Effect.flatMap(serveHttp(ours(options), app), use).pipe(Effect.scoped, withoutLeaks)
