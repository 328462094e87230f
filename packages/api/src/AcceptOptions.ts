/**
 * How a server accepts: who may connect, which subprotocols are spoken, what the answer carries.
 *
 * @since 0.1.0
 */
import type { UpgradeRequest } from "@effect-ws/core/UpgradeRequest"
import type * as Effect from "effect/Effect"
import type * as ConnectionOptions from "./ConnectionOptions.ts"
import type { ResponseDecorator } from "./Decorator.ts"
import type * as Fields from "./Fields.ts"
import type { HandshakeError } from "./HandshakeError.ts"

/**
 * How a server accepts.
 *
 * @since 0.1.0
 * @category models
 */
export interface AcceptOptions<R = never> extends ConnectionOptions.Input {
  /**
   * The subprotocols that are spoken here, the preferred one first: the first that the client offered is chosen, and none
   * when it offered none of them. Or an effect that chooses among the offers, and may fail with `reject`: what it chooses
   * has to be one of them. A server that insists on one rejects where none was offered.
   */
  readonly subprotocols?: ReadonlyArray<string> | SubprotocolChoice<R> | undefined
  /**
   * Which web pages may connect. `"same"` by default: a request with an `Origin` must come from a page of this very host and
   * port, else any site could use a visitor's cookies. An allow-list names origins exactly, as `"https://example.com"`; a
   * function decides by itself; `"any"` checks nothing. Requests without `Origin` are not from pages and always pass.
   */
  readonly origin?: OriginPolicy | undefined
  /** Fields for the 101, besides those of the upgrade. */
  readonly headers?: Fields.Fields | undefined
  /** Changes what is answered, just before it is sent: the 101 and every refusal. See `Decorator`. */
  readonly decorate?: ResponseDecorator | undefined
  /** The `Server` field of what is answered, unless there is one: `effect-ws` by default, none when `false`. */
  readonly server?: string | false | undefined
}

/**
 * Chooses a subprotocol among those that a client offers, its preferred one first; `undefined` for none.
 *
 * @since 0.1.0
 * @category models
 */
export type SubprotocolChoice<R = never> = (
  offers: ReadonlyArray<string>,
  request: UpgradeRequest
) => Effect.Effect<string | undefined, HandshakeError, R>

/**
 * Which origins a server takes: those of its own host, any, those in a list, or those that a function approves of.
 *
 * @since 0.1.0
 * @category models
 */
export type OriginPolicy =
  | "same"
  | "any"
  | ReadonlyArray<string>
  | ((origin: string, request: UpgradeRequest) => boolean)
