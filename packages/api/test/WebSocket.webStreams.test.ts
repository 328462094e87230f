/** A connection as the streams of the WHATWG. */
import * as WebSocket from "@effect-ws/api/WebSocket"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { open, roles } from "./support/connections.ts"
import { leavesNothing, makePair, settled } from "./support/leaks.ts"
import { messageCost, receive } from "./support/receiving.ts"

/** Runs a scenario, and looks for what it left behind. */
const scoped = (title: string, scenario: () => Effect.Effect<void, unknown, Scope.Scope>) =>
  it.effect(title, () => leavesNothing(scenario()))

/** Waits for what a promise becomes; what it rejects with is an error of ours, or the test's to look at. */
const settle = <A>(promise: Promise<A>) => Effect.tryPromise({ try: () => promise, catch: (error) => error })

const readerOf = (socket: WebSocket.WebSocket) =>
  Effect.map(WebSocket.toReadableStream(socket), (stream) => stream.getReader())

const writerOf = (socket: WebSocket.WebSocket) =>
  Effect.map(WebSocket.toWritableStream(socket), (stream) => stream.getWriter())

describe.each(roles)("WebSocket of a %s: toReadableStream", (role) => {
  scoped(`${role} gives text as strings and binary as bytes, and ends when the peer closes cleanly`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const reader = yield* readerOf(socket)
      const first = reader.read()
      yield* settled
      peer.send(peer.text("héllo"), peer.binary(Uint8Array.of(1)), peer.text(""), peer.close(1001))
      assert.deepStrictEqual(yield* settle(first), { done: false, value: "héllo" })
      const { value } = yield* settle(reader.read())
      assert.deepStrictEqual([...(value as Uint8Array)], [1])
      assert.deepStrictEqual(yield* settle(reader.read()), { done: false, value: "" })
      assert.deepStrictEqual(yield* settle(reader.read()), { done: true, value: undefined })
      assert.deepStrictEqual(peer.said, ["close 1001"])
    })
  )

  scoped(`${role} takes nothing before it is asked, and slows the peer`, () =>
    Effect.gen(function* () {
      const { peer, socket, transport } = yield* open(role, { socket: { inboxHighWaterMark: 2 * messageCost } })
      const reader = yield* readerOf(socket)
      for (const text of "abcdefgh") {
        peer.sendText(text)
        yield* settled
      }
      assert.strictEqual((yield* socket.status).incoming, 2 * (messageCost + 1))
      assert.isTrue(transport.ledger.isPaused)
      assert.isAbove(peer.transport.writable, 0)
      for (const value of "abcdefgh") assert.deepStrictEqual(yield* settle(reader.read()), { done: false, value })
      assert.isFalse(transport.ledger.isPaused)
    })
  )

  scoped(`${role} fails with the error that ended the connection, behind what came before`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const reader = yield* readerOf(socket)
      peer.send(peer.text("a"), peer.frame(3))
      assert.deepStrictEqual(yield* settle(reader.read()), { done: false, value: "a" })
      const error = yield* Effect.flip(settle(reader.read()))
      assert.strictEqual(error, yield* socket.closed)
      assert.deepInclude(error, { _tag: "ProtocolError" })
      yield* Effect.flip(settle(reader.closed))
    })
  )

  const reasons = [
    [undefined, "close 1000"],
    [{ code: 4001, reason: "enough" }, "close 4001 enough"],
    [{ code: 4001 }, "close 4001"],
    [{ code: 1006 }, "close 1000"],
    [{ code: "4001" }, "close 1000"],
    [new DOMException("aborted", "AbortError"), "close 1000"],
    ["because", "close 1000"]
  ] as const
  for (const [reason, said] of reasons) {
    scoped(`${role} does a closing handshake when it is cancelled with ${JSON.stringify(reason)}`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open(role)
        const reader = yield* readerOf(socket)
        const reading = reader.read()
        yield* settled
        yield* settle(reader.cancel(reason))
        assert.deepStrictEqual(peer.said, [said])
        assert.strictEqual((yield* socket.status).state, "closed")
        assert.deepInclude(yield* settle(reading), { done: true })
      })
    )
  }

  scoped(`${role} takes no message after it was cancelled`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const reader = yield* readerOf(socket)
      const reading = reader.read()
      yield* settled
      peer.sendText("a")
      const cancelling = reader.cancel()
      assert.deepInclude(yield* settle(reading), { done: true })
      yield* settle(cancelling)
      assert.strictEqual(yield* receive(socket), "a")
    })
  )

  scoped(`${role} waits again when somebody else was faster`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const receiving = yield* Effect.fork(receive(socket))
      yield* settled
      const reader = yield* readerOf(socket)
      const reading = reader.read()
      yield* settled
      peer.sendText("a")
      assert.strictEqual(yield* Fiber.join(receiving), "a")
      yield* settled
      peer.sendText("b")
      assert.deepInclude(yield* settle(reading), { value: "b" })
    })
  )
})

describe.each(roles)("WebSocket of a %s: toWritableStream", (role) => {
  scoped(`${role} sends what is written, and closes with 1000`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const writer = yield* writerOf(socket)
      yield* settle(writer.write("a"))
      yield* settle(writer.write(Uint8Array.of(1)))
      yield* settle(writer.write(WebSocket.prepare("b")))
      yield* settle(writer.close())
      yield* settle(writer.closed)
      assert.deepStrictEqual(peer.said, ["text a", "binary 01", "text b", "close 1000"])
      assert.strictEqual((yield* socket.status).state, "closed")
    })
  )

  scoped(`${role} is ready when there is room`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role, { pair: { highWaterMark: 100 }, socket: { sendHighWaterMark: 100 } })
      peer.transport.pause()
      const writer = yield* writerOf(socket)
      const texts = Array.from({ length: 20 }, (_, i) => `${i}`.padStart(50, "."))
      let written = 0
      const writing = yield* Effect.fork(
        Effect.forEach(texts, (text) =>
          Effect.zipRight(
            settle(writer.ready),
            Effect.sync(() => void writer.write(text).then(() => written++))
          )
        )
      )
      yield* settled
      assert.isBelow(written, 10)
      assert.strictEqual(writer.desiredSize, 0)
      assert.isBelow((yield* socket.status).outgoing, 300)
      peer.transport.resume()
      yield* Fiber.join(writing)
      yield* peer.awaitFrames(20)
      assert.deepStrictEqual(
        peer.said,
        texts.map((text) => `text ${text}`)
      )
      assert.strictEqual(written, 20)
    })
  )

  scoped(`${role} closes with 1011 when it is aborted, or as it is told, and gives up a write that waits`, () =>
    Effect.gen(function* () {
      for (const [reason, said] of [
        [new Error("no"), "close 1011"] as const,
        [{ code: 4002 }, "close 4002"] as const
      ]) {
        const { peer, socket } = yield* open(role, { pair: { highWaterMark: 10 }, socket: { sendHighWaterMark: 10 } })
        peer.transport.pause()
        const writer = yield* writerOf(socket)
        yield* settle(writer.write("0123456789"))
        const waiting = writer.write("never sent")
        yield* settled
        const aborting = writer.abort(reason)
        yield* Effect.flip(settle(waiting))
        peer.transport.resume()
        yield* settle(aborting)
        assert.strictEqual(yield* Effect.flip(settle(writer.closed)), reason)
        assert.deepStrictEqual(peer.said, ["text 0123456789", said])
      }
    })
  )

  scoped(`${role} fails with the error that ended the connection, when nothing is written too`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const writer = yield* writerOf(socket)
      const closed = settle(writer.closed)
      peer.sendClose(1000)
      const error = yield* Effect.flip(closed)
      assert.strictEqual(error, yield* socket.closed)
      assert.strictEqual(yield* Effect.flip(settle(writer.write("a"))), error)
      // And one that is made when it is over already.
      const late = yield* writerOf(socket)
      assert.strictEqual(yield* Effect.flip(settle(late.write("a"))), error)
    })
  )

  scoped(`${role} fails to close when the peer never answers`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role, { peer: { polite: false } })
      const writer = yield* writerOf(socket)
      const closing = settle(writer.close())
      const running = yield* Effect.fork(Effect.flip(closing))
      yield* peer.awaitFrames(1)
      peer.destroy()
      const error = yield* Fiber.join(running)
      assert.strictEqual(error, yield* socket.closed)
      assert.deepInclude(error, { _tag: "ConnectionClosed", code: 1006 })
    })
  )
})

describe.each(roles)("WebSocket of a %s: a pipe from a connection into itself", (role) => {
  const through = <A>(readable: ReadableStream<A>, transforms: number): ReadableStream<A> =>
    transforms === 0 ? readable : through(readable.pipeThrough(new TransformStream<A, A>()), transforms - 1)

  for (const transforms of [0, 1, 3]) {
    for (const when of ["before", "behind", "during"] as const) {
      scoped(`${role} ends it cleanly through ${transforms} transforms when the peer closes ${when} it`, () =>
        Effect.gen(function* () {
          const { peer, socket } = yield* open(role)
          const close = Effect.zipRight(
            Effect.sync(() => peer.sendClose(1000)),
            settled
          )
          if (when === "before") yield* close
          const readable = yield* WebSocket.toReadableStream(socket)
          const writable = yield* WebSocket.toWritableStream(socket)
          const piping = through(readable, transforms).pipeTo(writable)
          if (when === "during") {
            peer.sendText("a", "b")
            peer.sendClose(1000)
          }
          if (when === "behind") yield* Effect.zipRight(settled, close)
          yield* settle(piping)
          assert.deepStrictEqual(peer.said, [...(when === "during" ? ["text a", "text b"] : []), "close 1000"])
        })
      )
    }
  }

  scoped(`${role} fails it with the error when the connection doesn't end cleanly`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const readable = yield* WebSocket.toReadableStream(socket)
      const piping = settle(readable.pipeTo(yield* WebSocket.toWritableStream(socket)))
      yield* settled
      peer.destroy()
      assert.strictEqual(yield* Effect.flip(piping), yield* socket.closed)
    })
  )

  scoped(`${role} tells another source that nothing more can be written, when the readable has ended or is left`, () =>
    Effect.gen(function* () {
      for (const way of ["read", "cancel"] as const) {
        const { peer, socket } = yield* open(role)
        const reader = yield* readerOf(socket)
        const silent = new ReadableStream<string>({})
        const piping = settle(silent.pipeTo(yield* WebSocket.toWritableStream(socket)))
        yield* settled
        if (way === "read") {
          peer.sendClose(1000)
          assert.deepInclude(yield* settle(reader.read()), { done: true })
        } else yield* settle(reader.cancel())
        assert.strictEqual(yield* Effect.flip(piping), yield* socket.closed)
      }
    })
  )
})

describe("WebSocket: streams of the WHATWG at both ends", () => {
  scoped("both sides lose and reorder nothing of 10000 messages, piped back", () =>
    Effect.gen(function* () {
      const pair = yield* makePair()
      const accepting = yield* Effect.fork(WebSocket.acceptTransport(pair.server))
      const client = yield* WebSocket.handshake(pair.client, { host: "localhost" })
      const server = yield* Fiber.join(accepting)
      const readable = yield* WebSocket.toReadableStream(server)
      const echoing = readable.pipeTo(yield* WebSocket.toWritableStream(server))
      const count = 10_000
      const writer = yield* writerOf(client)
      const reader = yield* readerOf(client)
      const writing = yield* Effect.fork(
        Effect.forEach(
          Array.from({ length: count }, (_, i) => `${i}`),
          (text) => settle(writer.write(text)),
          { discard: true }
        )
      )
      for (let i = 0; i < count; i++) assert.strictEqual((yield* settle(reader.read())).value, `${i}`)
      yield* Fiber.join(writing)
      yield* settle(writer.close())
      yield* settle(echoing)
      assert.deepInclude(yield* server.closed, { clean: true })
    })
  )
})
