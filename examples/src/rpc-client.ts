/**
 * Calls the RPC server: asks for the factors of a number, or for all primes up to one, which come as a stream.
 *
 * Usage: node scripts/example.js rpc-client URL factor NUMBER
 *        node scripts/example.js rpc-client URL primes NUMBER
 */
import * as NodeSocket from "@effect-ws/platform-node/NodeSocket"
import * as Socket from "@effect/platform/Socket"
import * as RpcClient from "@effect/rpc/RpcClient"
import type { RpcClientError } from "@effect/rpc/RpcClientError"
import * as RpcSerialization from "@effect/rpc/RpcSerialization"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as Cli from "./cli/Cli.ts"
import { Arithmetic } from "./rpc/Arithmetic.ts"

const usage = "usage: rpc-client URL factor|primes NUMBER"

const program = Effect.gen(function* () {
  const { positionals } = yield* Cli.parse(usage, { allowPositionals: true })
  const [url, command, text = ""] = positionals
  const number = Number(text)
  if (url === undefined || !/^[1-9]\d{0,8}$/.test(text)) return yield* Cli.fail(usage)
  const protocol = RpcClient.layerProtocolSocket().pipe(
    Layer.provide(NodeSocket.layerWebSocket(url)),
    Layer.provide(RpcSerialization.layerMsgPack)
  )
  if (command === "factor") return yield* Effect.provide(factor(number), protocol)
  if (command === "primes") return yield* Effect.provide(primes(number), protocol)
  return yield* Cli.fail(usage)
})

const factor = (number: number) =>
  Effect.gen(function* () {
    const client = yield* RpcClient.make(Arithmetic)
    const factors = yield* client.Factor({ number })
    yield* Console.log(`${number} = ${factors.join(" * ") || 1}`)
  })

const primes = (upTo: number) =>
  Effect.gen(function* () {
    const client = yield* RpcClient.make(Arithmetic)
    yield* Stream.runForEach(client.Primes({ upTo }), (prime) => Console.log(prime))
  })

/** Why a call had no answer: what our client says, where it was the connection. */
const describe = ({ cause, message }: RpcClientError): string => {
  if (!Socket.isSocketError(cause)) return message
  return cause.reason !== "Close" && cause.cause instanceof Error ? cause.cause.message : cause.message
}

program.pipe(
  Effect.scoped,
  Effect.catchTags({
    TooLarge: (error) => Cli.fail(error.message),
    RpcClientError: (error) => Cli.fail(describe(error))
  }),
  Cli.run
)
