/** The limits of a head count for one that somebody else has read, too. */
import type { Read } from "@effect-ws/api/AcceptTransportOptions"
import type { AcceptOptions } from "@effect-ws/api/AcceptOptions"
import * as WebSocket from "@effect-ws/api/WebSocket"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { close, headOf, makeLine, server } from "./support/accepting.ts"
import { leavesNothing, settled } from "./support/leaks.ts"
import { accepted, refused, request } from "./support/serving.ts"

const read = request({ "X-Note": "hello" })
const { length: fields } = headOf(read).fields

const take = (limits: AcceptOptions, given: Read = { request: headOf(read) }) =>
  Effect.scoped(
    Effect.gen(function* () {
      const line = yield* makeLine()
      const error = yield* WebSocket.acceptTransport(line.pair.server, { ...limits, ...given }).pipe(
        Effect.match({ onSuccess: () => undefined, onFailure: (error) => error })
      )
      yield* settled
      const { text } = line
      line.wire.destroy()
      return { error, text }
    })
  )

describe("WebSocket.acceptTransport: the limits of a head that was read before", () => {
  it.effect("server takes a head that is just within its limits", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { error, text } = yield* take({ maxHeadFields: fields, maxHeadSize: read.length })
        assert.isUndefined(error)
        assert.strictEqual(text, accepted(server))
      })
    )
  )

  it.effect("server refuses a head with more fields, and closes", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { error, text } = yield* take({ maxHeadFields: fields - 1 })
        assert.deepInclude(error, { reusable: false, role: "server" })
        assert.deepInclude(error?.reason, { _tag: "TooManyFields", limit: fields - 1 })
        const says = `the head has more fields than the limit of ${fields - 1} (RFC 6585 5)`
        assert.strictEqual(text, refused("431 Request Header Fields Too Large", says, close))
      })
    )
  )

  it.effect("server refuses a head of more bytes, counted as whoever reads it from the transport counts them", () =>
    leavesNothing(
      Effect.gen(function* () {
        const limit = read.length - 1
        const says = `the head is larger than the limit of ${limit} bytes (RFC 6585 5)`
        for (const given of [{ request: headOf(read) }, { bytes: new TextEncoder().encode(read) }]) {
          const { error, text } = yield* take({ maxHeadSize: limit }, given)
          assert.deepInclude(error?.reason, { _tag: "HeadTooLarge", limit })
          assert.strictEqual(text, refused("431 Request Header Fields Too Large", says, close))
        }
      })
    )
  )
})
