/**
 * The span of the end of a connection: from when it is known that it will end until the transport is over.
 *
 * The connection tells of both, since an end needs no fiber: the peer may close, or time run out.
 */
import * as Context from "effect/Context"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Tracer from "effect/Tracer"
import { isClean } from "../connection/isClean.ts"
import type { Connection } from "../connection/Connection.ts"
import * as attributes from "./spanAttributes.ts"
import { type AnyFiber, timeOf } from "./tracing.ts"
import * as connectionIds from "./connectionIds.ts"

/** Makes the span when the end comes, below the one given. It may have come already. */
export const watch = (connection: Connection, fiber: AnyFiber, parent: Tracer.AnySpan): void => {
  connection.id ||= connectionIds.next()
  const end = new EndSpan(connection, fiber, parent)
  connection.onEnding = () => end.begin()
  if (connection.status.state !== "open") end.begin()
  connection.ended.whenReached(() => end.end())
}

class EndSpan {
  private span: Tracer.Span | undefined = undefined
  private readonly connection: Connection
  private readonly parent: Tracer.AnySpan
  private readonly tracer: Tracer.Tracer
  private readonly now: () => bigint

  constructor(connection: Connection, fiber: AnyFiber, parent: Tracer.AnySpan) {
    this.connection = connection
    this.parent = parent
    this.tracer = fiber.currentTracer
    this.now = timeOf(fiber)
  }

  begin(): Tracer.Span {
    return (this.span ??= this.make())
  }

  end(): void {
    const error = this.connection.failure!
    const span = this.begin()
    attributes.set(span, attributes.ofEnd(this.connection, error))
    span.end(this.now(), isClean(error) ? Exit.void : Exit.fail(error))
  }

  private make(): Tracer.Span {
    const span = this.tracer.span(name, Option.some(this.parent), Context.empty(), [], this.now(), "internal")
    attributes.set(span, attributes.ofConnection(this.connection))
    return span
  }
}

const name = "websocket.close"
