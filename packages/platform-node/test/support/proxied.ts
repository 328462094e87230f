/**
 * The connector through a proxy, as the tests use it.
 */
import type { Endpoint } from "@effect-ws/api/Connector"
import * as MemoryTransport from "@effect-ws/api/testing/MemoryTransport"
import * as Proxy from "@effect-ws/platform-node/Proxy"
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as NodeConnector from "../../src/internal/nodeConnector.ts"
import { bytes } from "./sockets.ts"

export const endpoint = (fields: Partial<Endpoint>): Endpoint => ({
  secure: false,
  hostname: "chat.test",
  port: 80,
  unixPath: undefined,
  ...fields
})

export const proxyAt = (url: string) => Either.getOrThrow(Proxy.make(url))

export const connectAndEcho = (to: Endpoint, options: NodeConnector.NodeConnectorOptions) =>
  Effect.gen(function* () {
    const transport = yield* NodeConnector.make(options)(to)
    const wire = MemoryTransport.wire(transport)
    wire.send(bytes(1, 2, 3))
    assert.deepStrictEqual(yield* wire.awaitBytes(3), bytes(1, 2, 3))
    return transport
  })

/** Connects, which has to fail; the scope stays open behind it. */
export const failure = (to: Endpoint, options: NodeConnector.NodeConnectorOptions) =>
  Effect.flip(Effect.zipRight(NodeConnector.make(options)(to), Effect.dieMessage("It has connected")))

/** The reason of a proxy that let nothing through. */
export const reasonOf = (proxyUrl: string, to: Endpoint = endpoint({})) =>
  Effect.map(failure(to, { proxy: proxyAt(proxyUrl) }), (error) => {
    assert.deepInclude(error, { _tag: "TransportError", operation: "proxy", address: new URL(proxyUrl).host })
    assert.instanceOf(error.cause, Proxy.ProxyError)
    return (error.cause as Proxy.ProxyError).reason
  })
