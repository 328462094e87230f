/**
 * What a client tells of its opening handshakes: spans, and how many there were.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { HandshakeError } from "../../HandshakeError.ts"
import type { WebSocket } from "../../WebSocket.ts"
import * as Handle from "../connection/handle.ts"
import { meters } from "./metrics.ts"
import type * as attributes from "./spanAttributes.ts"
import * as spanOfEnd from "./spanOfEnd.ts"
import * as tracing from "./tracing.ts"

/** Opens below a span, which ends with the opening handshake. */
export const opening = <E, R>(
  about: () => attributes.Attributes,
  open: Effect.Effect<WebSocket, E, R>
): Effect.Effect<WebSocket, E, R> =>
  Effect.withFiberRuntime((fiber) => {
    if (!tracing.isTraced(fiber, fiber.currentSpan)) {
      return Effect.onExit(open, (exit) => Effect.sync(() => count(exit)))
    }
    return Effect.flatMap(tracing.begin("client", about()), (handshake) =>
      Effect.onExit(Effect.withParentSpan(open, handshake.span) as typeof open, (exit) =>
        Effect.sync(() => {
          count(exit)
          conclude(fiber, handshake, exit)
        })
      )
    )
  })

const count = (exit: Exit.Exit<WebSocket, unknown>): void => {
  const name = nameOf(exit)
  if (name !== undefined) meters.client.decided(name)
}

const conclude = (
  fiber: Fiber.RuntimeFiber<unknown, unknown>,
  handshake: tracing.HandshakeSpan,
  exit: Exit.Exit<WebSocket, unknown>
): void => {
  if (Exit.isFailure(exit)) return handshake.failed(nameOf(exit) ?? "Defect", statusOf(exit), exit)
  const connection = Handle.connectionOf(exit.value)
  handshake.accepted({ connection, response: exit.value.response })
  spanOfEnd.watch(connection, fiber, handshake.span)
}

// A defect, options that can't be meant, is no outcome of an opening handshake.
const nameOf = (exit: Exit.Exit<WebSocket, unknown>): string | undefined => {
  if (Exit.isSuccess(exit)) return "accepted"
  const error = Option.getOrUndefined(Cause.failureOption(exit.cause))
  if (error instanceof HandshakeError) return error.reason._tag
  return Cause.isInterruptedOnly(exit.cause) ? "Interrupted" : undefined
}

const statusOf = ({ cause }: Exit.Failure<WebSocket, unknown>): number | undefined => {
  const error = Option.getOrUndefined(Cause.failureOption(cause))
  if (!(error instanceof HandshakeError)) return undefined
  return "status" in error.reason ? error.reason.status : undefined
}
