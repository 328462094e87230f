/**
 * The counters and gauges of this process in the text format of Prometheus.
 */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type * as MetricPair from "effect/MetricPair"
import * as MetricState from "effect/MetricState"
import * as Option from "effect/Option"

/** What the page says of itself. */
export const headers = { "Content-Type": "text/plain; version=0.0.4; charset=utf-8" }

/** The page, as it is at this moment. */
export const text: Effect.Effect<string> = Effect.map(Metric.snapshot, (pairs) => {
  const shown = pairs.filter(({ metricState }) => valueOf(metricState) !== undefined)
  const families = Arr.groupBy(shown, ({ metricKey }) => metricKey.name)
  return Object.entries(families)
    .map(([name, members]) => familyOf(name, members))
    .join("")
})

const familyOf = (name: string, members: Arr.NonEmptyReadonlyArray<MetricPair.MetricPair.Untyped>): string => {
  const { metricKey, metricState } = members[0]
  const help = Option.match(metricKey.description, { onNone: () => [], onSome: (text) => [`# HELP ${name} ${text}`] })
  const type = `# TYPE ${name} ${MetricState.isGaugeState(metricState) ? "gauge" : "counter"}`
  return [...help, type, ...members.map(lineOf)].map((line) => `${line}\n`).join("")
}

const lineOf = ({ metricKey, metricState }: MetricPair.MetricPair.Untyped): string => {
  const labels = metricKey.tags.map(({ key, value }) => `${key}=${JSON.stringify(value)}`)
  return `${metricKey.name}${labels.length === 0 ? "" : `{${labels.join(",")}}`} ${valueOf(metricState)}`
}

const valueOf = (state: MetricState.MetricState.Untyped): number | bigint | undefined => {
  if (MetricState.isCounterState(state)) return state.count
  return MetricState.isGaugeState(state) ? state.value : undefined
}
