/** What a hostile peer may do where it is time, work or memory that counts. */
import type { HandshakeReason } from "@effect-ws/api/HandshakeError"
import type { UpgradeExchange } from "@effect-ws/api/UpgradeExchange"
import type { AcceptOptions } from "@effect-ws/api/AcceptOptions"
import * as WebSocket from "@effect-ws/api/WebSocket"
import * as WebSocketServer from "@effect-ws/api/WebSocketServer"
import * as Extension from "@effect-ws/core/Extension"
import * as HandshakeFault from "@effect-ws/core/HandshakeFault"
import * as HttpHead from "@effect-ws/core/HttpHead"
import * as Refusal from "@effect-ws/core/Refusal"
import * as Subprotocol from "@effect-ws/core/Subprotocol"
import { assert, describe, it, vi } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import { makeListener } from "./support/endpoints.ts"
import * as Frames from "./support/frames.ts"
import { leavesNothing, makePair, settled } from "./support/leaks.ts"
import { Peer, requestBytes } from "./support/Peer.ts"

type Handler = (exchange: UpgradeExchange) => Effect.Effect<unknown, unknown, Scope.Scope>

/** Accepts, and waits for the end. */
const hold: Handler = (exchange) => Effect.flatMap(WebSocket.accept(exchange), (socket) => socket.closed)

/** Serves in memory. What `onError` is told is collected. */
const serve = (handler: Handler, options?: WebSocketServer.Options) =>
  Effect.gen(function* () {
    const listener = makeListener()
    const causes: Array<string> = []
    const server = yield* WebSocketServer.make(listener, options)
    const onError = (cause: Cause.Cause<unknown>) => Effect.sync(() => void causes.push(Cause.pretty(cause)))
    const running = yield* Effect.fork(server.run(handler, { onError }))
    yield* settled
    return { connect: listener.connect, counts: server.counts, causes, stop: Fiber.interrupt(running) }
  })

const textOf = (bytes: Uint8Array): string => Array.from(bytes, (byte) => String.fromCharCode(byte)).join("")

/** All that the peer was sent. */
const sentTo = (peer: Peer): string => (peer.head === undefined ? "" : `${peer.head}\r\n\r\n`) + textOf(peer.rest)

/** How often an element of any typed array that is made meanwhile, or of the chunks, is read, written or copied. */
const elementsTouched = (work: (counted: (bytes: Uint8Array) => Uint8Array) => void): number => {
  let count = 0
  const handler: ProxyHandler<Uint8Array> = {
    get: (bytes, key) => {
      if (typeof key === "string" && /^\d+$/.test(key)) {
        count++
        return bytes[Number(key)]
      }
      const member: unknown = Reflect.get(bytes, key, bytes)
      if (typeof member !== "function") return member
      return (...given: ReadonlyArray<unknown>) => {
        const result: unknown = member.apply(
          bytes,
          given.map((value) => raw.get(value as object) ?? value)
        )
        // A view that is handed on, to `set` or to a decoder, is read to its end.
        if (result instanceof Original) count += result.length
        return result
      }
    },
    set: (bytes, key, value) => {
      count++
      return Reflect.set(bytes, key, value, bytes)
    }
  }
  const Original = Uint8Array
  const raw = new WeakMap<object, Uint8Array>()
  const counted = (bytes: Uint8Array): Uint8Array => {
    const proxy = new Proxy(bytes, handler)
    raw.set(proxy, bytes)
    return proxy
  }
  vi.stubGlobal(
    "Uint8Array",
    new Proxy(Original, { construct: (target, given) => counted(Reflect.construct(target, given) as Uint8Array) })
  )
  try {
    work(counted)
  } finally {
    vi.unstubAllGlobals()
  }
  return count
}

/** A head of about so many bytes. */
const headOf = (size: number): Uint8Array => requestBytes(`X: ${"a".repeat(size)}`)

const readByteByByte = (size: number): number => {
  const head = headOf(size)
  const pieces = Array.from(head, (byte) => Uint8Array.of(byte))
  const decoder = HttpHead.requestDecoder({ maxSize: 10 * size })
  let last: string = ""
  const count = elementsTouched((counted) => {
    for (const piece of pieces) last = decoder.push(counted(piece))._tag
  })
  assert.strictEqual(last, "Decoded")
  return count / head.length
}

/** How many characters are looked at, one by one. */
const characters = (work: () => unknown): number => {
  const looks = [vi.spyOn(String.prototype, "charAt"), vi.spyOn(String.prototype, "charCodeAt")]
  work()
  const count = looks.reduce((sum, look) => sum + look.mock.calls.length, 0)
  for (const look of looks) look.mockRestore()
  return count
}

describe("Attack cases of the opening handshake", () => {
  it("server, case 2: of a head that is too large no more is held than the limit, and nothing once it is refused", () => {
    const decoder = HttpHead.requestDecoder({ maxSize: 1024 })
    const step = decoder.push(headOf(100).subarray(0, 150))
    assert.strictEqual(step._tag, "NeedMore")
    assert.strictEqual(decoder.held, 150)
    const large = new Uint8Array(1024 * 1024).fill(0x61)
    let last = ""
    const touched = elementsTouched((counted) => {
      last = decoder.push(counted(large))._tag
    })
    assert.strictEqual(last, "HeadTooLarge")
    // What is beyond the limit is not even looked at.
    assert.isBelow(touched, 10 * 1024)
    assert.strictEqual(decoder.held, 0)
    assert.strictEqual(decoder.push(headOf(1))._tag, "HeadTooLarge")
    assert.strictEqual(decoder.held, 0)
  })

  it("server, case 3: a head that comes byte by byte costs the same for each byte, however many there are", () => {
    const [few, many, most] = [1000, 4000, 16_000].map(readByteByByte)
    assert.isAbove(few!, 1)
    // A parser that began again for each byte would need as many steps for a byte as there are bytes before it.
    assert.isBelow(few!, 10)
    assert.closeTo(many!, few!, 1.5)
    assert.closeTo(most!, few!, 1.5)
  })

  it.effect(
    "server, case 4: a head that drips is answered with 408 at the deadline, and takes a place until then",
    () =>
      leavesNothing(
        Effect.gen(function* () {
          const { connect, counts, stop } = yield* serve(hold, { maxHandshakes: 1 })
          const { peer } = yield* connect()
          const head = requestBytes()
          for (let second = 0; second < 9; second++) {
            peer.send(head.slice(second, second + 1))
            yield* TestClock.adjust("1 second")
          }
          assert.isUndefined(peer.head)
          const other = yield* connect()
          other.peer.sendRequest()
          assert.match(yield* other.peer.awaitHead, /^HTTP\/1\.1 503 /)
          assert.deepInclude(yield* counts, { handshakes: 1, connections: 1, refused: { maxHandshakes: 1 } })
          yield* TestClock.adjust("1 second")
          assert.match(yield* peer.awaitHead, /^HTTP\/1\.1 408 /)
          yield* peer.awaitClosed
          assert.deepInclude(yield* counts, { handshakes: 0, refused: { maxHandshakes: 1, Timeout: 1 } })
          const third = yield* connect()
          third.peer.sendRequest()
          assert.match(yield* third.peer.awaitHead, /^HTTP\/1\.1 101 /)
          yield* stop
        })
      )
  )

  const offers: ReadonlyArray<[case_: number, what: string, value: (size: number) => string]> = [
    [5, "blanks", (size) => `a${" ".repeat(size)}b`],
    [5, "commas", (size) => ",".repeat(size)],
    [5, "commas and blanks", (size) => ", \t".repeat(size / 3)],
    [5, "quotes", (size) => `a; b=${'"'.repeat(size)}`],
    [5, "semicolons", (size) => `a${"; b".repeat(size / 3)}`],
    [5, "equals signs", (size) => `a; b${"=".repeat(size)}`],
    [7, "a quote that doesn't close", (size) => `a; b="${"c".repeat(size)}`],
    [7, "escapes in a quote that doesn't close", (size) => `a; b="${'\\"'.repeat(size / 2)}`],
    [7, "many quotes that close, and one that doesn't", (size) => `${'a; b="c", '.repeat(size / 10)}a; b="`]
  ]
  for (const [number, what, value] of offers) {
    it(`server, case ${number}: ${what} in the offers are read in linear time, and never make it throw`, () => {
      const read = (size: number): number => {
        const text = value(size)
        return characters(() => {
          Subprotocol.parseOffers([["Sec-WebSocket-Protocol", text]])
          Extension.parse([["Sec-WebSocket-Extensions", text]])
        })
      }
      const few = read(3000)
      assert.isAbove(few, 0)
      // Of two readers, neither looks at a character more than a few times.
      assert.isAtMost(few, 3000 * 14)
      assert.isAtMost(read(30_000), 10.5 * few)
    })
  }

  it.effect(
    "server, case 14: what comes behind the head is held up to a bound while the handler decides, and is not lost",
    () =>
      leavesNothing(
        Effect.gen(function* () {
          const pair = yield* makePair({ readSize: 4096 })
          const peer = new Peer(pair.client, "client")
          const decide = yield* Effect.makeLatch()
          const accepting = yield* Effect.fork(
            WebSocket.acceptTransport(pair.server, {
              subprotocols: () => Effect.as(decide.await, undefined)
            })
          )
          peer.sendRequest()
          const messages = Array.from({ length: 256 }, (_, i) => new Uint8Array(4096).fill(i))
          for (const message of messages) peer.send(peer.binary(message))
          yield* settled
          yield* settled
          assert.isTrue(pair.server.ledger.isPaused)
          assert.isBelow(pair.server.ledger.bytesDelivered, 32 * 1024)
          yield* decide.open
          const socket = yield* Fiber.join(accepting)
          for (const expected of messages) {
            const message = yield* socket.receive
            assert.strictEqual(message.byteLength, 4096)
            assert.strictEqual(message.bytes[4095], expected[4095])
          }
          peer.end()
        })
      )
  )

  const failing: ReadonlyArray<[what: string, handler: Handler, status: number, told: RegExp | undefined]> = [
    [
      "throws",
      () => {
        throw new Error("thrown")
      },
      500,
      /thrown/
    ],
    ["dies", () => Effect.die(new Error("died")), 500, /died/],
    ["fails", () => Effect.fail("failed"), 500, /failed/],
    ["ends without an answer", () => Effect.void, 500, /without an answer/],
    ["interrupts itself", () => Effect.interrupt, 503, undefined],
    ["rejects with what can't be written", () => WebSocket.reject({ status: 101 }), 500, /status/],
    ["never ends", () => Effect.never, 503, undefined]
  ]
  for (const [what, handler, status, told] of failing) {
    it.effect(`server, case 16: a handler that ${what} costs its peer a ${status}, and nobody else anything`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const { causes, connect, counts, stop } = yield* serve((exchange) =>
            exchange.request.fields.some(([name]) => name === "X-Bad") ? handler(exchange) : hold(exchange)
          )
          const good = yield* connect()
          good.peer.sendRequest()
          yield* good.peer.awaitHead
          const { peer } = yield* connect()
          peer.sendRequest("X-Bad: 1", "Connection: close")
          yield* TestClock.adjust("10 seconds")
          assert.match(yield* peer.awaitHead, new RegExp(`^HTTP/1\\.1 ${status} `))
          assert.notMatch(sentTo(peer), /thrown|died|failed|effect\//i)
          yield* peer.awaitClosed
          assert.strictEqual(causes.length, told === undefined ? 0 : 1)
          if (told !== undefined) assert.match(causes[0]!, told)
          assert.deepInclude(yield* counts, { handshakes: 0, connections: 1, accepted: 1 })
          assert.isFalse(good.peer.isClosed)
          yield* stop
        })
      )
    )
  }

  const unwritable: ReadonlyArray<[what: string, tag: HandshakeReason["_tag"], options: AcceptOptions]> = [
    ["a CR and LF in a field", "InvalidFieldValue", { headers: { "X-A": "a\r\nX-B: b" } }],
    ["a LF in a field", "InvalidFieldValue", { headers: { "X-A": "a\nX-B: b" } }],
    ["a NUL in a field", "InvalidFieldValue", { headers: { "X-A": "a\0" } }],
    ["a name that is no token", "InvalidFieldName", { headers: { "X-A: a\r\nX-B": "b" } }],
    ["a field of the upgrade", "ReservedField", { headers: { "Sec-WebSocket-Accept": "x" } }],
    [
      "a field of the upgrade, by a decorator",
      "ReservedField",
      { decorate: (response) => (response.status === 101 ? { ...response, headers: [] } : response) }
    ],
    [
      "a CR and LF, by a decorator",
      "InvalidFieldValue",
      {
        decorate: (response) =>
          response.status === 101 ? { ...response, headers: [...response.headers, ["X-A", "\r\nX-B: b"]] } : response
      }
    ],
    ["a subprotocol with CR and LF", "SubprotocolNotOffered", { subprotocols: () => Effect.succeed("a\r\nX-B: b") }],
    ["a subprotocol that is no token", "SubprotocolNotOffered", { subprotocols: () => Effect.succeed("a b") }]
  ]
  for (const [what, tag, options] of unwritable) {
    it.effect(`server, case 17: ${what} is a typed error, and nothing of it is written`, () =>
      leavesNothing(
        Effect.gen(function* () {
          const pair = yield* makePair()
          const peer = new Peer(pair.client, "client")
          peer.sendRequest("Sec-WebSocket-Protocol: a", "Connection: close")
          const error = yield* Effect.flip(WebSocket.acceptTransport(pair.server, options))
          assert.strictEqual(error.reason._tag, tag)
          yield* peer.awaitEnd
          assert.match(sentTo(peer), /^HTTP\/1\.1 500 /)
          assert.notMatch(sentTo(peer), /X-A|X-B|101/)
        })
      )
    )
  }

  // It is in every answer, so there is none that could be written with it: a mistake of the program.
  it.effect("server, case 17: a CR and LF in its own name is a defect, and nothing of it is written", () =>
    leavesNothing(
      Effect.gen(function* () {
        const pair = yield* makePair()
        const peer = new Peer(pair.client, "client")
        peer.sendRequest("Connection: close")
        const exit = yield* Effect.exit(WebSocket.acceptTransport(pair.server, { server: "a\r\nX-B: b" }))
        assert(Exit.isFailure(exit) && Cause.isDie(exit.cause), String(exit))
        assert.match(Cause.pretty(exit.cause), /Server.* has a character no field may have/)
        yield* peer.awaitEnd
        assert.match(sentTo(peer), /^HTTP\/1\.1 500 /)
        assert.notMatch(sentTo(peer), /X-B|101/)
      })
    )
  )

  it("server, case 17: a reason phrase with CR and LF can't be written", () => {
    for (const reasonPhrase of ["OK\r\nX-B: b", "OK\n", "a\0b"]) {
      const encoded = Refusal.encode({
        _tag: "Refusal",
        status: 403,
        reasonPhrase,
        fields: [],
        body: new Uint8Array(0)
      })
      assert(HandshakeFault.is(encoded))
      assert.deepInclude(encoded, { _tag: "InvalidStartLine", part: "reason phrase" })
    }
  })

  it.effect("server, case 17: a refusal that can't be written is a 500 without anything of it", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { connect, stop } = yield* serve(() =>
          WebSocket.reject({ headers: { "X-A": "a\r\nX-B: b" }, body: "secret" })
        )
        const { peer } = yield* connect()
        peer.sendRequest("Connection: close")
        yield* peer.awaitEnd
        assert.match(sentTo(peer), /^HTTP\/1\.1 500 /)
        assert.notMatch(sentTo(peer), /X-A|X-B|secret/)
        yield* stop
      })
    )
  )

  it.effect("server, case 18: a choice that was not offered is a typed error, a 500, and never sent", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { causes, connect, stop } = yield* serve((exchange) =>
          WebSocket.accept(exchange, { subprotocols: () => Effect.succeed("chosen") })
        )
        for (const fields of [[], ["Sec-WebSocket-Protocol: other, CHOSEN"]]) {
          const { peer } = yield* connect()
          peer.sendRequest(...fields, "Connection: close")
          yield* peer.awaitEnd
          assert.match(sentTo(peer), /^HTTP\/1\.1 500 /)
          assert.notInclude(sentTo(peer), "chosen")
        }
        assert.strictEqual(causes.length, 2)
        for (const cause of causes) assert.match(cause, /subprotocol .*was not offered/)
        yield* stop
      })
    )
  )

  it.effect("server, case 20: nothing of HTTP follows a 101, whatever the handler does then", () =>
    leavesNothing(
      Effect.gen(function* () {
        const again: Array<Exit.Exit<unknown, unknown>> = []
        const { causes, connect, stop } = yield* serve((exchange) =>
          Effect.gen(function* () {
            yield* WebSocket.accept(exchange)
            again.push(yield* Effect.exit(Effect.scoped(WebSocket.accept(exchange))))
            return yield* WebSocket.reject({ status: 401, body: "who are you?" })
          })
        )
        const { peer } = yield* connect()
        peer.sendRequest()
        yield* peer.awaitClosed
        assert.match(peer.head!, /^HTTP\/1\.1 101 /)
        // The failure of the handler is told by a Close frame with 1011.
        assert.deepStrictEqual(peer.said, ["close 1011"])
        assert.strictEqual(peer.rest.length, 0)
        const [second] = again
        assert(second !== undefined && Exit.isFailure(second) && Cause.isDie(second.cause))
        assert.match(Cause.pretty(second.cause), /accept it once/)
        yield* settled
        assert.strictEqual(causes.length, 1)
        yield* stop
      })
    )
  )

  it.effect("server, case 20: a transport that carries a connection takes no other opening handshake", () =>
    leavesNothing(
      Effect.gen(function* () {
        const pair = yield* makePair()
        const peer = new Peer(pair.client, "client")
        peer.sendRequest()
        const socket = yield* WebSocket.acceptTransport(pair.server)
        const error = yield* Effect.flip(WebSocket.acceptTransport(pair.server))
        assert.deepInclude(error, { reusable: false, answer: undefined })
        assert.deepInclude(error.reason, { _tag: "NotReusable" })
        yield* socket.send("it lives")
        assert.deepStrictEqual(yield* peer.awaitFrames(1), ["text it lives"])
        assert.strictEqual(peer.rest.length, 0)
        peer.end()
      })
    )
  )

  it.effect(
    "server, case 22: a connection for which there is no place gets no fiber, no reading and no more than a second",
    () =>
      leavesNothing(
        Effect.gen(function* () {
          const { connect, counts, stop } = yield* serve(hold, { maxConnections: 1 })
          const { peer } = yield* connect()
          peer.sendRequest()
          yield* peer.awaitHead
          yield* settled
          const before = yield* Fiber.roots
          const crowd = yield* Effect.replicateEffect(connect({ polite: false }), 100)
          for (const { peer } of crowd) assert.match(yield* peer.awaitHead, /^HTTP\/1\.1 503 /)
          // One fiber keeps the deadlines of all.
          assert.isAtMost(Array.from(yield* Fiber.roots).length, Array.from(before).length + 1)
          for (const { pair } of crowd) assert.strictEqual(pair.server.ledger.bytesDelivered, 0)
          assert.deepInclude(yield* counts, { connections: 1, handshakes: 0, refused: { maxConnections: 100 } })
          // They stay, but not for long; one that sends more than a head does goes at once.
          const [flooding, ...waiting] = crowd
          flooding!.peer.send(Frames.concat(Array.from({ length: 17 }, () => new Uint8Array(1024))))
          yield* settled
          assert.isFalse(flooding!.pair.server.ledger.isOpen)
          assert.isTrue(waiting.every(({ pair }) => pair.server.ledger.isOpen))
          yield* TestClock.adjust("1 second")
          yield* settled
          assert.isFalse(waiting.some(({ pair }) => pair.server.ledger.isOpen))
          for (const { peer } of crowd) peer.destroy()
          yield* stop
        })
      )
  )
})
