/** The same over every transport that fibers carry, and what is a channel's own. */
import * as ChannelTransport from "@effect-ws/api/ChannelTransport"
import * as WebSocket from "@effect-ws/api/WebSocket"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Channel from "effect/Channel"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import { fiberTransports, joinedChannels, open, record } from "./support/fiberTransports.ts"
import { leavesNothing, settled } from "./support/leaks.ts"
import { isDone, isSuspended, receive } from "./support/receiving.ts"
import { atEveryPoint, describePoints, type Points } from "./support/schedulers.ts"

const scoped = (title: string, scenario: () => Effect.Effect<void, unknown, Scope.Scope>) =>
  it.effect(title, () => leavesNothing(scenario()))

/** Where an interruption finds other things under way each time. */
const points: ReadonlyArray<Points> = [
  { each: "task", opsPerTurn: 16, interrupt: true },
  { each: "operation", pause: 60, interrupt: true }
]

describe.each(Object.entries(fiberTransports))("WebSocket over a %s", (_kind, make) => {
  scoped("both sides lose and reorder nothing of 10000 messages, and close cleanly", () =>
    Effect.gen(function* () {
      const { far, near } = yield* open(yield* make, { sendHighWaterMark: 1000 })
      const texts = Array.from({ length: 10_000 }, (_, i) => `${i}`)
      const echoing = yield* Effect.fork(WebSocket.run(far, (message) => far.send(message)))
      const sending = yield* Effect.fork(Effect.forEach(texts, (text) => near.send(text), { discard: true }))
      for (const text of texts) assert.strictEqual(yield* receive(near), text)
      yield* Fiber.join(sending)
      const closing = yield* Effect.fork(near.close())
      yield* Fiber.join(echoing)
      assert.deepInclude(yield* far.closed, { _tag: "ConnectionClosed", clean: true, initiator: "peer" })
      assert.deepInclude(yield* Fiber.join(closing), { _tag: "ConnectionClosed", clean: true, initiator: "local" })
    })
  )

  scoped("sender waits while the receiver takes nothing, and nothing is lost then", () =>
    Effect.gen(function* () {
      const { far, near } = yield* open(yield* make, { inboxHighWaterMark: 1000, sendHighWaterMark: 1000 })
      const texts = Array.from({ length: 3000 }, (_, i) => `${i}`.padStart(500, "."))
      let sent = 0
      const sending = yield* Effect.fork(
        Effect.forEach(texts, (text) => Effect.map(near.send(text), () => sent++), { discard: true })
      )
      yield* Effect.repeatN(settled, 20)
      assert.isTrue(yield* isSuspended(sending))
      assert.isTrue((yield* far.status).isPaused)
      const before = sent
      yield* Effect.repeatN(settled, 20)
      assert.strictEqual(sent, before)
      for (const text of texts) assert.strictEqual(yield* receive(far), text)
      yield* Fiber.join(sending)
      // Whoever has taken a message and asks for no other still has it in hand, and the answer to a Close frame waits for that.
      yield* Effect.fork(far.receive)
    })
  )

  scoped("destroying one end is an end without a Close frame for the other", () =>
    Effect.gen(function* () {
      const { far, near } = yield* open(yield* make)
      const waiting = yield* Effect.fork(Effect.flip(far.receive))
      yield* settled
      yield* near.destroy
      assert.deepInclude(yield* Fiber.join(waiting), { _tag: "ConnectionClosed", code: 1006, clean: false })
      assert.deepInclude(yield* near.closed, { _tag: "ConnectionClosed", initiator: "local" })
    })
  )

  scoped("server that refuses tells why before the transport ends", () =>
    Effect.gen(function* () {
      const { client, server } = yield* make
      const refusing = Effect.flip(
        Effect.scoped(WebSocket.acceptTransport(server, { origin: ["https://example.com"] }))
      )
      const accepting = yield* Effect.fork(refusing)
      const options = { host: "example.com", origin: "https://example.org" }
      const error = yield* Effect.flip(WebSocket.handshake(client, options))
      assert.deepInclude(error.reason, { _tag: "Declined", status: 403 })
      assert.strictEqual((yield* Fiber.join(accepting)).reason._tag, "ForbiddenOrigin")
    })
  )

  for (const each of points) {
    it.effect(`client that is ${describePoints(each)} leaves nothing behind`, () =>
      atEveryPoint(each, (disturbed) =>
        Effect.gen(function* () {
          const { client, server } = yield* make
          const serving = Effect.flatMap(WebSocket.acceptTransport(server), (far) =>
            WebSocket.run(far, (message) => far.send(message))
          )
          const accepting = yield* Effect.fork(Effect.ignore(Effect.scoped(serving)))
          const program = Effect.flatMap(WebSocket.handshake(client, { host: "example.com" }), (near) =>
            Effect.zipRight(near.send("a"), receive(near))
          )
          const exit = yield* disturbed(Effect.scoped(program))
          assert.isTrue(Exit.isInterrupted(exit) || Exit.isSuccess(exit), String(exit))
          // What was never started was never run, and nobody was told of its end.
          client.destroy()
          server.destroy()
          yield* Fiber.join(accepting)
        })
      ).pipe(Effect.map((count) => assert.isAbove(count, 20)))
    )
  }
})

describe.each(Object.entries(fiberTransports))("%s", (_kind, make) => {
  scoped("transport tells nothing inside the call that causes it, and closed once and last", () =>
    Effect.gen(function* () {
      const { client, server } = yield* make
      const [near, far] = [record(), record()]
      server.start(far)
      client.start(near)
      assert.isTrue(client.write([Uint8Array.of(1), new Uint8Array(0), Uint8Array.of(2)]))
      assert.strictEqual(client.writable, 2)
      assert.deepStrictEqual(far.events, [])
      yield* settled
      assert.strictEqual(client.writable, 0)
      assert.deepStrictEqual(far.events, ["chunk 1,2"])
      client.destroy()
      client.destroy()
      assert.deepStrictEqual(near.events, [])
      yield* settled
      assert.deepStrictEqual(near.events, ["closed"])
      assert.deepStrictEqual(far.events, ["chunk 1,2", "end", "closed"])
      assert.isTrue(client.write([Uint8Array.of(3)]))
      assert.strictEqual(client.writable, 0)
      client.resume()
      yield* settled
      assert.deepStrictEqual(near.events, ["closed"])
    })
  )

  scoped("transport tells what was written before its end, and is over with the other one", () =>
    Effect.gen(function* () {
      const { client, server } = yield* make
      const [near, far] = [record(), record()]
      server.start(far)
      client.start(near)
      client.write([new Uint8Array(70_000)])
      client.end()
      assert.isTrue(client.write([Uint8Array.of(1)]))
      yield* settled
      server.end()
      yield* settled
      assert.deepStrictEqual(far.events, ["chunk of 65536", `chunk of ${70_000 - 65_536}`, "end", "closed"])
      assert.deepStrictEqual(near.events.slice(-2), ["end", "closed"])
    })
  )

  scoped("transport holds what comes while it is paused, and hands it to the sink that is there then", () =>
    Effect.gen(function* () {
      const { client, server } = yield* make
      const [first, second] = [record(), record()]
      client.start(record())
      server.start(first)
      server.pause()
      client.write([Uint8Array.of(1)])
      yield* settled
      client.write([Uint8Array.of(2)])
      yield* settled
      assert.deepStrictEqual(first.events, [])
      server.start(second)
      server.resume()
      assert.deepStrictEqual(second.events, [])
      yield* settled
      assert.deepStrictEqual(first.events, [])
      assert.deepStrictEqual(second.events, ["chunk 1", "chunk 2"])
    })
  )

  scoped("transport tells only so much as the sink wants that pauses in the middle, or hands over", () =>
    Effect.gen(function* () {
      const { client, server } = yield* make
      const [first, second] = [record(), record()]
      client.start(record())
      server.start({
        ...first,
        chunk: (bytes) => {
          first.chunk(bytes)
          server.start(second)
          server.pause()
        }
      })
      client.write([new Uint8Array(70_000)])
      yield* settled
      assert.deepStrictEqual([first.events, second.events], [["chunk of 65536"], []])
      server.resume()
      yield* settled
      assert.deepStrictEqual(second.events, [`chunk of ${70_000 - 65_536}`])
    })
  )

  scoped("transport that is destroyed while it holds what came before the end drops that", () =>
    Effect.gen(function* () {
      const { client, server } = yield* make
      const far = record()
      client.start(record())
      server.start(far)
      server.pause()
      client.write([Uint8Array.of(1)])
      yield* settled
      client.destroy()
      yield* settled
      assert.deepStrictEqual(far.events, [])
      server.destroy()
      assert.deepStrictEqual(far.events, [])
      yield* settled
      assert.deepStrictEqual(far.events, ["closed"])
    })
  )

  scoped("transport says when there is room again", () =>
    Effect.gen(function* () {
      const { client, server } = yield* make
      const near = record()
      client.start(near)
      server.start(record())
      assert.isTrue(client.write([new Uint8Array(16 * 1024 - 1)]))
      assert.isFalse(client.write([new Uint8Array(1)]))
      assert.deepStrictEqual(near.events, [])
      yield* settled
      assert.deepStrictEqual(near.events, ["drained"])
    })
  )

  scoped("transport says nothing of room while the other one doesn't read", () =>
    Effect.gen(function* () {
      const { client, server } = yield* make
      const [near, far] = [record(), record()]
      client.start(near)
      server.start(far)
      server.pause()
      assert.isFalse(client.write([new Uint8Array(8 * 1024 * 1024)]))
      yield* settled
      assert.isAbove(client.writable, 0)
      client.resume()
      yield* settled
      assert.deepStrictEqual([near.events, far.events], [[], []])
      server.resume()
      yield* Effect.repeatN(settled, 100)
      assert.deepStrictEqual(near.events, ["drained"])
      assert.strictEqual(client.writable, 0)
      assert.strictEqual(far.events.length, (8 * 1024) / 64)
    })
  )

  scoped("transport tells a sink that comes late of the end, and is over with its scope though never started", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { client } = yield* Scope.extend(make, scope)
      yield* Scope.close(scope, Exit.void)
      const late = record()
      client.start(late)
      assert.deepStrictEqual(late.events, [])
      yield* settled
      assert.deepStrictEqual(late.events, ["closed"])
    })
  )

  scoped("transport that was made where nothing can be interrupted is over with its scope all the same", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { client, server } = yield* Effect.uninterruptible(Scope.extend(make, scope))
      const [near, far] = [record(), record()]
      client.start(near)
      server.start(far)
      yield* settled
      yield* Scope.close(scope, Exit.void)
      yield* settled
      assert.deepStrictEqual([near.events.at(-1), far.events.at(-1)], ["closed", "closed"])
    })
  )
})

describe("ChannelTransport", () => {
  scoped("transport ends the input, and is over when the output ends", () =>
    Effect.gen(function* () {
      const { back, near, there } = yield* joinedChannels
      const transport = yield* ChannelTransport.make(near)
      const sink = record()
      transport.start(sink)
      transport.write([Uint8Array.of(1)])
      transport.end()
      assert.deepStrictEqual([...(yield* there.takeAll)[0]].map(String), ["1"])
      yield* there.await
      yield* back.offer(Uint8Array.of(2))
      yield* back.end
      yield* settled
      assert.deepStrictEqual(sink.events, ["chunk 2", "end", "closed"])
    })
  )

  scoped("transport tells later what the channel has at once", () =>
    Effect.gen(function* () {
      const transport = yield* ChannelTransport.make(Channel.write(Chunk.of(Uint8Array.of(1))))
      const sink = record()
      transport.start(sink)
      assert.deepStrictEqual(sink.events, [])
      yield* settled
      assert.deepStrictEqual(sink.events, ["chunk 1", "end", "closed"])
    })
  )

  scoped("transport that was ended gets a second for its last bytes when its scope closes", () =>
    Effect.gen(function* () {
      const { near, there } = yield* joinedChannels
      const scope = yield* Scope.make()
      const transport = yield* Scope.extend(ChannelTransport.make(near), scope)
      const sink = record()
      transport.start(sink)
      transport.write([Uint8Array.of(1)])
      transport.end()
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* settled
      assert.deepStrictEqual([...(yield* there.takeAll)[0]].map(String), ["1"])
      yield* TestClock.adjust("999 millis")
      assert.isFalse(yield* isDone(closing))
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(closing)
      yield* settled
      assert.deepStrictEqual(sink.events, ["closed"])
    })
  )

  scoped("transport is closed by the error of the channel, behind what came before", () =>
    Effect.gen(function* () {
      const { back, near } = yield* joinedChannels
      const remoteAddress = { _tag: "TcpAddress", hostname: "192.0.2.1", port: 80 } as const
      const transport = yield* ChannelTransport.make(near, { info: { remoteAddress } })
      const sink = record()
      let message = ""
      transport.start({ ...sink, closed: (error) => void (message = error!.message) })
      transport.pause()
      yield* back.offer(Uint8Array.of(2))
      yield* settled
      yield* back.fail("lost")
      yield* settled
      assert.deepStrictEqual([sink.events, message], [[], ""])
      transport.resume()
      yield* settled
      assert.deepStrictEqual(sink.events, ["chunk 2"])
      assert.strictEqual(message, "The transport failed to read from 192.0.2.1:80: lost")
    })
  )

  scoped("transport is closed by the defect of the channel", () =>
    Effect.gen(function* () {
      const channel = Channel.failCause(Cause.die(new Error("broken")))
      const transport = yield* ChannelTransport.make(channel)
      const error = yield* Effect.flip(WebSocket.handshake(transport, { host: "example.com" }))
      assert.strictEqual(error.reason._tag, "Transport")
      assert.include(String(error.reason._tag === "Transport" && error.reason.error.cause), "broken")
    })
  )

  scoped("transport alters nothing that the channel hands out, and hands out nothing that is altered later", () =>
    Effect.gen(function* () {
      const { back, near, there } = yield* joinedChannels
      const transport = yield* ChannelTransport.make(near)
      transport.start({ ...record(), chunk: (bytes) => void bytes.fill(0) })
      const [incoming, outgoing] = [Uint8Array.of(1), Uint8Array.of(2)]
      yield* back.offer(incoming)
      transport.write([outgoing])
      yield* settled
      outgoing.fill(0)
      assert.deepStrictEqual(incoming, Uint8Array.of(1))
      assert.deepStrictEqual(Chunk.toReadonlyArray((yield* there.takeAll)[0]), [Uint8Array.of(2)])
    })
  )
})
