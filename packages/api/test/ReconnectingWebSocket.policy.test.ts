/** After which errors a client comes back, and when. */
import { ConnectionClosed } from "@effect-ws/api/ConnectionClosed"
import { ConnectionTimeout } from "@effect-ws/api/ConnectionTimeout"
import { HandshakeError, type HandshakeReason } from "@effect-ws/api/HandshakeError"
import { MessageTooBig } from "@effect-ws/api/MessageTooBig"
import { ProtocolError } from "@effect-ws/api/ProtocolError"
import * as ReconnectingWebSocket from "@effect-ws/api/ReconnectingWebSocket"
import * as HandshakeFault from "@effect-ws/core/HandshakeFault"
import * as ProtocolFault from "@effect-ws/core/ProtocolFault"
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as ScheduleDecision from "effect/ScheduleDecision"
import * as ScheduleIntervals from "effect/ScheduleIntervals"
import { nobody } from "./support/reconnecting.ts"

describe("ReconnectingWebSocket.isTransient", () => {
  const handshake = (reason: HandshakeReason) =>
    new HandshakeError({ role: "client", reason, answer: undefined, reusable: false })
  const declined = (status: number) =>
    handshake({ _tag: "Declined", status, headers: [], body: new Uint8Array(0), isComplete: true })
  const closed = (initiator: "local" | "peer", code?: number) =>
    new ConnectionClosed({
      received: code === undefined ? undefined : { code, reason: "" },
      sent: undefined,
      initiator,
      discarded: 0
    })
  const duration = Duration.seconds(1)

  const transient: ReadonlyArray<readonly [string, unknown]> = [
    ["a transport that failed", nobody],
    ["nobody there", handshake({ _tag: "Transport", error: nobody })],
    ["a handshake that timed out", handshake({ _tag: "Timeout", phase: "head", duration })],
    ["a server that went during the handshake", handshake({ _tag: "PeerGone" })],
    ...[408, 425, 429, 500, 502, 503, 504].map((status) => [`status ${status}`, declined(status)] as const),
    ["a timeout", new ConnectionTimeout({ phase: "idle", duration })],
    ["a peer that broke the protocol", new ProtocolError({ reason: ProtocolFault.maskedFrame() })],
    ["a connection that was lost", closed("peer")],
    ["a connection that we destroyed", closed("local")],
    ["a connection that we closed", closed("local", 1000)],
    ["a peer that goes away", closed("peer", 1001)],
    ["a peer that closes for its own reasons", closed("peer", 4999)],
    ["an error of the program", new Error("no token")]
  ]
  for (const [what, error] of transient) {
    it(`client tries again after ${what}`, () => assert.isTrue(ReconnectingWebSocket.isTransient(error)))
  }

  const final: ReadonlyArray<readonly [string, unknown]> = [
    ...[200, 302, 400, 401, 403, 404, 410, 426, 501, 505].map(
      (status) => [`status ${status}`, declined(status)] as const
    ),
    ["a URL that is none", handshake({ _tag: "InvalidUrl", detail: "" })],
    ["a redirect elsewhere", handshake({ _tag: "RedirectRefused", status: 302, problem: "TooMany" })],
    ["an answer that is wrong", handshake(HandshakeFault.make("Status", { status: 100 }))],
    ["a message that is too large for us", new MessageTooBig({ limit: 1, size: 2 })],
    ["a peer that is done", closed("peer", 1000)],
    ["a peer that doesn't know who we are", closed("peer", 3000)],
    ["a peer that doesn't want us", closed("peer", 3003)]
  ]
  for (const [what, error] of final) {
    it(`client doesn't try again after ${what}`, () => assert.isFalse(ReconnectingWebSocket.isTransient(error)))
  }
})

describe("ReconnectingWebSocket.defaultSchedule", () => {
  it.effect("client waits twice as long each time, up to 30 seconds, less up to half, for ever", () =>
    Effect.gen(function* () {
      const schedule = ReconnectingWebSocket.defaultSchedule
      let state: unknown = schedule.initial
      let now = 0
      const shares = new Set<number>()
      for (let n = 0; n < 2000; n++) {
        const [next, , decision] = yield* schedule.step(now, undefined, state)
        assert.isTrue(ScheduleDecision.isContinue(decision), `attempt ${n}`)
        const start = ScheduleDecision.isContinue(decision) ? ScheduleIntervals.start(decision.intervals) : 0
        const share = (start - now) / Math.min(250 * 2 ** n, 30_000)
        assert.isTrue(share >= 0.49 && share <= 1, `${start - now} ms after attempt ${n}`)
        shares.add(share)
        state = next
        now = start
      }
      assert.isAbove(shares.size, 100)
    })
  )
})
