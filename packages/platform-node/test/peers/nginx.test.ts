import * as WebSocket from "@effect-ws/api/WebSocket"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { makeInbox } from "../support/inbox.ts"
import { withoutLeaks } from "../support/leaks.ts"
import * as Nginx from "../support/nginx.ts"
import { close, connectWs, openWs, opened, text } from "../support/peers.ts"
import { describeWith } from "../support/programs.ts"
import { connect, listeners, serve } from "../support/serving.ts"

const upgrading = [
  "proxy_http_version 1.1",
  "proxy_set_header Upgrade $http_upgrade",
  'proxy_set_header Connection "upgrade"'
]

/** The ways people set nginx up in front of a WebSocket server. */
const locations: Nginx.Locations = {
  // Without a line for it, nginx sends the name of the upstream as the Host.
  "/rewritten": upgrading,
  "/kept": [...upgrading, "proxy_set_header Host $http_host"],
  "/composed": [...upgrading, "proxy_set_header Host $host:$server_port"],
  "/told": [...upgrading, "proxy_set_header X-Forwarded-Host $http_host"],
  // Which is without the port, as suits pages on the default port of their scheme.
  "/told-by-name": [...upgrading, "proxy_set_header X-Forwarded-Host $host"],
  "/forgotten": ["proxy_http_version 1.1"],
  "/old": []
}

const ownListener = listeners["with its own listener"]!

const upgradingPaths = ["/rewritten", "/kept", "/composed"]
const keepingPaths = ["/kept", "/composed"]

/** Our server behind nginx. It sends every message back, and takes the proxy's origins by name where the query says so. */
const proxied = (layer: ReturnType<(typeof listeners)[string]>) =>
  Effect.gen(function* () {
    const sockets = makeInbox<WebSocket.WebSocket>()
    const listed: Array<string> = []
    const server = yield* serve(layer, (exchange) =>
      Effect.gen(function* () {
        const options = exchange.request.query === "listed" ? { origin: listed } : {}
        const socket = yield* WebSocket.accept(exchange, options)
        sockets.push(socket)
        yield* Effect.ignore(WebSocket.run(socket, (message) => socket.send(message)))
      })
    )
    const proxy = yield* Nginx.proxyTo(server.port, locations)
    listed.push(proxy.origin, proxy.secureOrigin)
    return { ...server, proxy, nextSocket: sockets.next }
  })

const mebibyte = Buffer.alloc(1024 * 1024, "0123456789abc")

describeWith(Nginx.nginx, "server, nginx as the proxy in front of it", () => {
  for (const [listener, layer] of Object.entries(listeners)) {
    describe(listener, () => {
      for (const path of upgradingPaths) {
        it.scopedLive(`server and ws exchange messages and close codes both ways through ${path}`, () =>
          Effect.gen(function* () {
            const server = yield* proxied(layer())
            const peer = yield* openWs(server.proxy.url + path)
            const socket = yield* server.nextSocket
            assert.deepInclude(socket.request, { path, origin: undefined })
            peer.send("héllo")
            peer.send(mebibyte)
            assert.deepStrictEqual(yield* peer.next, text("héllo"))
            const echo = yield* peer.next
            assert.isTrue(echo._tag === "Binary" && mebibyte.equals(echo.bytes))
            peer.close(3001, "enough")
            assert.deepInclude(yield* socket.closed, { received: { code: 3001, reason: "enough" }, initiator: "peer" })
            assert.deepInclude(yield* peer.next, { _tag: "Close", code: 3001 })
            const other = yield* openWs(server.proxy.url + path)
            const end = yield* (yield* server.nextSocket).close({ code: 4000, reason: "sorry" })
            assert.deepInclude(end, { initiator: "local", clean: true, code: 4000 })
            assert.deepStrictEqual(yield* other.next, close(4000, "sorry"))
          }).pipe(Effect.scoped, withoutLeaks)
        )

        it.scopedLive(`server and client exchange messages and close codes both ways through ${path}`, () =>
          Effect.gen(function* () {
            const server = yield* proxied(layer())
            const client = yield* connect(server.proxy.url + path)
            const socket = yield* server.nextSocket
            yield* client.send("héllo")
            assert.deepInclude(yield* client.receive, { _tag: "Text", text: "héllo" })
            yield* client.send(mebibyte)
            assert.isTrue(mebibyte.equals((yield* client.receive).bytes))
            const end = yield* client.close({ code: 3001, reason: "enough" })
            assert.deepInclude(end, { clean: true, code: 3001 })
            assert.deepInclude(yield* socket.closed, { received: { code: 3001, reason: "enough" }, initiator: "peer" })
            const other = yield* connect(server.proxy.url + path)
            yield* (yield* server.nextSocket).close({ code: 4000, reason: "sorry" })
            assert.deepInclude(yield* other.closed, { received: { code: 4000, reason: "sorry" }, initiator: "peer" })
          }).pipe(Effect.scoped, withoutLeaks)
        )
      }

      for (const path of keepingPaths) {
        it.scopedLive(
          `server takes a page of the proxy for one of its own where nginx keeps the Host, as ${path}`,
          () =>
            Effect.gen(function* () {
              const server = yield* proxied(layer())
              const { ca, origin, secureOrigin, secureUrl, url } = server.proxy
              const plain = yield* connectWs(url + path, { headers: { Origin: origin } })
              assert.deepStrictEqual(yield* plain.next, opened())
              const secure = yield* connectWs(secureUrl + path, { ca, headers: { Origin: secureOrigin } })
              assert.deepStrictEqual(yield* secure.next, opened())
              const foreign = yield* connectWs(url + path, { headers: { Origin: "https://other.test" } })
              assert.deepInclude(yield* foreign.next, { _tag: "Refused", status: 403 })
            }).pipe(Effect.scoped, withoutLeaks)
        )
      }

      it.scopedLive("server refuses a page of the proxy where nginx rewrites the Host, and logs both values", () =>
        Effect.gen(function* () {
          const server = yield* proxied(layer())
          const { origin, url } = server.proxy
          const peer = yield* connectWs(`${url}/rewritten`, { headers: { Origin: origin } })
          assert.deepInclude(yield* peer.next, { _tag: "Refused", status: 403 })
          assert.strictEqual(server.logged.length, 1)
          assert.include(server.logged[0], origin)
          assert.include(server.logged[0], `127.0.0.1:${server.port}`)
        }).pipe(Effect.scoped, withoutLeaks)
      )

      it.scopedLive("server takes a page of the proxy where nginx rewrites the Host and its origin is listed", () =>
        Effect.gen(function* () {
          const server = yield* proxied(layer())
          const { origin, url } = server.proxy
          const listed = yield* connectWs(`${url}/rewritten?listed`, { headers: { Origin: origin } })
          assert.deepStrictEqual(yield* listed.next, opened())
          const foreign = yield* connectWs(`${url}/rewritten?listed`, { headers: { Origin: "https://other.test" } })
          assert.deepInclude(yield* foreign.next, { _tag: "Refused", status: 403 })
        }).pipe(Effect.scoped, withoutLeaks)
      )

      it.scopedLive(
        "server behind nginx with nginx's own Host, trusting the proxy, accepts the page's origin by X-Forwarded-Host",
        () =>
          Effect.gen(function* () {
            const server = yield* proxied(layer({ trustedProxies: ["127.0.0.1"] }))
            const { ca, origin, secureOrigin, secureUrl, url } = server.proxy
            const pages = [
              [`${url}/told`, origin],
              [`${secureUrl}/told`, secureOrigin],
              [`${url}/told-by-name`, "http://127.0.0.1"],
              [`${secureUrl}/told-by-name`, "https://127.0.0.1"]
            ] as const
            for (const [page, Origin] of pages) {
              const peer = yield* connectWs(page, { ca, headers: { Origin } })
              assert.deepStrictEqual(yield* peer.next, opened())
              assert.strictEqual((yield* server.nextSocket).request.host, `127.0.0.1:${server.port}`)
            }
            const foreign = { Origin: "https://other.test", "X-Forwarded-Host": "other.test" }
            for (const [page, headers] of [
              [`${url}/told`, foreign],
              [`${url}/told-by-name`, foreign],
              [`${url}/told-by-name`, { Origin: origin }]
            ] as const) {
              const refused = yield* connectWs(page, { headers })
              assert.deepInclude(yield* refused.next, { _tag: "Refused", status: 403 })
            }
          }).pipe(Effect.scoped, withoutLeaks)
      )

      it.scopedLive("server refuses a page of the proxy by X-Forwarded-Host where it doesn't trust the proxy", () =>
        Effect.gen(function* () {
          for (const options of [{}, { trustedProxies: ["192.0.2.1"] }]) {
            const server = yield* proxied(layer(options))
            const peer = yield* connectWs(`${server.proxy.url}/told`, { headers: { Origin: server.proxy.origin } })
            assert.deepInclude(yield* peer.next, { _tag: "Refused", status: 403 })
          }
        }).pipe(Effect.scoped, withoutLeaks)
      )

      it.scopedLive("server speaks plain behind nginx, which speaks TLS to clients", () =>
        Effect.gen(function* () {
          const server = yield* proxied(layer())
          const { ca, secureUrl } = server.proxy
          const peer = yield* openWs(`${secureUrl}/kept`, { ca })
          const first = yield* server.nextSocket
          const client = yield* connect(`${secureUrl}/kept`, {}, { tls: { ca } })
          const second = yield* server.nextSocket
          assert.strictEqual(client.info.tls?.authorized, true)
          assert.deepStrictEqual([first.info.tls, second.info.tls], [undefined, undefined])
          yield* first.send("for ws")
          yield* second.send("for ours")
          assert.deepStrictEqual(yield* peer.next, text("for ws"))
          assert.deepInclude(yield* client.receive, { text: "for ours" })
          assert.deepInclude(yield* client.close({ code: 3001, reason: "enough" }), { clean: true, code: 3001 })
          assert.deepInclude(yield* second.closed, { received: { code: 3001, reason: "enough" } })
        }).pipe(Effect.scoped, withoutLeaks)
      )
    })
  }

  it.scopedLive("server answers 426 where nginx drops the fields of the upgrade, and nginx passes it on", () =>
    Effect.gen(function* () {
      const server = yield* proxied(ownListener())
      const peer = yield* connectWs(`${server.proxy.url}/forgotten`)
      const refusal = yield* peer.next
      assert.deepInclude(refusal, { _tag: "Refused", status: 426 })
      if (refusal._tag !== "Refused") return
      assert.match(refusal.body, /has no Upgrade field/)
      assert.deepInclude(refusal.headers, { "sec-websocket-version": "13" })
      const error = yield* Effect.flip(connect(`${server.proxy.url}/forgotten`))
      assert.deepInclude(error.reason, { _tag: "Declined", status: 426 })
    }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("server answers 505 where nginx speaks HTTP/1.0 to it, as it does by default", () =>
    Effect.gen(function* () {
      const server = yield* proxied(ownListener())
      const peer = yield* connectWs(`${server.proxy.url}/old`)
      const refusal = yield* peer.next
      assert.deepInclude(refusal, { _tag: "Refused", status: 505 })
      assert.isTrue(refusal._tag === "Refused" && refusal.body.includes("is not HTTP/1.1"))
    }).pipe(Effect.scoped, withoutLeaks)
  )
})
