/**
 * When there is a span, and that of the opening handshake.
 *
 * Where nobody would see a span none is made. The native tracer is always there and shows its spans to nobody; with it there
 * is a span only where a trace is to go on, from a span of the program or from one that the request names.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as Tracer from "effect/Tracer"
import type { Opened } from "../connection/handle.ts"
import * as attributes from "./spanAttributes.ts"
import * as connectionIds from "./connectionIds.ts"

export type AnyFiber = Fiber.RuntimeFiber<unknown, unknown>

/** Whether somebody would see a span with this parent. */
export const isTraced = (fiber: AnyFiber, parent: Tracer.AnySpan | undefined): boolean =>
  fiber.getFiberRef(FiberRef.currentTracerEnabled) && (parent !== undefined || fiber.currentTracer !== nativeTracer)

/** Begins the span of an opening handshake; without a parent, below the span that is in force. */
export const begin = (
  kind: Tracer.SpanKind,
  about: attributes.Attributes,
  parent?: Tracer.AnySpan
): Effect.Effect<HandshakeSpan> =>
  Effect.withFiberRuntime((fiber) =>
    Effect.map(
      Effect.makeSpan("websocket.handshake", { kind, parent, captureStackTrace: false }),
      (span) => new HandshakeSpan(span, about, timeOf(fiber))
    )
  )

/** The span of an opening handshake, from the request to the answer. */
export class HandshakeSpan {
  readonly span: Tracer.Span
  private readonly now: () => bigint

  constructor(span: Tracer.Span, about: attributes.Attributes, now: () => bigint) {
    attributes.set(span, about)
    this.span = span
    this.now = now
  }

  accepted({ connection, response }: Pick<Opened, "connection" | "response">): void {
    connection.id ||= connectionIds.next()
    attributes.set(this.span, { ...attributes.ofConnection(connection), ...attributes.ofResponse(response) })
    this.span.end(this.now(), Exit.void)
  }

  /** Is ended by what it failed with; `name` is what the metrics call it. */
  failed(name: string, status: number | undefined, exit: Exit.Exit<unknown, unknown>): void {
    attributes.set(this.span, { "error.type": name, "http.response.status_code": status })
    this.span.end(this.now(), exit)
  }
}

/** The time as spans want it. */
export const timeOf = (fiber: AnyFiber): (() => bigint) => {
  if (!fiber.getFiberRef(FiberRef.currentTracerTimingEnabled)) return () => 0n
  const clock = Context.get(fiber.currentDefaultServices, Clock.Clock)
  return () => clock.unsafeCurrentTimeNanos()
}

const nativeTracer = Context.get(DefaultServices.liveServices, Tracer.Tracer)
