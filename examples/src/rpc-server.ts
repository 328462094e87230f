/**
 * Answers the calls of a group of `@effect/rpc`, over our WebSockets. Of what the stock packages would need, one line differs:
 * the layer that listens.
 *
 * Usage: node scripts/example.js rpc-server [--host HOST] [--port PORT]
 */
import { ServerError } from "@effect-ws/api/ServerError"
import { formatAddress } from "@effect-ws/api/TransportError"
import * as NodeSocketServer from "@effect-ws/platform-node/NodeSocketServer"
import { SocketServer } from "@effect/platform/SocketServer"
import * as RpcSerialization from "@effect/rpc/RpcSerialization"
import * as RpcServer from "@effect/rpc/RpcServer"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as Cli from "./cli/Cli.ts"
import { Arithmetic, TooLarge } from "./rpc/Arithmetic.ts"

const usage = "usage: rpc-server [--host HOST] [--port PORT]"
const path = "/rpc"
const limit = 1_000_000

const factorsOf = (number: number): Array<number> => {
  const factors: Array<number> = []
  for (let divisor = 2; number > 1; divisor++) {
    for (; number % divisor === 0; number /= divisor) factors.push(divisor)
  }
  return factors
}

const handlers = Arithmetic.toLayer({
  Factor: ({ number }) => (number > limit ? new TooLarge({ limit }) : Effect.succeed(factorsOf(number))),
  Primes: ({ upTo }) =>
    upTo > limit
      ? Stream.fail(new TooLarge({ limit }))
      : Stream.range(1, upTo).pipe(Stream.filter((number) => factorsOf(number).length === 1))
})

const announce = Layer.effectDiscard(
  Effect.flatMap(SocketServer, ({ address }) => Console.log(`listening on ws://${formatAddress(address)}${path}`))
)

const program = Effect.gen(function* () {
  const { values } = yield* Cli.parse(usage, {
    options: { host: { type: "string", default: "127.0.0.1" }, port: { type: "string", default: "0" } }
  })
  const port = yield* Cli.port(values.port)
  const server = RpcServer.layer(Arithmetic).pipe(
    Layer.provide(handlers),
    Layer.provide(RpcServer.layerProtocolSocketServer),
    Layer.merge(announce),
    Layer.provide(NodeSocketServer.layerWebSocket({ host: values.host, port, path })),
    Layer.provide(RpcSerialization.layerMsgPack)
  )
  yield* Layer.launch(server)
})

program.pipe(
  Effect.catchTag("SocketServerError", ({ cause }) =>
    Cli.fail(cause instanceof ServerError ? cause.message : String(cause))
  ),
  Cli.run
)
