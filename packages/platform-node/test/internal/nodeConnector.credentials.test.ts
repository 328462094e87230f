import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Tls from "node:tls"
import * as NodeConnector from "../../src/internal/nodeConnector.ts"
import { makeCertificate } from "../support/certificate.ts"
import { connectAndEcho, endpoint, failure, proxyAt } from "../support/proxied.ts"
import { connectProxy, echoServer } from "../support/proxies.ts"
import { leavesNothing } from "../support/sockets.ts"

/** A certificate that serves both ends, and a server that takes no client without it. */
const strict = Effect.gen(function* () {
  const { cert, key } = yield* makeCertificate(["localhost"])
  const demands = { cert, key, ca: cert, requestCert: true, rejectUnauthorized: true }
  return { cert, key, demands }
})

const trustingAnyone = Effect.acquireRelease(
  Effect.sync(() => {
    const before = process.env["NODE_TLS_REJECT_UNAUTHORIZED"]
    process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = "0"
    return before
  }),
  (before) =>
    Effect.sync(() => {
      if (before === undefined) delete process.env["NODE_TLS_REJECT_UNAUTHORIZED"]
      else process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = before
    })
)

describe("nodeConnector: credentials", () => {
  it.scoped("connector shows the client's certificate, but not where a redirect leads to another origin", () =>
    Effect.gen(function* () {
      const { cert, demands, key } = yield* strict
      const { port } = yield* echoServer({ ...demands, rejectUnauthorized: false })
      const given: ReadonlyArray<NodeConnector.NodeConnectorOptions> = [
        { tls: { ca: cert, cert, key } },
        { tls: { ca: cert, secureContext: Tls.createSecureContext({ ca: cert, cert, key }) } }
      ]
      const to = endpoint({ secure: true, hostname: "localhost", port })
      const strictServer = yield* echoServer(demands)
      for (const options of given) {
        yield* connectAndEcho({ ...to, port: strictServer.port }, options)
        yield* connectAndEcho({ ...to, omitCredentials: true }, options)
        // With TLS 1.3 the client learns only from what comes next that it isn't wanted.
        const refused = connectAndEcho({ ...to, port: strictServer.port, omitCredentials: true }, options)
        assert.isTrue((yield* Effect.exit(Effect.scoped(refused)))._tag === "Failure")
      }
    }).pipe(Effect.scoped, leavesNothing)
  )

  it.scoped("connector shows its certificate to the proxy, wherever a redirect leads", () =>
    Effect.gen(function* () {
      const { cert, demands, key } = yield* strict
      const target = yield* echoServer()
      const proxy = yield* connectProxy({ tls: demands })
      const options = { proxy: proxyAt(`https://localhost:${proxy.port}`), proxyTls: { ca: cert, cert, key } }
      yield* connectAndEcho(endpoint({ port: target.port, omitCredentials: true }), options)
      assert.strictEqual(proxy.requests.length, 1)
    }).pipe(Effect.scoped, leavesNothing)
  )

  it.scoped("connector checks certificates even where the environment tells Node not to", () =>
    Effect.gen(function* () {
      const { cert, key } = yield* makeCertificate(["localhost"])
      const { port } = yield* echoServer({ cert, key })
      const to = endpoint({ secure: true, hostname: "localhost", port })
      yield* trustingAnyone
      assert.strictEqual((yield* failure(to, {})).operation, "tls")
      yield* connectAndEcho(to, { tls: { rejectUnauthorized: false } })
    }).pipe(Effect.scoped, leavesNothing)
  )
})
