/**
 * The page, on an ordinary `node:http` server, and the Layer that takes the WebSockets of that server.
 */
import type { ServerError } from "@effect-ws/api/ServerError"
import type { WebSocketServer } from "@effect-ws/api/WebSocketServer"
import * as NodeWebSocketServer from "@effect-ws/platform-node/NodeWebSocketServer"
import type { PlatformError } from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Http from "node:http"
import { fileURLToPath } from "node:url"

const files = {
  "/": { name: "index.html", type: "text/html; charset=utf-8" },
  "/style.css": { name: "style.css", type: "text/css; charset=utf-8" },
  "/page.js": { name: "page.js", type: "text/javascript; charset=utf-8" },
  "/log.js": { name: "log.js", type: "text/javascript; charset=utf-8" },
  "/connection.js": { name: "connection.js", type: "text/javascript; charset=utf-8" },
  "/chat.js": { name: "chat.js", type: "text/javascript; charset=utf-8" }
}

/** Provides the service on the port that serves the page too. */
export const layer = (port: number): Layer.Layer<WebSocketServer, CannotListen | ServerError | PlatformError> =>
  serve(port).pipe(
    Effect.map((server) => NodeWebSocketServer.layerAttached(server)),
    Layer.unwrapScoped,
    Layer.provide(NodeFileSystem.layer)
  )

/** The HTTP server can't listen. */
export class CannotListen extends Data.TaggedError("CannotListen")<{
  readonly port: number
  readonly cause: NodeJS.ErrnoException
}> {
  override get message(): string {
    return this.cause.code === "EADDRINUSE"
      ? `port ${this.port} of ${host} is taken`
      : `port ${this.port} of ${host} can't be listened on: ${this.cause.message}`
  }
}

const serve = (port: number) =>
  Effect.gen(function* () {
    const answers = yield* loadFiles
    const server = yield* Effect.acquireRelease(
      Effect.sync(() => Http.createServer((request, response) => respond(answers, request, response))),
      (server) => Effect.sync(() => server.close().closeAllConnections())
    )
    yield* listen(server, port)
    return server
  })

const listen = (server: Http.Server, port: number) =>
  Effect.async<void, CannotListen>((resume) => {
    server.once("error", (cause) => resume(new CannotListen({ port, cause })))
    server.listen(port, host, () => resume(Effect.void))
  })

interface Answer {
  readonly type: string
  readonly body: Uint8Array
}

const loadFiles = Effect.gen(function* () {
  const system = yield* FileSystem.FileSystem
  return yield* Effect.forEach(Object.entries(files), ([path, { name, type }]) =>
    system
      .readFile(fileURLToPath(new URL(name, folder)))
      .pipe(Effect.map((body): readonly [string, Answer] => [path, { type, body }]))
  ).pipe(Effect.map((entries) => new Map(entries)))
})

const respond = (
  answers: ReadonlyMap<string, Answer>,
  request: Http.IncomingMessage,
  response: Http.ServerResponse
): void => {
  const answer = answers.get((request.url ?? "").split("?")[0]!)
  const isRead = request.method === "GET" || request.method === "HEAD"
  if (answer === undefined || !isRead) response.writeHead(isRead ? 404 : 405, { "Content-Type": "text/plain" }).end()
  else response.writeHead(200, { ...fields, "Content-Type": answer.type }).end(answer.body)
}

const fields = {
  "Cache-Control": "no-cache",
  // The page uses nothing from elsewhere, but a person may want to connect to any WebSocket server.
  "Content-Security-Policy": "default-src 'self'; connect-src 'self' ws: wss:; img-src data:; base-uri 'none'",
  "X-Content-Type-Options": "nosniff"
}

const host = "127.0.0.1"

/** The same place from `src` and from `dist`. */
const folder = new URL("../../public/", import.meta.url)
