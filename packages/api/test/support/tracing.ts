/** A tracer that keeps what it is told. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"

/** A span as a test reads it. */
export interface Told {
  readonly name: string
  readonly kind: Tracer.SpanKind
  readonly parent: string | undefined
  readonly traceId: string
  readonly attributes: Readonly<Record<string, unknown>>
  /** Whether it ended well, with a failure, or not yet. */
  readonly end: "good" | "bad" | "none"
}

export class Tracing {
  readonly spans: Array<Tracer.Span> = []

  /** What was told so far, in the order of the beginnings. */
  get told(): ReadonlyArray<Told> {
    return this.spans.map((span) => ({
      name: span.name,
      kind: span.kind,
      parent: Option.getOrUndefined(Option.map(span.parent, ({ spanId }) => spanId)),
      traceId: span.traceId,
      attributes: Object.fromEntries(span.attributes),
      end: span.status._tag === "Started" ? "none" : Exit.isSuccess(span.status.exit) ? "good" : "bad"
    }))
  }

  named(name: string): ReadonlyArray<Told> {
    return this.told.filter((span) => span.name === name)
  }

  /** Runs with the tracer. */
  readonly run = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.withTracer(
      effect,
      Tracer.make({
        span: (name, parent, _context, links, startTime, kind) => {
          const span = new KeptSpan(this.spans.length, name, parent, links, startTime, kind)
          this.spans.push(span)
          return span
        },
        context: (run) => run()
      })
    )
}

class KeptSpan implements Tracer.Span {
  readonly _tag = "Span"
  readonly name: string
  readonly spanId: string
  readonly traceId: string
  readonly parent: Option.Option<Tracer.AnySpan>
  readonly context = Context.empty()
  readonly links: ReadonlyArray<Tracer.SpanLink>
  readonly sampled = true
  readonly kind: Tracer.SpanKind
  readonly attributes = new Map<string, unknown>()
  status: Tracer.SpanStatus

  constructor(
    number: number,
    name: string,
    parent: Option.Option<Tracer.AnySpan>,
    links: ReadonlyArray<Tracer.SpanLink>,
    startTime: bigint,
    kind: Tracer.SpanKind
  ) {
    this.name = name
    this.parent = parent
    this.spanId = `a${number}`.padStart(16, "0")
    this.traceId = Option.isSome(parent) ? parent.value.traceId : `b${number}`.padStart(32, "0")
    this.links = links
    this.kind = kind
    this.status = { _tag: "Started", startTime }
  }

  end(endTime: bigint, exit: Exit.Exit<unknown, unknown>): void {
    // A span that ends twice has two owners.
    if (this.status._tag === "Ended") throw new Error(`The span ${this.name} ended twice`)
    this.status = { _tag: "Ended", startTime: this.status.startTime, endTime, exit }
  }

  attribute(key: string, value: unknown): void {
    if (this.status._tag === "Ended") throw new Error(`The span ${this.name} has ended, and is told ${key}`)
    this.attributes.set(key, value)
  }

  event(): void {}

  addLinks(): void {}
}
