/** What a hostile peer may do with an open connection, over real sockets. */
import type { ConnectionOptions } from "@effect-ws/api/ConnectionOptions"
import type { WebSocket } from "@effect-ws/api/WebSocket"
import type { Transport } from "@effect-ws/api/Transport"
import * as WebSockets from "@effect-ws/api/WebSocket"
import * as NodeTransport from "@effect-ws/platform-node/NodeTransport"
import * as NodeWebSocketServer from "@effect-ws/platform-node/NodeWebSocketServer"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { PassThrough } from "node:stream"
import { withoutLeaks } from "./support/leaks.ts"
import { acceptRaw, masked, rawClient, rawOpen, type RawPeer, rawServer, upgradeRequest } from "./support/rawPeer.ts"
import { connect, serve, serveSockets } from "./support/serving.ts"
import { turn, until } from "./support/sockets.ts"

type Role = "client" | "server"
type Options = Partial<ConnectionOptions>

/** An open connection in which we have the role, and the peer at its other end. */
const open = (role: Role, options: Options = {}) => (role === "server" ? openServer(options) : openClient(options))

const openServer = (options: Options) =>
  Effect.gen(function* () {
    const { nextSocket, port } = yield* serveSockets(NodeWebSocketServer.layer(options))
    const peer = yield* rawOpen({ port })
    return { peer, socket: yield* nextSocket }
  })

const openClient = (options: Options) =>
  Effect.gen(function* () {
    const { next, url } = yield* rawServer
    const accepted = yield* Effect.fork(Effect.tap(next, (peer) => acceptRaw(peer)))
    const socket = yield* connect(url, options)
    return { peer: yield* Fiber.join(accepted), socket }
  })

/** A frame as the peer of this role sends it. */
const frame = (role: Role, first: number, payload: string | Uint8Array = ""): Buffer => {
  const withMask = masked(first, payload)
  if (role === "server") return withMask
  const start = withMask[1] === 0xfe ? 8 : 6
  return Buffer.concat([
    withMask.subarray(0, 1),
    Buffer.of(withMask[1]! & 0x7f),
    withMask.subarray(2, start - 4),
    withMask.subarray(start)
  ])
}

const repeat = (bytes: Uint8Array, count: number): Buffer => Buffer.concat(Array.from({ length: count }, () => bytes))

const test = <E>(title: string, body: () => Effect.Effect<unknown, E, Scope.Scope>) =>
  it.scopedLive(title, () => body().pipe(Effect.scoped, withoutLeaks), 40_000)

/** Takes frames until one is as expected, and returns how many came before it. */
const framesUntil = (peer: RawPeer, expected: string) =>
  Effect.gen(function* () {
    for (let count = 0; ; count++) if ((yield* peer.nextFrame) === expected) return count
  })

/** Goes round the event loop until a number changes no more. */
const steady = (read: () => number): Effect.Effect<number> =>
  Effect.gen(function* () {
    for (let before = Number.NaN; before !== read();) {
      before = read()
      yield* Effect.repeatN(turn, 50)
    }
    return read()
  })

/** In bytes: what Node reads of a socket at once. */
const readSize = 64 * 1024

/** Answers a Close frame and ends, as a peer does that means well. */
const dismiss = (role: Role, peer: RawPeer) =>
  Effect.sync(() => {
    peer.send(frame(role, 0x88, Buffer.of(3, 0xe8)))
    peer.socket.end()
  })

describe.each<Role>(["server", "client"])("Attack cases of messages: %s", (role) => {
  test(`${role} reads a frame that comes byte by byte (attack case 42)`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      peer.socket.setNoDelay(true)
      const text = "aé€😀".repeat(2000)
      for (const byte of frame(role, 0x81, text)) peer.socket.write(Buffer.of(byte))
      assert.deepInclude(yield* socket.receive, { text })
      yield* dismiss(role, peer)
    }))

  test(`${role} holds a bounded number of Pongs for a peer that pings and doesn't read (attack case 46)`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      peer.socket.pause()
      const count = 150_000
      const ping = frame(role, 0x89, "x".repeat(121) + "0000")
      const newest = "y".repeat(125)
      peer.socket.write(repeat(ping, count))
      peer.send(frame(role, 0x89, newest), frame(role, 0x81, "all sent"))
      assert.deepInclude(yield* socket.receive, { text: "all sent" })
      const { outgoing, state } = yield* socket.status
      assert.strictEqual(state, "open")
      // It is more than the system holds, and of what it doesn't there is no more than one chunk brings.
      assert.isAbove(outgoing, 0)
      assert.isBelow(outgoing, 3 * readSize)
      peer.socket.resume()
      const answered = yield* framesUntil(
        peer,
        `a ${Buffer.from(newest)
          .toString("hex")
          .replace(/..(?!$)/g, "$& ")}`
      )
      assert.isBelow(answered, count)
      yield* dismiss(role, peer)
    }))

  test(`${role} delivers messages that keep no read buffer alive, and that no later read changes (attack case 50)`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const sizes = [1, 20, 64, 65, 600, 1024, 2000, 4000]
      const all = (fill: number) => sizes.map((size) => frame(role, 0x82, Buffer.alloc(size, fill)))
      peer.send(frame(role, 0x82, Buffer.alloc(60_000)), ...all(1))
      const messages = yield* Effect.replicateEffect(socket.receive, 1 + sizes.length)
      for (let round = 2; round < 20; round++) {
        peer.send(frame(role, 0x82, Buffer.alloc(60_000)), ...all(round))
        yield* Effect.replicateEffect(socket.receive, 1 + sizes.length)
      }
      for (const [i, { bytes }] of messages.slice(1).entries()) {
        assert.deepStrictEqual(Buffer.from(bytes), Buffer.alloc(sizes[i]!, 1))
        assert.isAtMost(bytes.buffer.byteLength, Math.max(4096, Math.min(16 * 1024 + 256, 16 * (sizes[i]! + 10))))
      }
      yield* dismiss(role, peer)
    }))

  test(`${role} ends the connection to a peer that is there no more, with what it waited for (attack case 52)`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role, { pingInterval: 40, pongTimeout: 40 })
      const waiting = yield* Effect.fork(Effect.flip(socket.receive))
      assert.strictEqual(yield* peer.nextFrame, "9")
      const error = yield* Fiber.join(waiting)
      assert.deepInclude(error, { _tag: "ConnectionTimeout", phase: "pong" })
      assert.match(yield* peer.nextFrame, /^8 03 f3 /)
      assert.strictEqual(yield* socket.closed, error)
      assert.strictEqual((yield* peer.next)._tag, "End")
    }))

  test(`${role} doesn't wait for ever for a peer that never closes (attack case 53)`, () =>
    Effect.gen(function* () {
      for (const answers of [false, true]) {
        const { peer, socket } = yield* open(role, { closeTimeout: 60 })
        const closing = yield* Effect.fork(Effect.either(socket.close()))
        assert.strictEqual(yield* peer.nextFrame, "8 03 e8")
        if (answers) peer.send(frame(role, 0x88, Buffer.of(3, 0xe8)))
        const outcome = yield* Fiber.join(closing)
        const ended = yield* socket.closed
        assert.strictEqual(Either.merge(outcome), ended)
        if (answers) assert.deepInclude(ended, { _tag: "ConnectionClosed", clean: true })
        else assert.deepInclude(ended, { _tag: "ConnectionTimeout", phase: "close" })
      }
    }))

  test(`${role} releases a connection whose peer says and does nothing more (attack case 53)`, () =>
    Effect.gen(function* () {
      const { socket } = yield* Effect.scoped(open(role))
      assert.include(["ConnectionTimeout", "ConnectionClosed"], (yield* socket.closed)._tag)
      assert.strictEqual((yield* socket.status).state, "closed")
    }))

  test(`${role} suspends who sends to a peer that reads slowly, and loses nothing (attack case 54)`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      peer.socket.pause()
      const message = Buffer.alloc(100_000, 0x61)
      let sent = 0
      const sending = yield* Effect.fork(
        Effect.replicateEffect(
          Effect.tap(socket.send(message), () => sent++),
          400
        )
      )
      yield* until(() => sent > 0)
      yield* steady(() => sent)
      assert.isBelow(sent, 400)
      assert.isAtMost((yield* socket.status).outgoing, 256 * 1024 + 2 * 100_014)
      let received = 0
      peer.socket.removeAllListeners("data")
      peer.socket.on("data", (chunk) => void (received += chunk.length))
      peer.socket.resume()
      yield* Fiber.join(sending)
      const size = role === "server" ? 10 : 14
      yield* until(() => received === 400 * (100_000 + size))
      peer.socket.destroy()
    }))

  test(`${role} pauses for a receiver that is slow, and the peer is held up (attack case 55)`, () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* open(role)
      const count = 600
      for (let i = 0; i < count; i++) peer.send(frame(role, 0x82, Buffer.alloc(60_000, i)))
      assert.isAbove(yield* steady(() => peer.socket.writableLength), 0)
      const { incoming, isPaused } = yield* socket.status
      assert.isTrue(isPaused)
      assert.isAtMost(incoming, 256 * 1024 + 2 * readSize)
      for (let i = 0; i < count; i++) {
        const { bytes } = yield* socket.receive
        assert.deepStrictEqual([bytes.length, bytes[0], bytes[59_999]], [60_000, i & 255, i & 255])
      }
      yield* dismiss(role, peer)
    }))

  test(`${role} tells a reset and an end, in the middle of anything, once and as what they are (attack case 56)`, () =>
    Effect.gen(function* () {
      const parts = Buffer.concat([frame(role, 0x01, "a"), frame(role, 0x80, "bcdefghi")])
      for (const size of [0, 1, 4, 8, 12]) {
        for (const how of ["end", "resetAndDestroy"] as const) {
          const { peer, socket } = yield* open(role)
          peer.socket.write(parts.subarray(0, size))
          const waiting = yield* Effect.fork(Effect.flip(socket.receive))
          yield* Effect.repeatN(turn, 3)
          peer.socket[how]()
          const error = yield* socket.closed
          if (how === "end") assert.deepInclude(error, { _tag: "ConnectionClosed", clean: false, received: undefined })
          else assert.deepInclude(error, { _tag: "TransportError", operation: "read" })
          const told = [yield* Fiber.join(waiting), yield* Effect.flip(socket.send("a")), yield* socket.closed]
          for (const one of told) assert.strictEqual(one, error)
        }
      }
    }))

  test(`${role} that nobody listens to brings no error to the process, however the peer ends (attack case 57)`, () =>
    Effect.gen(function* () {
      const uncaught: Array<unknown> = []
      const note = (error: unknown) => void uncaught.push(error)
      const events = ["uncaughtException", "unhandledRejection", "warning"] as const
      for (const name of events) process.on(name, note)
      const endings: ReadonlyArray<(peer: RawPeer, socket: WebSocket) => void> = [
        (peer) => peer.send("ff ff"),
        (peer) => peer.socket.resetAndDestroy(),
        (peer) => (peer.send(frame(role, 0x81, "a")), peer.socket.resetAndDestroy()),
        (peer) => (peer.send(frame(role, 0x88, Buffer.of(3))), peer.socket.resetAndDestroy()),
        (peer, socket) => (
          Effect.runFork(Effect.ignore(socket.send(Buffer.alloc(1e6)))),
          peer.socket.resetAndDestroy()
        ),
        (peer, socket) => (peer.socket.destroy(), Effect.runFork(Effect.ignore(socket.send(Buffer.alloc(1e6)))))
      ]
      for (const end of endings) {
        const { peer, socket } = yield* open(role, { closeTimeout: 100 })
        end(peer, socket)
        yield* socket.closed
        yield* Effect.repeatN(turn, 3)
      }
      for (const name of events) process.off(name, note)
      assert.deepStrictEqual(uncaught, [])
    }))
})

describe("Attack cases of messages: a server of many", () => {
  const floods: ReadonlyArray<[what: string, frame: Buffer]> = [
    ["Pongs", masked(0x8a, "")],
    ["empty messages", masked(0x81, "")]
  ]
  for (const [what, one] of floods) {
    test(`server answers others while 40 flood it with ${what} of 6 bytes (attack case 47)`, () =>
      Effect.gen(function* () {
        const order: Array<string> = []
        const { port } = yield* serve(NodeWebSocketServer.layer(), (exchange) =>
          Effect.flatMap(WebSockets.accept(exchange), (socket) =>
            WebSockets.run(socket, (message) => {
              if (message.byteLength === 0) return
              const said = new TextDecoder().decode(message.bytes)
              order.push(said)
              return socket.send(message)
            })
          )
        )
        const flooders = yield* Effect.replicateEffect(rawOpen({ port }), 40)
        const echoing = yield* rawOpen({ port })
        const flood = repeat(one, (5 * readSize) / 6)
        // It is read as little as possible of what comes back: the peers are in this process, too.
        for (const { socket } of flooders) socket.removeAllListeners("data").resume()
        for (const { socket } of flooders) {
          socket.write(flood)
          socket.write(masked(0x81, "last"))
        }
        echoing.send(masked(0x81, "echo"))
        assert.match(yield* echoing.nextFrame, /^1 65 63 68 6f$/)
        // Each flood lasts longer than a stream may be read at once: none has ended when the echo is sent.
        assert.strictEqual(order[0], "echo")
        yield* until(() => order.length === 41)
        for (const { socket } of [...flooders, echoing]) socket.destroy()
      }))
  }

  test("server that shuts down ends all connections, and those that aren't open yet (attack case 58)", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const begun = yield* Deferred.make<void>()
      const { port } = yield* Scope.extend(
        serve(NodeWebSocketServer.layer(), (exchange) =>
          exchange.request.path === "/slow"
            ? Effect.zipRight(Deferred.succeed(begun, undefined), Effect.never)
            : Effect.flatMap(WebSockets.accept(exchange), ({ closed }) => closed)
        ),
        scope
      )
      const opened = yield* Effect.replicateEffect(rawOpen({ port }), 3)
      const pending = yield* rawClient({ port })
      pending.send(Buffer.from(upgradeRequest.replace("GET /", "GET /slow")))
      yield* Deferred.await(begun)
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      for (const peer of opened.slice(1)) {
        assert.strictEqual(yield* peer.nextFrame, "8 03 e9")
        yield* dismiss("server", peer)
      }
      // This one goes on, and never answers.
      const [silent] = opened
      assert.strictEqual(yield* silent!.nextFrame, "8 03 e9")
      silent!.send(masked(0x81, "still here"))
      const answer = yield* pending.next
      assert.match(answer._tag === "Head" ? answer.head : answer._tag, /^HTTP\/1\.1 503 /)
      yield* Fiber.join(closing)
      const late = yield* rawClient({ port })
      assert.strictEqual((yield* late.next)._tag, "Closed")
      assert.isTrue(Option.isSome(yield* closing.poll))
    }))
})

describe("Attack cases of messages: a stream among others", () => {
  const sizes = [4 * readSize, 10, readSize]

  /** A transport over a stream, and what it tells. */
  const transportOf = (duplex: PassThrough, onChunk: (transport: Transport, size: number) => void) => {
    const transport = NodeTransport.make(duplex)
    const events: Array<string> = []
    transport.start({
      chunk: (chunk) => {
        events.push(`${chunk.length}`)
        onChunk(transport, chunk.length)
      },
      end: () => void events.push("end"),
      drained: () => {},
      closed: () => void events.push("closed")
    })
    return { events, transport }
  }

  it.live("transport gives way after 256 KiB, and delivers the rest and the end in order (attack case 47)", () =>
    Effect.gen(function* () {
      const order: Array<string> = []
      const [large, small] = [sizes, [5]].map((chunks) => {
        const duplex = new PassThrough({ highWaterMark: 1e6 })
        for (const size of chunks) duplex.write(Buffer.alloc(size))
        duplex.end()
        return duplex
      })
      const { events } = transportOf(large!, (_, size) => void order.push(`large ${size}`))
      transportOf(small!, (_, size) => void order.push(`small ${size}`))
      yield* until(() => events.includes("closed"))
      assert.deepStrictEqual(events, [...sizes.map(String), "end", "closed"])
      assert.deepStrictEqual(order, ["large 262144", "small 5", "large 10", "large 65536"])
    })
  )

  it.live("transport that gives way stays paused when its owner paused it meanwhile (attack case 47)", () =>
    Effect.gen(function* () {
      const duplex = new PassThrough({ highWaterMark: 1e6 })
      const { events, transport } = transportOf(duplex, (own, size) => (size === sizes[0] ? own.pause() : undefined))
      for (const size of sizes) duplex.write(Buffer.alloc(size))
      yield* Effect.repeatN(turn, 5)
      assert.deepStrictEqual(events, [`${sizes[0]}`])
      transport.resume()
      transport.pause()
      transport.resume()
      yield* Effect.repeatN(turn, 5)
      assert.deepStrictEqual(events, sizes.map(String))
      transport.destroy()
      yield* Effect.repeatN(turn, 2)
      assert.deepStrictEqual(events, [...sizes.map(String), "closed"])
    })
  )

  it.live("transport that is destroyed while it gives way says and leaves nothing more (attack case 47)", () =>
    Effect.gen(function* () {
      const duplex = new PassThrough({ highWaterMark: 1e6 })
      const { events, transport } = transportOf(duplex, (own) => own.destroy())
      for (const size of sizes) duplex.write(Buffer.alloc(size))
      yield* Effect.repeatN(turn, 5)
      assert.deepStrictEqual(events, [`${sizes[0]}`, "closed"])
      transport.resume()
      yield* turn
      assert.strictEqual(events.length, 2)
    }).pipe(withoutLeaks)
  )
})
