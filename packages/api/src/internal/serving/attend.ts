/**
 * Accepts a connection and leaves it to an attendant.
 *
 * Where nothing has to be waited for, and no trace goes on, that takes no fiber: a server knows the handler that `serve` gives
 * to it by its handlers.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { HandshakeError } from "../../HandshakeError.ts"
import type { UpgradeExchange } from "../../UpgradeExchange.ts"
import type { Handlers } from "../../WebSocketServer.ts"
import * as Accept from "../opening/accept.ts"
import { Attendant } from "./Attendant.ts"
import { Exchange } from "../opening/Exchange.ts"
import * as Handle from "../connection/handle.ts"

/** The handler of a server whose connections are looked after by callbacks. */
export const attending = <A, R>(handlers: Handlers<A, R>, context: Context.Context<R>) =>
  Object.assign((exchange: UpgradeExchange) => Effect.provide(attend(exchange, handlers), context), {
    [known]: handlers
  })

/** Those callbacks, if there are any. */
export const handlersOf = (handler: object): Handlers<unknown, never> | undefined =>
  (handler as { readonly [known]?: Handlers<unknown, never> })[known]

const known: unique symbol = Symbol("handlers")

/** Accepts at once, or returns `undefined` where somebody has to be waited for. */
export const attendNow = <A, R>(
  exchange: Exchange,
  handlers: Handlers<A, R>
): Exit.Exit<Attendant<A, R>, HandshakeError> | undefined => {
  if (handlers.onUpgrade !== undefined) return undefined
  const exit = Accept.acceptNow(exchange, handlers.accept ?? none)
  return exit && Exit.map(exit, (opened) => make(opened, undefined as A, handlers))
}

const attend = <A, R>(
  exchange: UpgradeExchange,
  handlers: Handlers<A, R>
): Effect.Effect<Attendant<A, R>, unknown, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const data = yield* restore(Effect.suspend(() => handlers.onUpgrade?.(exchange) ?? nothing<A>()))
      const opened = yield* open(restore, exchange, handlers)
      return make(opened, data, handlers)
    })
  )

const make = <A, R>(opened: Handle.Opened, data: A, handlers: Handlers<A, R>): Attendant<A, R> =>
  new Attendant(opened.connection, Handle.make(opened), data, handlers)

const open = <A, R>(
  restore: Handle.Restore,
  exchange: UpgradeExchange,
  { accept = none }: Handlers<A, R>
): Effect.Effect<Handle.Opened, HandshakeError, R> =>
  exchange instanceof Exchange
    ? Accept.accept(restore, exchange, accept)
    : Effect.die(new Error("The exchange was not made by a server"))

// Without `onUpgrade` nothing belongs to a connection.
const nothing = <A>(): Effect.Effect<A> => Exit.succeed(undefined as A)

const none = {}
