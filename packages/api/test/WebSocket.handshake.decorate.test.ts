/** A last look of a program at the request before it is sent (RFC 6455 4.1: fields may be added, those of the upgrade stay). */
import type { RequestDecorator } from "@effect-ws/api/Decorator"
import * as WebSocketClient from "@effect-ws/api/WebSocketClient"
import * as HandshakeFault from "@effect-ws/core/HandshakeFault"
import * as Headers from "@effect-ws/core/Headers"
import type { UpgradeRequest } from "@effect-ws/core/UpgradeRequest"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import {
  accepted,
  acceptedFor,
  accepts,
  answer,
  bytesOf,
  countingUp,
  describeError,
  failedFor,
  handshake,
  host,
  keys,
  lines,
  makeServer,
  type Options,
  requestHead,
  Script
} from "./support/answering.ts"
import { makeConnector } from "./support/endpoints.ts"
import { leavesNothing, makePair } from "./support/leaks.ts"

const fault = HandshakeFault.make

/** The request that is sent for the options, and what the connection says that it was. */
const sent = (options: Options) =>
  leavesNothing(
    Effect.gen(function* () {
      const { pair, peer } = yield* makeServer()
      const opening = yield* Effect.fork(handshake(pair.client, options))
      yield* answer(peer, [bytesOf(accepted())])
      const { request } = yield* Fiber.join(opening)
      assert.strictEqual(pair.client.ledger.bytesWritten, peer.head!.length + 4)
      return { head: peer.head!, request }
    })
  )

describe("RFC 6455 4.1: a client that decorates", () => {
  it.effect("client sends the fields that the decorator returns, in its order", () =>
    Effect.gen(function* () {
      const options: Options = {
        origin: "https://a.example",
        headers: [
          ["Cookie", "a=b"],
          ["X-Old", "1"]
        ],
        decorate: ({ fields }) => [
          ["User-Agent", "my-program"],
          ...fields.filter(([name]) => name !== "X-Old" && name !== "Origin"),
          ["Cookie", "c=d"],
          ["Origin", "https://b.example"]
        ]
      }
      const { head, request } = yield* sent(options)
      const [line, ...upgrade] = requestHead(keys[0]).split("\r\n")
      const expected = [
        line,
        "User-Agent: my-program",
        ...upgrade,
        "Cookie: a=b",
        "Cookie: c=d",
        "Origin: https://b.example"
      ]
      assert.strictEqual(head, expected.join("\r\n"))
      assert.strictEqual(request.origin, "https://b.example")
      assert.strictEqual(request.fields.length, expected.length - 1)
    })
  )

  it.effect("client shows the decorator the whole request with its key, once for each attempt", () =>
    leavesNothing(
      Effect.gen(function* () {
        const seen: Array<UpgradeRequest> = []
        const decorate: RequestDecorator = (request) => {
          seen.push(request)
          return Headers.set(request.fields, "X-Signature", `${request.host}${request.target} ${request.key}`)
        }
        const pair = yield* makePair()
        const script = new Script(pair.server, [
          lines("HTTP/1.1 401 x", "Content-Length: 0", ""),
          acceptedFor(accepts[1], "Sec-WebSocket-Protocol: a")
        ])
        const entropy = countingUp()
        const options = { target: "/chat?x=1", subprotocols: ["a"], decorate }
        yield* Effect.flip(handshake(pair.client, options, entropy))
        yield* handshake(pair.client, options, entropy)
        assert.deepStrictEqual(
          seen.map(({ key, subprotocols, target }) => ({ key, subprotocols, target })),
          [keys[0], keys[1]].map((key) => ({ key, subprotocols: ["a"], target: "/chat?x=1" }))
        )
        assert.deepStrictEqual(
          script.heads.map((head) => head.split("\r\n").at(-1)),
          [keys[0], keys[1]].map((key) => `X-Signature: ${host}/chat?x=1 ${key}`)
        )
      })
    )
  )

  it.effect("client decorates what connect asks with, by the options of the service too", () =>
    leavesNothing(
      Effect.gen(function* () {
        const memory = makeConnector()
        const decorate: RequestDecorator = ({ fields }) => Headers.set(fields, "User-Agent", "my-program")
        yield* WebSocketClient.make(memory.connector, { decorate }).connect(`ws://${host}/`)
        assert.strictEqual(memory.peers[0]!.field("User-Agent"), "my-program")
      })
    )
  )

  const without =
    (name: string): RequestDecorator =>
    ({ fields }) =>
      Headers.remove(fields, name)
  const withField =
    (name: string, value: string): RequestDecorator =>
    ({ fields }) =>
      Headers.append(fields, name, value)
  const replaced =
    (name: string, value: string): RequestDecorator =>
    ({ fields }) =>
      Headers.set(fields, name, value)

  const own = ["Host", "Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version", "Sec-WebSocket-Protocol"]
  const added = ["Content-Length", "Transfer-Encoding", "Sec-WebSocket-Extensions", "Sec-WebSocket-Anything"]

  const refused: ReadonlyArray<readonly [string, RequestDecorator, HandshakeFault.HandshakeFault]> = [
    ...own.flatMap((field): typeof refused => [
      [`removes ${field}`, without(field), fault("ReservedField", { field })],
      [`replaces ${field}`, replaced(field, "x"), fault("ReservedField", { field })],
      [`sends another ${field}`, withField(field, "x"), fault("ReservedField", { field })],
      [`sends another ${field} in lower case`, withField(field.toLowerCase(), "x"), fault("ReservedField", { field })]
    ]),
    ...added.map((field): (typeof refused)[number] => [
      `adds ${field}`,
      withField(field, "0"),
      fault("ReservedField", { field })
    ]),
    ["removes everything", () => [], fault("ReservedField", { field: "Host" })],
    ["sends a line end", withField("X-A", "a\r\nHost: b"), fault("InvalidFieldValue", { field: "X-A" })],
    ["sends a CR", withField("X-A", "a\rb"), fault("InvalidFieldValue", { field: "X-A" })],
    ["sends an LF", withField("X-A", "a\nb"), fault("InvalidFieldValue", { field: "X-A" })],
    ["sends what is no byte", withField("X-A", "\u0100"), fault("InvalidFieldValue", { field: "X-A" })],
    ["sends a line end in a name", withField("X-A: b\r\nX", "a"), fault("InvalidFieldName", { field: "X-A: b\r\nX" })],
    ["sends a second Origin", withField("Origin", "https://b.example"), fault("RepeatedField", { field: "Origin" })]
  ]

  for (const [name, decorate, reason] of refused) {
    it.effect(`client writes nothing when its decorator ${name}, and destroys the transport`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const { pair, peer } = yield* makeServer()
          const options = { subprotocols: ["a"], origin: "https://a.example", decorate }
          const error = yield* Effect.flip(handshake(pair.client, options))
          assert.deepStrictEqual(describeError(error), failedFor(reason))
          assert.strictEqual(pair.client.ledger.bytesWritten, 0)
          assert.isFalse(pair.client.ledger.isOpen)
          yield* peer.awaitClosed
        })
      )
    )
  }

  it.effect("client dies of a decorator that throws, writes nothing, and destroys the transport", () =>
    Effect.gen(function* () {
      const mistake = new Error("not this one")
      const decorate: RequestDecorator = () => {
        throw mistake
      }
      for (const isResting of [false, true]) {
        yield* leavesNothing(
          Effect.gen(function* () {
            const pair = yield* makePair()
            const script = new Script(pair.server, [lines("HTTP/1.1 401 x", "Content-Length: 0", "")])
            if (isResting) assert.isTrue((yield* Effect.flip(handshake(pair.client))).reusable)
            const { bytesWritten } = pair.client.ledger
            const exit = yield* Effect.exit(handshake(pair.client, { decorate }))
            assert(Exit.isFailure(exit))
            assert.deepStrictEqual(exit.cause, Cause.die(mistake))
            assert.strictEqual(pair.client.ledger.bytesWritten, bytesWritten)
            assert.isFalse(pair.client.ledger.isOpen)
            assert.strictEqual(script.heads.length, isResting ? 1 : 0)
          })
        )
      }
    })
  )

  it.effect("client lets no transport go when a decorator of connect throws", () =>
    leavesNothing(
      Effect.gen(function* () {
        const memory = makeConnector()
        const decorate: RequestDecorator = () => {
          throw new Error("not this one")
        }
        const connecting = WebSocketClient.make(memory.connector).connect(`ws://${host}/`, { decorate })
        const exit = yield* Effect.exit(connecting)
        assert.isTrue(Exit.isFailure(exit) && Cause.isDie(exit.cause))
        assert.strictEqual(memory.released, 1)
        yield* memory.peers[0]!.awaitClosed
        assert.isUndefined(memory.peers[0]!.head)
      })
    )
  )
})
