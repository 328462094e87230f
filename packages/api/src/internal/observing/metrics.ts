/**
 * The meters of all connections, one for each role: plain calls of what holds the metric, that was looked up before.
 */
import type { CloseReason } from "@effect-ws/core/CloseReason"
import * as CloseCode from "@effect-ws/core/CloseCode"
import type { Role } from "@effect-ws/core/Role"
import * as Metric from "effect/Metric"
import * as MetricKey from "effect/MetricKey"
import * as MetricLabel from "effect/MetricLabel"
import type { Direction } from "../../WebSocketMetrics.ts"

export class Meter {
  readonly connections: Metric.Metric.Gauge<number>
  readonly messages: Both
  readonly bytes: Both
  readonly pauses: Metric.Metric.Counter<number>

  private readonly role: Role
  private readonly known = new Map<string, Metric.Metric.Counter<number>>()

  constructor(role: Role) {
    this.role = role
    this.connections = gauge("websocket_connections", descriptions.connections, { role })
    this.messages = both("websocket_messages", descriptions.messages, role)
    this.bytes = both("websocket_bytes", descriptions.bytes, role)
    this.pauses = counter("websocket_pauses", descriptions.pauses, { role })
  }

  handshakes(outcome: string): Metric.Metric.Counter<number> {
    return this.find(outcome, () => {
      return counter("websocket_handshakes", descriptions.handshakes, { role: this.role, outcome })
    })
  }

  closes(direction: Direction, code: number | string): Metric.Metric.Counter<number> {
    return this.find(`${direction} ${code}`, () => {
      return counter("websocket_closes", descriptions.closes, { role: this.role, direction, code: String(code) })
    })
  }

  // --- what is counted ------------------------------------------------------------------------------------------------

  /** An opening handshake has come to its end. */
  decided(outcome: string): void {
    this.handshakes(outcome).unsafeUpdate(1, noTags)
  }

  opened(): void {
    this.connections.unsafeModify(1, noTags)
  }

  ended(received: CloseReason | undefined, sent: CloseReason | undefined): void {
    this.connections.unsafeModify(-1, noTags)
    this.closes("received", classOf(codeOf(received))).unsafeUpdate(1, noTags)
    this.closes("sent", codeOf(sent)).unsafeUpdate(1, noTags)
  }

  paused(): void {
    this.pauses.unsafeUpdate(1, noTags)
  }

  received(messages: number, bytes: number): void {
    if (messages > 0) this.messages.received.unsafeUpdate(messages, noTags)
    this.bytes.received.unsafeUpdate(bytes, noTags)
  }

  sent(messages: number, bytes: number): void {
    if (messages > 0) this.messages.sent.unsafeUpdate(messages, noTags)
    this.bytes.sent.unsafeUpdate(bytes, noTags)
  }

  private find(name: string, make: () => Metric.Metric.Counter<number>): Metric.Metric.Counter<number> {
    const known = this.known.get(name)
    if (known !== undefined) return known
    const made = make()
    this.known.set(name, made)
    return made
  }
}

type Both = { readonly [D in Direction]: Metric.Metric.Counter<number> }

type Tags = Readonly<Record<string, string>>

const descriptions = {
  connections: "WebSocket connections that are open",
  handshakes: "opening handshakes of WebSockets, by what became of them",
  messages: "messages of WebSockets",
  bytes: "bytes of WebSockets on the wire, behind the opening handshake",
  closes: "WebSocket connections that have ended, by close code",
  pauses: "pauses of reading because too much waited to be received"
}

// The tags belong to the key: given with each update they would be looked up each time.
const tagged = (tags: Tags) => MetricKey.taggedWithLabels(Object.entries(tags).map(([k, v]) => MetricLabel.make(k, v)))

const counter = (name: string, description: string, tags: Tags): Metric.Metric.Counter<number> =>
  Metric.fromMetricKey(tagged(tags)(MetricKey.counter(name, { description, incremental: true })))

const gauge = (name: string, description: string, tags: Tags): Metric.Metric.Gauge<number> =>
  Metric.fromMetricKey(tagged(tags)(MetricKey.gauge(name, { description })))

const both = (name: string, description: string, role: Role): Both => ({
  received: counter(name, description, { role, direction: "received" }),
  sent: counter(name, description, { role, direction: "sent" })
})

const codeOf = (reason: CloseReason | undefined): number =>
  reason === undefined ? CloseCode.AbnormalClosure : reason.code

const classOf = (code: number): number | string => (code < 3000 ? code : code < 4000 ? "3xxx" : "4xxx")

const noTags: ReadonlyArray<MetricLabel.MetricLabel> = []

export const meters: { readonly [R in Role]: Meter } = { server: new Meter("server"), client: new Meter("client") }
