/** The same scenarios over every kind of transport, in both roles, with the same outcomes. */
import type { Message } from "@effect-ws/core/Message"
import * as MessageStream from "@effect-ws/api/MessageStream"
import type { Transport } from "@effect-ws/api/Transport"
import type { AcceptOptions } from "@effect-ws/api/AcceptOptions"
import type { HandshakeOptions } from "@effect-ws/api/ConnectOptions"
import * as WebSocket from "@effect-ws/api/WebSocket"
import type { WebSocketError } from "@effect-ws/api/WebSocketError"
import * as CloseReason from "@effect-ws/core/CloseReason"
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Crypto from "node:crypto"
import { withoutLeaks } from "./support/leaks.ts"
import { turn, until } from "./support/sockets.ts"
import { type TransportPair, transportPairs } from "./support/transportPairs.ts"

type Role = "client" | "server"

const roles: ReadonlyArray<Role> = ["client", "server"]

/** The one whose role it is about, and the other. */
interface Two {
  readonly mine: WebSocket.WebSocket
  readonly other: WebSocket.WebSocket
}

const describeMessage = (message: Message): string =>
  message._tag === "Text" ? `text ${message.text}` : `binary ${Buffer.from(message.bytes).toString("hex")}`

const digest = (bytes: Uint8Array): string => Crypto.createHash("sha256").update(bytes).digest("hex")

/** What an end says, in short. The cause of a loss is the transport's own. */
const describeEnd = (end: WebSocketError): string =>
  end._tag === "ConnectionClosed"
    ? `${end.clean ? "clean" : "unclean"}, begun by ${end.initiator}: sent ${code(end.sent)}, received ${code(end.received)}`
    : end._tag

const code = (reason: CloseReason.Input | undefined): string =>
  reason === undefined ? "nothing" : `${"code" in reason ? reason.code : "none"} ${reason.reason ?? ""}`.trim()

const echo = (socket: WebSocket.WebSocket) => WebSocket.run(socket, (message) => socket.send(message))

// Megabytes that don't repeat, so that nothing out of place goes unnoticed.
const large = (() => {
  const bytes = new Uint8Array(4 * 1024 * 1024)
  for (let i = 0; i < bytes.length; i++) bytes[i] = (i * 31 + (i >> 8) * 7 + (i >> 16) * 13) & 0xff
  return bytes
})()

const pieces = Array.from({ length: 64 }, (_, i) => large.subarray(i * 65_536, (i + 1) * 65_536))

/** Goes round the event loop until the system has taken all that was sent. */
const untilTaken = (socket: WebSocket.WebSocket): Effect.Effect<void> =>
  Effect.flatMap(socket.status, ({ outgoing }) =>
    outgoing === 0 ? Effect.void : Effect.zipRight(turn, untilTaken(socket))
  )

/** What two who know each other do, and what comes of it. */
interface Scenario {
  readonly run: (two: Two) => Effect.Effect<unknown, unknown, Scope.Scope>
  readonly outcome: unknown
  readonly options?: AcceptOptions & Omit<HandshakeOptions, "host">
}

const scenarios: Record<string, Scenario> = {
  "gets back texts and bytes, empty ones too, in order": {
    run: ({ mine, other }) =>
      Effect.gen(function* () {
        yield* Effect.forkScoped(echo(other))
        for (const data of ["Grüße, €, 😀", Uint8Array.of(0, 255), "", new Uint8Array(0), "x".repeat(126)]) {
          yield* mine.send(data)
        }
        return (yield* Effect.replicateEffect(mine.receive, 5)).map(describeMessage)
      }),
    outcome: ["text Grüße, €, 😀", "binary 00ff", "text ", "binary ", `text ${"x".repeat(126)}`]
  },
  "gets back a thousand messages in order": {
    run: ({ mine, other }) =>
      Effect.gen(function* () {
        yield* Effect.forkScoped(echo(other))
        const numbers = Array.from({ length: 1000 }, (_, i) => `${i}`)
        yield* Effect.fork(Effect.forEach(numbers, (number) => mine.send(number), { discard: true }))
        const received = yield* Effect.replicateEffect(mine.receive, 1000)
        return received.every((message, i) => describeMessage(message) === `text ${i}`)
      }),
    outcome: true
  },
  "gets back 4 MiB": {
    run: ({ mine, other }) =>
      Effect.gen(function* () {
        yield* Effect.forkScoped(echo(other))
        yield* Effect.fork(mine.send(large))
        const { _tag, bytes } = yield* mine.receive
        return [_tag, bytes.length, digest(bytes)]
      }),
    outcome: ["Binary", large.length, digest(large)]
  },
  "sends in fragments what comes as one message": {
    run: ({ mine, other }) =>
      Effect.gen(function* () {
        yield* mine.sendStream(MessageStream.text(Stream.make("Grü", "ße", "", ", 😀")), { fragmentSize: 3 })
        yield* mine.send("next")
        return (yield* Effect.replicateEffect(other.receive, 2)).map(describeMessage)
      }),
    outcome: ["text Grüße, 😀", "text next"]
  },
  "streams both ways at once": {
    run: ({ mine, other }) =>
      Effect.gen(function* () {
        const give = (socket: WebSocket.WebSocket) =>
          socket.sendStream(MessageStream.binary(Stream.fromIterable(pieces)), { fragmentSize: 50_000 })
        const take = (socket: WebSocket.WebSocket) =>
          Effect.scoped(
            Effect.gen(function* () {
              const incoming = yield* socket.receiveStream
              const hash = Crypto.createHash("sha256")
              yield* Stream.runForEach(incoming.bytes, (piece) => Effect.sync(() => hash.update(piece)))
              return `${incoming._tag} ${hash.digest("hex")}`
            })
          )
        const all = yield* Effect.all([take(mine), take(other), give(mine), give(other)], { concurrency: "unbounded" })
        return all.slice(0, 2)
      }),
    outcome: [`Binary ${digest(large)}`, `Binary ${digest(large)}`]
  },
  "gets the Pong to its Ping, which the other may see": {
    run: ({ mine, other }) =>
      Effect.gen(function* () {
        const seen = yield* Effect.fork(Stream.runHead(other.controlFrames))
        yield* turn
        const took = yield* mine.ping(Uint8Array.of(1, 2, 3))
        return [Duration.isDuration(took), (yield* Fiber.join(seen)).pipe((frame) => frame._tag)]
      }),
    outcome: [true, "Some"]
  },
  "closes, and both know who began": {
    run: ({ mine, other }) =>
      Effect.gen(function* () {
        const theirs = yield* Effect.fork(Effect.flip(other.receive))
        const end = yield* mine.close({ code: 4001, reason: "genug, €" })
        return [describeEnd(end), describeEnd(yield* Fiber.join(theirs)), describeEnd(yield* other.closed)]
      }),
    outcome: [
      "clean, begun by local: sent 4001 genug, €, received 4001",
      "unclean, begun by peer: sent 4001, received 4001 genug, €",
      "unclean, begun by peer: sent 4001, received 4001 genug, €"
    ]
  },
  "is closed by the other": {
    run: ({ mine, other }) =>
      Effect.gen(function* () {
        const running = yield* Effect.fork(echo(mine))
        const end = yield* other.close()
        return [describeEnd(end), describeEnd(yield* mine.closed), (yield* Fiber.await(running))._tag]
      }),
    outcome: [
      "clean, begun by local: sent 1000, received 1000",
      "clean, begun by peer: sent 1000, received 1000",
      "Success"
    ]
  },
  "closes without a code": {
    run: ({ mine, other }) =>
      Effect.gen(function* () {
        const end = yield* mine.close(CloseReason.none)
        return [end.clean, end.received?.code, (yield* other.closed)._tag]
      }),
    outcome: [true, 1005, "ConnectionClosed"]
  },
  "closes at the same time as the other": {
    run: ({ mine, other }) =>
      Effect.map(
        Effect.all([mine.close({ code: 4001 }), other.close({ code: 4002 })], { concurrency: "unbounded" }),
        (ends) => ends.map(describeEnd)
      ),
    outcome: ["clean, begun by local: sent 4001, received 4002", "clean, begun by local: sent 4002, received 4001"]
  },
  "gets what came before the end, and then the end": {
    run: ({ mine, other }) =>
      Effect.gen(function* () {
        for (const text of ["a", "b", "c"]) yield* other.send(text)
        const closing = yield* Effect.fork(other.close({ code: 1001 }))
        const texts = yield* Effect.replicateEffect(mine.receive, 3)
        const end = yield* Effect.flip(mine.receive)
        yield* Fiber.join(closing)
        return [...texts.map(describeMessage), describeEnd(end)]
      }),
    outcome: ["text a", "text b", "text c", "clean, begun by peer: sent 1001, received 1001"]
  },
  "destroys the connection, and the other notices": {
    run: ({ mine, other }) =>
      Effect.gen(function* () {
        const theirs = yield* Effect.fork(Effect.flip(other.receive))
        yield* mine.destroy
        return [describeEnd(yield* mine.closed), describeEnd(yield* Fiber.join(theirs)), (yield* mine.status).state]
      }),
    outcome: [
      "unclean, begun by local: sent nothing, received nothing",
      "unclean, begun by peer: sent nothing, received nothing",
      "closed"
    ]
  },
  "waits for a reader that is slow, and then loses nothing": {
    options: { sendHighWaterMark: 64 * 1024, inboxHighWaterMark: 64 * 1024 },
    run: ({ mine, other }) =>
      Effect.gen(function* () {
        let sent = 0
        const rounds = Array.from({ length: 8 }, () => pieces).flat()
        const sending = yield* Effect.fork(
          Effect.forEach(rounds, (piece) => Effect.tap(mine.send(piece), () => sent++), { discard: true })
        )
        // Until nothing moves any more.
        for (let last = -1, still = 0; still < 100; still = sent === last ? still + 1 : 0, last = sent) yield* turn
        const { isPaused } = yield* other.status
        const before = [sent < rounds.length, isPaused, (yield* mine.status).outgoing >= 64 * 1024]
        let isWhole = true
        for (const piece of rounds) {
          const { bytes } = yield* other.receive
          isWhole &&= Buffer.compare(bytes, piece) === 0
        }
        yield* Fiber.join(sending)
        yield* until(() => sent === rounds.length)
        yield* untilTaken(mine)
        return [...before, isWhole, (yield* other.status).incoming]
      }),
    outcome: [true, true, true, true, 0]
  }
}

/** Both ends with our own handshake between them. */
const open = ({ client, server }: TransportPair, role: Role, options: Scenario["options"] = {}) =>
  Effect.map(
    Effect.all(
      [WebSocket.handshake(client, { host: "localhost", ...options }), WebSocket.acceptTransport(server, options)],
      { concurrency: "unbounded" }
    ),
    ([near, far]): Two => (role === "client" ? { mine: near, other: far } : { mine: far, other: near })
  )

/** The other end as bare bytes. */
class Wire {
  received: Buffer = Buffer.alloc(0)
  hasEnded = false
  isClosed = false
  readonly transport: Transport

  constructor(transport: Transport) {
    this.transport = transport
    transport.start({
      chunk: (bytes) => {
        this.received = Buffer.concat([this.received, bytes])
      },
      end: () => {
        this.hasEnded = true
      },
      drained: () => {},
      closed: () => {
        this.isClosed = true
      }
    })
    transport.resume()
  }

  write(...parts: ReadonlyArray<Uint8Array>): void {
    this.transport.write(parts)
  }

  /** Takes the head of a request or response. */
  readonly head: Effect.Effect<string> = Effect.suspend(() =>
    Effect.map(
      until(() => this.received.includes("\r\n\r\n")),
      () => {
        const end = this.received.indexOf("\r\n\r\n")
        const head = this.received.toString("latin1", 0, end)
        this.received = this.received.subarray(end + 4)
        return head
      }
    )
  )

  /** The first and the last bytes of frames, which is what isn't masked, or only as long as they come. */
  awaitBytes(count: number): Effect.Effect<void> {
    return until(() => this.received.length >= count || this.isClosed)
  }
}

interface RawScenario {
  /** What the wire writes right behind its head, in the same go. */
  readonly behindHead?: (frame: Framing) => ReadonlyArray<Uint8Array>
  readonly run: (given: {
    readonly mine: WebSocket.WebSocket
    readonly wire: Wire
    readonly frame: Framing
  }) => Effect.Effect<unknown, unknown, Scope.Scope>
  readonly outcome: unknown
}

/** Makes a frame as the role has to: first byte, payload. */
type Framing = (first: number, payload: string | Uint8Array) => Buffer

// A key of zeros is a key, and changes nothing.
const framing =
  (isClient: boolean): Framing =>
  (first, payload) => {
    const bytes = Buffer.from(payload as string)
    const header = isClient ? [first, 0x80 | bytes.length, 0, 0, 0, 0] : [first, bytes.length]
    return Buffer.concat([Uint8Array.from(header), bytes])
  }

const rawScenarios: Record<string, RawScenario> = {
  "gets what came right behind the head": {
    behindHead: (frame) => [frame(0x81, "a"), frame(0x01, "b"), frame(0x80, "c"), frame(0x82, "d").subarray(0, 2)],
    run: ({ frame, mine, wire }) =>
      Effect.gen(function* () {
        const texts = yield* Effect.replicateEffect(mine.receive, 2)
        wire.write(frame(0x82, "d").subarray(2))
        return [...texts, yield* mine.receive].map(describeMessage)
      }),
    outcome: ["text a", "text bc", "binary 64"]
  },
  "gets a whole message of single bytes, each written alone": {
    run: ({ frame, mine, wire }) =>
      Effect.gen(function* () {
        for (const byte of Buffer.concat([frame(0x01, "Grü"), frame(0x89, "!"), frame(0x80, "ße")])) {
          wire.write(Uint8Array.of(byte))
          yield* turn
        }
        return describeMessage(yield* mine.receive)
      }),
    outcome: "text Grüße"
  },
  "gets what came before the half of the peer ends, tells that it ended without a word, and ends its own half": {
    run: ({ frame, mine, wire }) =>
      Effect.gen(function* () {
        wire.write(frame(0x81, "last"))
        wire.transport.end()
        const message = yield* mine.receive
        const end = yield* Effect.flip(mine.receive)
        yield* until(() => wire.hasEnded && wire.isClosed)
        return [describeMessage(message), describeEnd(end), describeEnd(yield* mine.closed)]
      }),
    outcome: [
      "text last",
      "unclean, begun by peer: sent nothing, received nothing",
      "unclean, begun by peer: sent nothing, received nothing"
    ]
  },
  "answers a Close frame although the half of the peer has ended behind it": {
    run: ({ frame, mine, wire }) =>
      Effect.gen(function* () {
        wire.write(frame(0x88, Uint8Array.of(0x03, 0xe8)))
        wire.transport.end()
        const end = yield* mine.closed
        yield* until(() => wire.isClosed)
        return [describeEnd(end), wire.received[0]]
      }),
    outcome: ["clean, begun by peer: sent 1000, received 1000", 0x88]
  },
  "fails the connection for a fault, and says so before it ends": {
    run: ({ frame, mine, wire }) =>
      Effect.gen(function* () {
        wire.write(frame(0x81, "good"), frame(0xf1, "bad"))
        const message = yield* mine.receive
        const end = yield* Effect.flip(mine.receive)
        yield* until(() => wire.hasEnded)
        wire.transport.end()
        yield* until(() => wire.isClosed)
        return [describeMessage(message), describeEnd(end), wire.received[0]]
      }),
    outcome: ["text good", "ProtocolError", 0x88]
  },
  "notices the loss of the peer": {
    run: ({ mine, wire }) =>
      Effect.gen(function* () {
        wire.transport.destroy()
        return [(yield* Effect.flip(mine.receive))._tag, (yield* mine.status).state === "open"]
      }),
    outcome: ["ConnectionClosed", false]
  }
}

const lines = (...texts: ReadonlyArray<string>): Buffer => Buffer.from(`${texts.join("\r\n")}\r\n\r\n`, "latin1")

const acceptOf = (head: string): string => {
  const key = /^Sec-WebSocket-Key: (.*)$/im.exec(head)![1]!.trim()
  return Crypto.createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64")
}

/** Our own end in the given role, and the other one by hand. */
const openRaw = ({ client, server }: TransportPair, role: Role, { behindHead = () => [] }: RawScenario) => {
  const frame = framing(role === "server")
  const behind = behindHead(frame)
  if (role === "server") {
    const wire = new Wire(client)
    const request = lines(
      "GET / HTTP/1.1",
      "Host: localhost",
      "Upgrade: websocket",
      "Connection: Upgrade",
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
      "Sec-WebSocket-Version: 13"
    )
    return Effect.gen(function* () {
      wire.write(Buffer.concat([request, ...behind]))
      const mine = yield* WebSocket.acceptTransport(server)
      yield* wire.head
      return { mine, wire, frame }
    })
  }
  const wire = new Wire(server)
  return Effect.gen(function* () {
    const opening = yield* Effect.fork(WebSocket.handshake(client, { host: "localhost" }))
    const accept = acceptOf(yield* wire.head)
    const response = lines(
      "HTTP/1.1 101 Switching Protocols",
      "Upgrade: websocket",
      "Connection: Upgrade",
      `Sec-WebSocket-Accept: ${accept}`
    )
    wire.write(Buffer.concat([response, ...behind]))
    return { mine: yield* Fiber.join(opening), wire, frame }
  })
}

for (const [kind, make] of Object.entries(transportPairs)) {
  for (const role of roles) {
    describe(`${role} over ${kind}`, () => {
      for (const [name, { options, outcome, run }] of Object.entries(scenarios)) {
        it.scopedLive(`${role} ${name}`, () =>
          Effect.gen(function* () {
            const pair = yield* make
            const result = yield* Effect.scoped(
              Effect.flatMap(open(pair, role, options), (two) =>
                // Whoever has read before and doesn't now makes a closing handshake wait for a second.
                Effect.zipLeft(run(two), Effect.all([two.mine.destroy, two.other.destroy]))
              )
            )
            assert.deepStrictEqual(result, outcome)
          }).pipe(Effect.scoped, withoutLeaks)
        )
      }
      for (const [name, scenario] of Object.entries(rawScenarios)) {
        it.scopedLive(`${role} ${name}`, () =>
          Effect.gen(function* () {
            const pair = yield* make
            const result = yield* Effect.scoped(
              Effect.flatMap(openRaw(pair, role, scenario), (given) =>
                // The wire answers no Close frame, for which a release waits for a second.
                Effect.zipLeft(scenario.run(given), given.mine.destroy)
              )
            )
            assert.deepStrictEqual(result, scenario.outcome)
          }).pipe(Effect.scoped, withoutLeaks)
        )
      }
    })
  }
}
