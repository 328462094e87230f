/**
 * What the RPC server offers and its client calls: the one thing that both have to know.
 */
import * as Rpc from "@effect/rpc/Rpc"
import * as RpcGroup from "@effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"

/** The number is larger than the server wants to think about. */
export class TooLarge extends Schema.TaggedError<TooLarge>()("TooLarge", { limit: Schema.Number }) {
  override get message() {
    return `the server takes numbers up to ${this.limit}`
  }
}

const Natural = Schema.Int.pipe(Schema.greaterThanOrEqualTo(1))

/** One call with one answer, and one whose answer is a stream. */
export class Arithmetic extends RpcGroup.make(
  Rpc.make("Factor", { payload: { number: Natural }, success: Schema.Array(Natural), error: TooLarge }),
  Rpc.make("Primes", { payload: { upTo: Natural }, success: Natural, error: TooLarge, stream: true })
) {}
