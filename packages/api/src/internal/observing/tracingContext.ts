/**
 * The fields by which a trace goes on across an opening handshake: `traceparent` of W3C, and `b3` of Zipkin.
 */
import * as Headers from "@effect-ws/core/Headers"
import * as HttpHeaders from "@effect/platform/Headers"
import * as HttpTraceContext from "@effect/platform/HttpTraceContext"
import * as Context from "effect/Context"
import * as FiberRef from "effect/FiberRef"
import * as Option from "effect/Option"
import type * as Tracer from "effect/Tracer"
import { TracePropagation } from "../../TracePropagation.ts"
import type { AnyFiber } from "./tracing.ts"

/** The span that a request belongs to, if it says so in a way that can be believed. */
export const parentOf = (fiber: AnyFiber, fields: Headers.Headers): Tracer.ExternalSpan | undefined => {
  if (!namesParent(fields)) return undefined
  if (!Context.get(fiber.currentContext, TracePropagation)) return undefined
  const given = fields.map(([name, value]) => [name.toLowerCase(), value] as const).filter(([name]) => names.has(name))
  const parent = HttpTraceContext.fromHeaders(HttpHeaders.unsafeFromRecord(Object.fromEntries(given)))
  return Option.getOrUndefined(Option.filter(parent, isNamed))
}

/** Whether there is a field that may name one. */
export const namesParent = (fields: Headers.Headers): boolean =>
  fields.some(([name]) => name.length <= maxName && names.has(name.toLowerCase()))

/** The fields of a request, with those about the span in force unless the program has said something itself. */
export const append = (fiber: AnyFiber, fields: Headers.Headers): Headers.Headers => {
  const span = fiber.currentSpan
  if (span?._tag !== "Span" || !isNamed(span) || !fiber.getFiberRef(FiberRef.currentTracerEnabled)) return fields
  if (!Context.get(fiber.currentContext, TracePropagation)) return fields
  const added = Object.entries(HttpTraceContext.toHeaders(span)).filter(([name]) => !Headers.has(fields, name))
  return [...fields, ...added]
}

// What is made up, by a peer or by a tracer that is off, goes no further.
const isNamed = ({ spanId, traceId }: Tracer.AnySpan): boolean => traceIdForm.test(traceId) && spanIdForm.test(spanId)

const traceIdForm = /^(?!0+$)(?:[0-9a-f]{16}|[0-9a-f]{32})$/
const spanIdForm = /^(?!0+$)[0-9a-f]{16}$/

const names: ReadonlySet<string> = new Set(["traceparent", "b3", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled"])
const maxName = 12
