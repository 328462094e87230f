import * as WebSocket from "@effect-ws/api/WebSocket"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Curl from "../support/curl.ts"
import { withoutLeaks } from "../support/leaks.ts"
import { describeWith } from "../support/programs.ts"
import { listeners, serve, serveSockets, type Server } from "../support/serving.ts"

const upgrade = {
  Connection: "Upgrade",
  Upgrade: "websocket",
  "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
  "Sec-WebSocket-Version": "13"
}

/** What a refusal must be like for curl, whose exit status says that the answer is well-formed and ends where it says. */
interface Refusal {
  readonly args: ReadonlyArray<string>
  readonly status: number
  readonly fields?: Readonly<Record<string, string>>
  readonly body: RegExp
}

const asking = (more: Readonly<Record<string, string>>) => Curl.fields({ ...upgrade, ...more })

const upgradeRefusals: Readonly<Record<string, Refusal>> = {
  "a key that is none": {
    args: asking({ "Sec-WebSocket-Key": "short" }),
    status: 400,
    body: /^the Sec-WebSocket-Key .* \(RFC 6455 4\.2\.1\)\n$/
  },
  "another version, and names its own": {
    args: asking({ "Sec-WebSocket-Version": "8" }),
    status: 426,
    fields: { upgrade: "websocket", "sec-websocket-version": "13" },
    body: /^the Sec-WebSocket-Version is not 13/
  },
  "a page of another origin": {
    args: asking({ Origin: "http://other.test" }),
    status: 403,
    body: /^the Origin .* \(RFC 6455 10\.2\)\n$/
  },
  "another method, and names the one it takes": {
    args: ["--request", "POST", ...asking({})],
    status: 405,
    fields: { allow: "GET" },
    body: /^the method is not GET/
  },
  "HEAD, without a body": { args: ["--head", ...asking({})], status: 405, fields: { allow: "GET" }, body: /^$/ }
}

const requestRefusals: Readonly<Record<string, Refusal>> = {
  "a request for a page, and says what it serves": {
    args: [],
    status: 426,
    fields: { upgrade: "websocket", "sec-websocket-version": "13" },
    body: /^the request has no Upgrade field/
  },
  "a form that is posted": {
    args: ["--data", "name=ann"],
    status: 405,
    fields: { allow: "GET" },
    body: /^the method is not GET/
  },
  "HEAD of a page, without a body": { args: ["--head"], status: 405, fields: { allow: "GET" }, body: /^$/ },
  "a field beyond the limit of the head": {
    args: asking({ "X-Huge": "x".repeat(9000) }),
    status: 431,
    body: /larger than the limit of 8192 bytes/
  },
  "a field so long that most of it was never read": {
    args: asking({ "X-Huge": "x".repeat(120_000) }),
    status: 431,
    body: /larger than the limit of 8192 bytes/
  },
  "HTTP/1.0, which knows no upgrade": {
    args: ["--http1.0", ...asking({})],
    status: 505,
    body: /^the request is not HTTP/
  }
}

const assertRefused = (server: Server, { args, body, fields = {}, status }: Refusal) =>
  Effect.map(Curl.ask(pageOf(server), ...args), (answer) => {
    assert.deepInclude(answer, { exitStatus: 0, errors: "", status })
    assert.match(answer.statusLine, new RegExp(`^HTTP/1\\.1 ${status} [A-Z]`))
    assert.match(answer.body, body)
    assert.deepInclude(answer.fields, { "content-type": "text/plain; charset=utf-8", ...fields })
    // RFC 9110 7.8: who sends Upgrade names it in Connection.
    if ("upgrade" in fields) assert.match(answer.fields["connection"] ?? "", /^Upgrade(, close)?$/)
    const length = Number(answer.fields["content-length"])
    if (args.includes("--head")) assert.isAbove(length, 0)
    else assert.strictEqual(length, answer.body.length)
  })

const pageOf = ({ url }: Server): string => `${url.replace("ws:", "http:")}/chat`

describeWith(Curl.curl, "server, curl as the client", () => {
  for (const [listener, layer] of Object.entries(listeners)) {
    describe(listener, () => {
      it.scopedLive("server accepts, and its first message comes right behind the head", () =>
        Effect.gen(function* () {
          const server = yield* serveSockets(layer())
          const socket = yield* Effect.scoped(
            Effect.gen(function* () {
              const answer = yield* Curl.askForUpgrade(pageOf(server), ...Curl.fields(upgrade))
              assert.strictEqual(answer.statusLine, "HTTP/1.1 101 Switching Protocols")
              assert.deepInclude(answer.fields, {
                upgrade: "websocket",
                connection: "Upgrade",
                "sec-websocket-accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
              })
              assert.notProperty(answer.fields, "content-length")
              const socket = yield* server.nextSocket
              assert.strictEqual(socket.request.path, "/chat")
              yield* socket.send("hello\n")
              // 5.2: 81 is no UTF-8, then the length and the text.
              assert.strictEqual(yield* answer.nextLine, "\ufffd\u0006hello")
              return socket
            })
          )
          assert.deepInclude(yield* socket.closed, { _tag: "ConnectionClosed", code: 1006, received: undefined })
        }).pipe(Effect.scoped, withoutLeaks)
      )

      it.scopedLive("server accepts a page of its own origin", () =>
        Effect.gen(function* () {
          const server = yield* serveSockets(layer())
          const fields = asking({ Origin: server.url.replace("ws:", "http:") })
          const answer = yield* Curl.askForUpgrade(pageOf(server), ...fields)
          assert.strictEqual(answer.statusLine, "HTTP/1.1 101 Switching Protocols")
        })
      )

      it.scopedLive("server refuses with the status, the fields and the body of its handler", () =>
        Effect.gen(function* () {
          const server = yield* serve(layer(), () =>
            WebSocket.reject({ status: 401, headers: { "WWW-Authenticate": "Bearer" }, body: "who are you? é" })
          )
          const answer = yield* Curl.ask(pageOf(server), ...Curl.fields(upgrade))
          assert.deepInclude(answer, { exitStatus: 0, errors: "", status: 401, body: "who are you? é" })
          assert.deepInclude(answer.fields, { "www-authenticate": "Bearer", "content-length": "15" })
        }).pipe(Effect.scoped, withoutLeaks)
      )

      for (const [what, refusal] of Object.entries(upgradeRefusals)) {
        it.scopedLive(`server refuses ${what}`, () =>
          Effect.flatMap(serveSockets(layer()), (server) => assertRefused(server, refusal)).pipe(
            Effect.scoped,
            withoutLeaks
          )
        )
      }
    })
  }

  // Requests for no upgrade are answered by node:http itself when it is there, and it has its own limit of a head.
  for (const [what, refusal] of Object.entries(requestRefusals)) {
    it.scopedLive(`server with its own listener refuses ${what}`, () =>
      Effect.flatMap(serveSockets(listeners["with its own listener"]!()), (server) =>
        assertRefused(server, refusal)
      ).pipe(Effect.scoped, withoutLeaks)
    )
  }

  it.scopedLive("server attached to node:http leaves a request for a page to it", () =>
    Effect.gen(function* () {
      const server = yield* serveSockets(listeners["attached to node:http"]!())
      const answer = yield* Curl.ask(pageOf(server))
      assert.deepInclude(answer, { exitStatus: 0, errors: "", status: 200, body: "page of /chat" })
    })
  )

  for (const [what, ...args] of [["a page"], ["a form that is posted", "--data", "name=ann"]] as const) {
    it.scopedLive(`server attached to node:http leaves a request for ${what} to it that offers HTTP/2`, () =>
      Effect.gen(function* () {
        const server = yield* serveSockets(listeners["attached to node:http"]!())
        // A later option wins over the "--http1.1" that comes always.
        const answer = yield* Curl.ask(pageOf(server), "--http2", ...args)
        assert.deepInclude(answer, { exitStatus: 0, errors: "", status: 200, body: "page of /chat" })
        assert.strictEqual(answer.statusLine, "HTTP/1.1 200 OK")
      })
    )
  }
})
