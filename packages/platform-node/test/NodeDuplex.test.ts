/** A connection as a stream of Node, over real sockets. */
import * as NodeDuplex from "@effect-ws/platform-node/NodeDuplex"
import * as NodeWebSocketServer from "@effect-ws/platform-node/NodeWebSocketServer"
import * as WebSocket from "@effect-ws/api/WebSocket"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Crypto from "node:crypto"
import { once } from "node:events"
import { type Duplex, PassThrough, Readable, Writable } from "node:stream"
import { pipeline } from "node:stream/promises"
import * as Vm from "node:vm"
import * as Zlib from "node:zlib"
import { makeInbox } from "./support/inbox.ts"
import { withoutLeaks } from "./support/leaks.ts"
import { connect, serveSockets } from "./support/serving.ts"
import { turn, until } from "./support/sockets.ts"

/** A stream of a client's connection, and the server's connection that it talks to. */
const open = (options: NodeDuplex.Options = {}, marks: { readonly inbox?: number } = {}) =>
  Effect.gen(function* () {
    const bounds = { sendHighWaterMark: 64 * 1024, inboxHighWaterMark: marks.inbox ?? 64 * 1024 }
    const server = yield* serveSockets(NodeWebSocketServer.layer(), bounds)
    const mine = yield* connect(server.url, bounds)
    const duplex = yield* NodeDuplex.make(mine, options)
    const events = watch(duplex)
    return { duplex, events, mine, other: yield* server.nextSocket }
  })

/** The names of what the stream tells, in order; an error by its tag or message. */
const watch = (duplex: Duplex): Array<string> => {
  const events: Array<string> = []
  for (const name of ["end", "finish", "close"]) duplex.on(name, () => events.push(name))
  duplex.on("error", (error: Error & { readonly _tag?: string }) => events.push(error._tag ?? error.message))
  return events
}

const scoped = (title: string, scenario: () => Effect.Effect<void, unknown, Scope.Scope>) =>
  it.live(title, () => scenario().pipe(Effect.scoped, withoutLeaks))

const settle = <A>(promise: Promise<A>) => Effect.tryPromise({ try: () => promise, catch: (error) => error })

const echo = (socket: WebSocket.WebSocket) => WebSocket.run(socket, (message) => socket.send(message))

const isOver = (events: ReadonlyArray<string>) => until(() => events.includes("close"))

describe("NodeDuplex of bytes", () => {
  scoped("stream gives what comes as bytes, text too, and passes over empty messages", () =>
    Effect.gen(function* () {
      const { duplex, events, other } = yield* open()
      for (const data of ["hé", "", Uint8Array.of(1, 2), new Uint8Array(0), "llo"]) yield* other.send(data)
      const closing = yield* Effect.fork(other.close())
      const all: Array<Uint8Array> = []
      duplex.on("data", (data: Uint8Array) => all.push(data))
      yield* isOver(events)
      assert.deepStrictEqual(Buffer.concat(all), Buffer.from("h\u00e9\u0001\u0002llo"))
      assert.deepStrictEqual(events, ["end", "finish", "close"])
      assert.deepInclude(yield* Fiber.join(closing), { clean: true })
    })
  )

  scoped("stream sends each write as a binary message, strings in their encoding, and closes with 1000", () =>
    Effect.gen(function* () {
      const { duplex, events, other } = yield* open()
      const got: Array<string> = []
      const running = yield* Effect.fork(
        WebSocket.run(
          other,
          (message) => void got.push(`${message._tag} ${Buffer.from(message.bytes).toString("hex")}`)
        )
      )
      duplex.resume()
      duplex.write("é")
      duplex.write("ff00", "hex")
      duplex.end(Uint8Array.of(7))
      yield* Fiber.join(running)
      assert.deepStrictEqual(got, ["Binary c3a9", "Binary ff00", "Binary 07"])
      yield* isOver(events)
      assert.sameMembers(events, ["finish", "end", "close"])
      assert.deepInclude(yield* other.closed, { clean: true, received: { code: 1000, reason: "" } })
    })
  )

  scoped("pipeline carries megabytes there and back through a real connection", () =>
    Effect.gen(function* () {
      const { duplex, events, other } = yield* open()
      yield* Effect.forkScoped(echo(other))
      const bytes = Crypto.randomBytes(8 * 1024 * 1024)
      const back: Array<Uint8Array> = []
      let received = 0
      const sink = new Writable({
        write: (chunk: Buffer, _, done) => {
          back.push(chunk)
          received += chunk.length
          done()
        }
      })
      const source = Readable.from(
        (function* () {
          for (let i = 0; i < bytes.length; i += 50_000) yield bytes.subarray(i, i + 50_000)
        })()
      )
      duplex.pipe(sink)
      source.pipe(duplex, { end: false })
      yield* until(() => received === bytes.length)
      duplex.end()
      yield* isOver(events)
      assert.isTrue(Buffer.concat(back).equals(bytes))
    })
  )

  scoped("pipeline through a compressor ends when the source does", () =>
    Effect.gen(function* () {
      const { duplex, other } = yield* open()
      const received: Array<Uint8Array> = []
      const running = yield* Effect.fork(WebSocket.run(other, (message) => void received.push(message.bytes)))
      const text = "all work and no play ".repeat(10_000)
      duplex.resume()
      yield* settle(pipeline(Readable.from([text]), Zlib.createGzip(), duplex))
      yield* Fiber.join(running)
      assert.strictEqual(Zlib.gunzipSync(Buffer.concat(received)).toString(), text)
    })
  )

  scoped("stream that is piped into itself loses and reorders nothing of 10000 messages", () =>
    Effect.gen(function* () {
      const { duplex, other } = yield* open({ objectMode: true })
      duplex.pipe(duplex)
      const count = 10_000
      const sending = yield* Effect.fork(
        Effect.forEach(
          Array.from({ length: count }, (_, i) => `${i}`),
          (text) => other.send(text),
          { discard: true }
        )
      )
      for (let i = 0; i < count; i++) {
        const message = yield* other.receive
        assert.strictEqual(message._tag === "Text" && message.text, `${i}`)
      }
      yield* Fiber.join(sending)
      yield* other.close()
    })
  )
})

describe("NodeDuplex of messages", () => {
  scoped("stream gives text as strings and binary as bytes, empty ones too, and sends whatever can be sent", () =>
    Effect.gen(function* () {
      const { duplex, events, other } = yield* open({ objectMode: true })
      const got = makeInbox<string>()
      yield* Effect.forkScoped(
        Effect.ignore(WebSocket.run(other, (message) => void got.push(`${message._tag} ${message.byteLength}`)))
      )
      for (const data of ["a", "", Uint8Array.of(1), new Uint8Array(0)]) yield* other.send(data)
      for (const data of ["abc", Uint8Array.of(1, 2), WebSocket.prepare("d")]) duplex.write(data)
      for (const said of ["Text 3", "Binary 2", "Text 1"]) assert.strictEqual(yield* got.next, said)
      const closing = yield* Effect.fork(other.close())
      const read: Array<unknown> = []
      yield* settle(
        (async () => {
          for await (const data of duplex) read.push(typeof data === "string" ? data : [...(data as Uint8Array)])
        })()
      )
      assert.deepStrictEqual(read, ["a", "", [1], []])
      yield* isOver(events)
      // Who iterates destroys the stream behind its end: that takes nothing away from the closing handshake.
      assert.deepInclude(yield* Fiber.join(closing), { clean: true })
    })
  )

  scoped("stream fails when what is written can't be sent, and nothing is sent for it", () =>
    Effect.gen(function* () {
      for (const data of [5, { not: "sendable" }, ["a"], true]) {
        const { duplex, events, other } = yield* open({ objectMode: true })
        duplex.write(data)
        yield* isOver(events)
        assert.deepStrictEqual(events, [`A message can't be made of this ${typeof data}`, "close"])
        assert.deepInclude(yield* Effect.flip(other.receive), { code: 1006 })
      }
    })
  )

  scoped("stream sends the buffers of other realms", () =>
    Effect.gen(function* () {
      const { duplex, other } = yield* open({ objectMode: true })
      duplex.write(Vm.runInNewContext("Uint8Array.of(1, 2).buffer"))
      duplex.write(Vm.runInNewContext("new DataView(Uint8Array.of(3).buffer)"))
      assert.deepStrictEqual([...(yield* other.receive).bytes], [1, 2])
      assert.deepStrictEqual([...(yield* other.receive).bytes], [3])
    })
  )
})

describe("NodeDuplex: backpressure", () => {
  for (const objectMode of [false, true]) {
    scoped(`stream that nobody reads slows the peer${objectMode ? ", with messages" : ""}`, () =>
      Effect.gen(function* () {
        const { duplex, mine, other } = yield* open({ objectMode }, { inbox: 1024 })
        const size = 32 * 1024
        let sent = 0
        const count = 1000
        const sending = yield* Effect.fork(
          Effect.repeatN(
            Effect.zipRight(
              other.send(new Uint8Array(size)),
              Effect.sync(() => sent++)
            ),
            count - 1
          )
        )
        // Reads one, as somebody does who then is busy.
        yield* Effect.promise(() => once(duplex, "readable"))
        duplex.read(objectMode ? undefined : 1)
        yield* until(() => Effect.runSync(mine.status).isPaused && Effect.runSync(other.status).outgoing > 0)
        const { outgoing } = yield* other.status
        assert.isAtMost(outgoing, 64 * 1024 + size)
        assert.isAtMost((yield* mine.status).incoming, 1024 + 64 * 1024 + size)
        assert.isBelow(sent, count)
        let received = objectMode ? size : 1
        duplex.on("data", (data: Uint8Array) => (received += data.length))
        yield* Fiber.join(sending)
        yield* until(() => received === count * size)
      })
    )
  }

  scoped("write is done when there is room, and not before", () =>
    Effect.gen(function* () {
      const { duplex, events, mine, other } = yield* open({}, { inbox: 1024 })
      let done = 0
      const count = 400
      const piece = new Uint8Array(64 * 1024)
      let hasRoom = true
      for (let i = 0; i < count; i++) hasRoom = duplex.write(piece, () => done++)
      assert.isFalse(hasRoom)
      yield* until(() => Effect.runSync(other.status).isPaused && Effect.runSync(mine.status).outgoing > 0)
      assert.isBelow(done, count)
      assert.isAtMost((yield* mine.status).outgoing, 2 * 64 * 1024 + 1024)
      assert.isAbove(duplex.writableLength, 0)
      const drained = settle(once(duplex, "drain"))
      const running = yield* Effect.fork(Effect.ignore(WebSocket.run(other, () => {})))
      yield* drained
      assert.strictEqual(done, count)
      duplex.resume().end()
      yield* Fiber.join(running)
      yield* isOver(events)
    })
  )
})

describe("NodeDuplex: the end", () => {
  scoped("stream is destroyed with the error that ended the connection, behind what came before", () =>
    Effect.gen(function* () {
      for (const objectMode of [false, true]) {
        const { duplex, events, mine, other } = yield* open({ objectMode })
        yield* other.send("a")
        yield* other.send("b")
        yield* Effect.fork(other.close({ code: 4000, reason: "no" }))
        const got: Array<string> = []
        yield* mine.closed.pipe(Effect.fork)
        yield* Effect.promise(() => once(duplex, "readable"))
        yield* until(
          () => Effect.runSync(other.status).state === "closing" || Effect.runSync(other.status).state === "closed"
        )
        duplex.on("data", (data) => got.push(String(data)))
        yield* isOver(events)
        assert.strictEqual(got.join(""), "ab")
        assert.deepStrictEqual(events, ["ConnectionClosed", "close"])
        assert.strictEqual(duplex.errored, yield* mine.closed)
      }
    })
  )

  scoped("stream is destroyed when the connection is lost and nobody reads or writes", () =>
    Effect.gen(function* () {
      const { duplex, events, mine, other } = yield* open()
      yield* other.destroy
      yield* isOver(events)
      assert.deepStrictEqual(events, ["ConnectionClosed", "close"])
      assert.strictEqual(duplex.errored, yield* mine.closed)
    })
  )

  scoped("stream is not destroyed when the connection is lost before what came was read", () =>
    Effect.gen(function* () {
      const { duplex, events, mine, other } = yield* open()
      yield* other.send("a")
      yield* until(() => Effect.runSync(mine.status).incoming > 0)
      yield* other.destroy
      yield* mine.closed
      yield* turn
      assert.deepStrictEqual(events, [])
      const got: Array<string> = []
      duplex.on("data", (data) => got.push(String(data)))
      yield* isOver(events)
      assert.deepStrictEqual([got, events], [["a"], ["ConnectionClosed", "close"]])
    })
  )

  scoped("write fails when the connection has ended, cleanly too", () =>
    Effect.gen(function* () {
      const { duplex, events, mine, other } = yield* open()
      yield* other.close()
      const end = yield* mine.closed
      const error = yield* Effect.async<unknown>((resume) => {
        duplex.write("late", (error) => resume(Effect.succeed(error)))
      })
      assert.strictEqual(error, end)
      yield* isOver(events)
    })
  )

  scoped("destroy destroys the connection, with or without an error, whatever waits", () =>
    Effect.gen(function* () {
      for (const error of [undefined, new Error("enough")]) {
        const { duplex, events, mine, other } = yield* open({}, { inbox: 1024 })
        duplex.on("readable", () => {})
        for (let i = 0; i < 100; i++) duplex.write(new Uint8Array(64 * 1024))
        yield* until(() => Effect.runSync(mine.status).outgoing > 0)
        duplex.destroy(error)
        yield* isOver(events)
        assert.deepStrictEqual(events, error === undefined ? ["close"] : ["enough", "close"])
        assert.strictEqual((yield* mine.status).state, "closed")
        // One that is paused notices when it reads.
        const end = yield* Effect.flip(Effect.forever(other.receiveAll))
        assert.isTrue(end._tag === "TransportError" || (end._tag === "ConnectionClosed" && end.code === 1006))
      }
    })
  )

  scoped("pipeline whose source fails destroys the connection", () =>
    Effect.gen(function* () {
      const { duplex, mine } = yield* open()
      const source = new PassThrough()
      source.write("a")
      const piping = settle(pipeline(source, duplex))
      const running = yield* Effect.fork(Effect.flip(piping))
      source.destroy(new Error("no source"))
      assert.strictEqual(((yield* Fiber.join(running)) as Error).message, "no source")
      yield* mine.closed
    })
  )

  scoped("stream ends with the scope of the connection", () =>
    Effect.gen(function* () {
      const server = yield* serveSockets(NodeWebSocketServer.layer())
      const events = yield* Effect.scoped(
        Effect.gen(function* () {
          const duplex = yield* NodeDuplex.make(yield* connect(server.url))
          duplex.resume()
          return watch(duplex)
        })
      )
      yield* isOver(events)
      assert.deepStrictEqual(events, ["end", "finish", "close"])
    })
  )
})
