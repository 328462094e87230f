/**
 * The page that sets our errors beside those of Boost.Beast shows tables; here they are made from the code, and compared.
 * Every row of a frame is bytes, written by hand, that go through core alone and through a connection.
 */
import type * as MemoryTransport from "@effect-ws/api/testing/MemoryTransport"
import * as PermessageDeflate from "@effect-ws/api/PermessageDeflate"
import type { WebSocketError } from "@effect-ws/api/WebSocketError"
import * as NodeDeflate from "@effect-ws/platform-node/NodeDeflate"
import type * as Message from "@effect-ws/core/Message"
import * as Protocol from "@effect-ws/core/Protocol"
import type { ProtocolFault } from "@effect-ws/core/ProtocolFault"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import * as TestContext from "effect/TestContext"
import { assert, describe, it } from "vitest"
import { openCompressing } from "../packages/api/test/support/compressing.ts"
import { open, type Opened, type OpenOptions, type Role } from "../packages/api/test/support/connections.ts"
import { leavesNothing, settled } from "../packages/api/test/support/leaks.ts"
import * as Beast from "../packages/core/test/support/beastHandshake.ts"
import { deflated } from "../packages/core/test/support/deflate/deflated.ts"
import { hex, toHex } from "../packages/core/test/support/Hex.ts"
import { tablesOf } from "./support/page.ts"

const tableUnder = tablesOf("beast-errors.md")

/** All of `boost::beast::websocket::error` but the numbers of the opening handshake, which has a table of its own. */
const enumerators: Readonly<Record<string, number>> = {
  closed: 1,
  unused1: 2,
  unused2: 3,
  buffer_overflow: 4,
  partial_deflate_block: 5,
  message_too_big: 6,
  ...Beast.enumerators,
  bad_opcode: 21,
  bad_data_frame: 22,
  bad_continuation: 23,
  bad_reserved_bits: 24,
  bad_control_fragment: 25,
  bad_control_size: 26,
  bad_unmasked_frame: 27,
  bad_masked_frame: 28,
  bad_size: 29,
  bad_frame_payload: 30,
  bad_close_code: 31,
  bad_close_size: 32,
  bad_close_payload: 33
}

const named = (enumerator: string): string => {
  const number = enumerators[enumerator]
  return number === undefined ? enumerator : `${number} ${enumerator}`
}

// --- bytes --------------------------------------------------------------------------------------------------------------

interface Row {
  readonly enumerator: string
  readonly about: string
  /** What each role is sent, as spaced hex; a case without one has no meaning for that role. */
  readonly server?: string
  readonly client?: string
  /** What Beast does, where we do otherwise on purpose. */
  readonly beast?: string
  /** Whether our own Close frame, with 1000, is sent before. */
  readonly isClosing?: boolean
  /** Whether permessage-deflate was agreed on, without takeover. */
  readonly isCompressing?: boolean
}

/** A masking key that changes nothing. */
const k = "00 00 00 00"

/** What is taken as a message in these cases, in bytes. */
const limit = 1024
const atLimit = " 00".repeat(limit)

/** A frame of the same bytes for both roles, but for the mask: `start` is its first byte, and `length` the second. */
const frame = (start: string, length: number, payload = ""): { readonly server: string; readonly client: string } => ({
  server: `${start} ${(0x80 | length).toString(16)} ${k} ${payload}`,
  client: `${start} ${length.toString(16).padStart(2, "0")} ${payload}`
})

/** A frame whose length takes 16 or 64 bits. */
const extended = (
  start: string,
  length: string,
  payload = ""
): { readonly server: string; readonly client: string } => {
  const short = length.split(" ").length === 2 ? 126 : 127
  return {
    server: `${start} ${(0x80 | short).toString(16)} ${length} ${k} ${payload}`,
    client: `${start} ${short.toString(16)} ${length} ${payload}`
  }
}

const inSequence = (...frames: ReadonlyArray<{ readonly server: string; readonly client: string }>) => ({
  server: frames.map(({ server }) => server).join(" "),
  client: frames.map(({ client }) => client).join(" ")
})

const closeWith = (code: number, reason = "") => {
  const size = 2 + reason.split(" ").filter((byte) => byte !== "").length
  return frame(
    "88",
    size,
    `${code
      .toString(16)
      .padStart(4, "0")
      .replace(/(..)(..)/, "$1 $2")} ${reason}`
  )
}

const fragment = frame("01", 0)

const frameRows: ReadonlyArray<Row> = [
  { enumerator: "bad_opcode", about: "the reserved data opcode 3", ...frame("83", 0) },
  { enumerator: "bad_opcode", about: "the reserved control opcode 15", ...frame("8f", 0) },
  { enumerator: "bad_data_frame", about: "a text inside another message", ...inSequence(fragment, frame("81", 0)) },
  { enumerator: "bad_continuation", about: "a continuation of nothing", ...frame("80", 0) },
  { enumerator: "bad_reserved_bits", about: "RSV1 on a text", ...frame("c1", 0) },
  { enumerator: "bad_reserved_bits", about: "RSV2 on a continuation", ...inSequence(fragment, frame("a0", 0)) },
  { enumerator: "bad_reserved_bits", about: "RSV3 on a Ping", ...frame("99", 0) },
  { enumerator: "bad_control_fragment", about: "a Ping without FIN", ...frame("09", 0) },
  { enumerator: "bad_control_size", about: "a Pong of 126 bytes", ...extended("8a", "00 7e") },
  { enumerator: "bad_unmasked_frame", about: "a frame without a mask", server: "81 00" },
  { enumerator: "bad_masked_frame", about: "a frame with a mask", client: `81 80 ${k}` },
  { enumerator: "accepted", about: "a masking key of zero", server: `81 81 ${k} 41` },
  { enumerator: "bad_size", about: "a length of 125 in 16 bits", ...extended("82", "00 7d") },
  { enumerator: "bad_size", about: "a length of 65535 in 64 bits", ...extended("82", "00 00 00 00 00 00 ff ff") },
  {
    enumerator: "bad_size",
    about: "a length with its highest bit set",
    ...extended("82", "80 00 00 00 00 00 00 00")
  }
]

const messageRows: ReadonlyArray<Row> = [
  { enumerator: "accepted", about: "a message at the limit", ...extended("82", "04 00", atLimit) },
  { enumerator: "message_too_big", about: "a message that is announced above it", ...extended("82", "04 01") },
  {
    enumerator: "message_too_big",
    about: "fragments that are above it together",
    ...inSequence(extended("02", "04 00", atLimit), frame("80", 1))
  },
  {
    enumerator: "message_too_big",
    about: "a length that no number of JavaScript counts",
    ...extended("82", "00 20 00 00 00 00 00 00")
  },
  { enumerator: "bad_frame_payload", about: "a text that is not UTF-8", ...frame("81", 1, "ff") },
  { enumerator: "bad_frame_payload", about: "half of a surrogate pair", ...frame("81", 3, "ed a0 80") },
  { enumerator: "bad_frame_payload", about: "the same in the first bytes of a long frame", ...frame("81", 9, "ed a0") },
  { enumerator: "bad_frame_payload", about: "a text that ends inside a character", ...frame("81", 1, "c3") },
  {
    enumerator: "accepted",
    about: "the same, with an empty fragment at the end",
    ...inSequence(frame("01", 1, "c3"), frame("80", 0)),
    beast: "takes it, and checks the next text wrongly"
  },
  { enumerator: "accepted", about: "the last character of a plane, U+FFFF", ...frame("81", 3, "ef bf bf") }
]

const closeRows: ReadonlyArray<Row> = [
  { enumerator: "closed", about: "a Close frame with 1000", ...closeWith(1000) },
  { enumerator: "closed", about: "one with 4000 and a reason", ...closeWith(4000, "62 79 65") },
  { enumerator: "closed", about: "one with 1014, which is younger than the RFC", ...closeWith(1014) },
  { enumerator: "closed", about: "one with an empty payload", ...frame("88", 0), beast: "answers with 1000" },
  {
    enumerator: "closed",
    about: "one with 1000, and a broken frame behind it",
    ...inSequence(closeWith(1000), frame("83", 0))
  },
  { enumerator: "bad_close_code", about: "one with 999", ...closeWith(999) },
  ...[1004, 1005, 1006, 1015, 1016, 2999].map((code) => ({
    enumerator: "bad_close_code",
    about: `one with ${code}`,
    ...closeWith(code)
  })),
  ...[5000, 65535].map((code) => ({
    enumerator: "closed",
    about: `one with ${code}`,
    ...closeWith(code),
    beast: "takes every code from 3000 on"
  })),
  { enumerator: "bad_close_size", about: "one with a single byte", ...frame("88", 1, "03") },
  {
    enumerator: "bad_close_payload",
    about: "one with a reason that is not UTF-8",
    ...closeWith(1000, "ff"),
    beast: "answers with 1002"
  },
  {
    enumerator: "accepted",
    about: "while we close: a message, and then the Close frame",
    ...inSequence(frame("81", 1, "41"), closeWith(1000)),
    isClosing: true,
    beast: "drops the message"
  },
  {
    enumerator: "bad_opcode",
    about: "while we close: a reserved opcode",
    ...frame("83", 0),
    isClosing: true
  }
]

/** What Beast does when zlib says no. */
const noClose = "sends no Close frame, and leaves the socket open"

const orderRows: ReadonlyArray<Row> = [
  {
    enumerator: "bad_data_frame",
    about: "a text inside another message, with RSV1",
    ...inSequence(fragment, frame("c1", 0)),
    beast: "looks at the message first"
  },
  {
    enumerator: "bad_continuation",
    about: "a continuation of nothing, with RSV1",
    ...frame("c0", 0),
    beast: "looks at the message first"
  },
  {
    enumerator: "bad_control_fragment",
    about: "a Ping without FIN, with RSV1",
    ...frame("49", 0),
    beast: "looks at FIN first"
  },
  {
    enumerator: "bad_control_fragment",
    about: "a Ping without FIN and without a mask",
    server: "09 00",
    beast: "looks at the mask last"
  },
  {
    enumerator: "bad_control_fragment",
    about: "a Ping without FIN and with a mask",
    client: `09 80 ${k}`,
    beast: "looks at the mask last"
  },
  {
    enumerator: "needs more",
    about: "two bytes of a masked header, with RSV1",
    server: "c1 81",
    beast: "waits for the mask before it looks"
  }
]

/** A frame that begins a compressed message: RSV1, and a payload in spaced hex. */
const compressed = (payload: string, start = "c1") =>
  frame(start, payload.split(" ").filter((byte) => byte !== "").length, payload)

const bomb = compressed(toHex(deflated(new Uint8Array(1025))), "c2")

const compressionRows: ReadonlyArray<Row> = (
  [
    { enumerator: "accepted", about: "Hello, compressed", ...compressed("f2 48 cd c9 c9 07 00") },
    { enumerator: "accepted", about: "an empty message", ...compressed("00") },
    {
      enumerator: "accepted",
      about: "a block that says that it is the last one",
      ...compressed("f3 48 cd c9 c9 07 00 00"),
      beast: "fails with zlib::error::end_of_stream"
    },
    { enumerator: "message_too_big", about: "a message above the limit when it has come out", ...bomb },
    { enumerator: "bad_frame_payload", about: "a text that is not UTF-8 then", ...compressed("fa 0f 00") },
    { enumerator: "zlib::error", about: "a block of the reserved type", ...compressed("07"), beast: noClose },
    {
      enumerator: "zlib::error",
      about: "a stored block whose lengths differ",
      ...compressed("00 01 00 01 00 41"),
      beast: noClose
    },
    {
      enumerator: "zlib::error",
      about: "a distance from before the beginning",
      ...compressed("4b 04 42 00"),
      beast: noClose
    },
    { enumerator: "bad_reserved_bits", about: "RSV1 on a continuation", ...inSequence(fragment, frame("c0", 0)) },
    { enumerator: "bad_reserved_bits", about: "RSV1 on a Ping", ...frame("c9", 0) }
  ] satisfies ReadonlyArray<Row>
).map((row) => ({ ...row, isCompressing: true }))

/** What becomes of a row: the error, the tag of its reason, and the code of our Close frame. */
interface Result {
  readonly error: string
  readonly reason: string
  readonly sent: string
}

const textOf = (code: number | undefined): string =>
  code === undefined ? "none" : code === 1005 ? "an empty one" : `${code}`

const classOf = ({ _tag }: { readonly _tag: ProtocolFault["_tag"] | "MessageTooBig" }): string =>
  _tag === "MessageTooBig" ? _tag : "ProtocolError"

const tellMessage = (message: Message.Message): string => `the message of ${message.byteLength}`

const [parameters] = PermessageDeflate.alternatives(true) as [PermessageDeflate.Alternative]

/** Core by itself. */
const inCore = (role: Role, bytes: Uint8Array, { isClosing, isCompressing }: Row): Result => {
  const maskingKeys = role === "client" ? () => 1 : undefined
  const deflate = isCompressing === true ? { codec: NodeDeflate.make(), parameters, threshold: 0 } : undefined
  const protocol = Protocol.make({ role, maskingKeys, maxMessageSize: limit, deflate })
  if (isClosing === true) protocol.close({ code: 1000, reason: "" })
  protocol.receive(new Uint8Array(bytes))
  const told: Array<string> = []
  const result = { error: "", reason: "", sent: textOf(protocol.closeSent?.code) }
  for (const event of protocol.takeEvents()) {
    if (event._tag === "Text" || event._tag === "Binary") told.push(tellMessage(event))
    else if (event._tag === "Failed") return { ...result, error: classOf(event.fault), reason: event.fault._tag }
    else if (event._tag === "Close") told.push(`code ${event.reason.code}`)
  }
  const error = protocol.closeReceived === undefined ? "" : "ConnectionClosed"
  return { ...result, error, reason: told.join(", ") }
}

/** The same through a connection: what `receive` gives, and what the peer is sent. */
const inConnection = (role: Role, bytes: Uint8Array, { isClosing, isCompressing }: Row): Promise<Result> =>
  running(
    Effect.gen(function* () {
      const opening = isCompressing === true ? openCompressing : open
      const { peer, socket } = yield* opening(role, { peer: { polite: false }, socket: { maxMessageSize: limit } })
      if (isClosing === true) yield* Effect.forkScoped(Effect.ignore(socket.close()))
      yield* settled
      peer.send(bytes)
      yield* settled
      const told: Array<string> = []
      const taking = yield* Effect.fork(
        Effect.flip(Effect.forever(Effect.map(socket.receive, (message) => told.push(tellMessage(message)))))
      )
      yield* settled
      const end = yield* taking.poll
      const error = end._tag === "None" ? undefined : yield* end.value
      const payload = peer.frames.find(({ opcode }) => opcode === 8)?.payload
      peer.destroy()
      yield* Fiber.interrupt(taking)
      const code = payload === undefined ? undefined : payload.length === 0 ? 1005 : (payload[0]! << 8) | payload[1]!
      return { ...tellError(error, told), sent: textOf(code) }
    })
  )

const tellError = (error: WebSocketError | undefined, told: ReadonlyArray<string>): Omit<Result, "sent"> => {
  if (error === undefined) return { error: "", reason: told.join(", ") }
  if (error._tag === "ProtocolError") return { error: error._tag, reason: error.reason._tag }
  if (error._tag === "MessageTooBig") return { error: error._tag, reason: error._tag }
  const code = error._tag === "ConnectionClosed" ? `code ${error.code}` : ""
  return { error: error._tag, reason: [...told, code].join(", ") }
}

const running = <A, E>(program: Effect.Effect<A, E, Scope.Scope>): Promise<A> =>
  Effect.runPromise(Effect.provide(leavesNothing(program), TestContext.TestContext))

const casesOf = (row: Row): ReadonlyArray<{ readonly role: Role; readonly bytes: Uint8Array }> =>
  (["server", "client"] as const).flatMap((role) => {
    const text = row[role]
    return text === undefined ? [] : [{ role, bytes: hex(text) }]
  })

const here = ({ error, reason }: Result): string => {
  if (error === "") return `received: ${reason}`
  return error === reason ? error : `${error}, ${reason}`
}

const cellsOf = (row: Row): ReadonlyArray<string> => {
  const [first] = casesOf(row)
  const result = inCore(first!.role, first!.bytes, row)
  const whose = row.server === undefined ? "client" : row.client === undefined ? "server" : "both"
  return [named(row.enumerator), row.about, whose, here(result), result.sent, row.beast ?? ""]
}

// --- what bytes alone don't show ----------------------------------------------------------------------------------------

/** What becomes of it is told by a scenario, as it is written in the table. */
interface EndRow {
  readonly beast: string
  readonly about: string
  readonly scenario: Effect.Effect<string, unknown, Scope.Scope>
  readonly onPurpose: string
}

const opened = (
  role: Role,
  options: OpenOptions,
  use: (opened: Opened) => Effect.Effect<unknown, unknown, Scope.Scope>
) =>
  Effect.gen(function* () {
    const all = yield* open(role, { ...options, peer: { polite: false } })
    yield* use(all)
    yield* settled
    all.peer.destroy()
    const error = yield* all.socket.closed
    const sent = all.peer.said.filter((text) => text.startsWith("close")).map((text) => text.split(" ")[1])
    const detail =
      error._tag === "ConnectionClosed"
        ? `, code ${error.code}`
        : error._tag === "ConnectionTimeout"
          ? `, ${error.phase}`
          : ""
    return `${error._tag}${detail}; ${sent.length === 0 ? "no Close frame" : `Close frame ${sent.join()}`}`
  })

const passing = (time: string) => () => Effect.zipRight(settled, TestClock.adjust(time as "1 minute"))

/** A pair of which an operation fails that comes long after the opening handshake. */
const failing: MemoryTransport.Options = { failAt: 40 }

const endRows: ReadonlyArray<EndRow> = [
  {
    beast: "beast::error::timeout",
    about: "the peer is silent for the idle timeout",
    scenario: opened("server", {}, passing("6 minutes")),
    onPurpose: "closes the socket without a Close frame"
  },
  {
    beast: "beast::error::timeout",
    about: "the peer doesn't answer our Close frame",
    scenario: opened("client", {}, ({ socket }) =>
      Effect.zipRight(Effect.forkScoped(Effect.ignore(socket.close())), passing("6 seconds")())
    ),
    onPurpose: ""
  },
  {
    beast: "asio::error::eof",
    about: "the transport ends without a Close frame",
    scenario: opened("client", {}, ({ peer }) => Effect.sync(() => peer.end())),
    onPurpose: "has no code 1006"
  },
  {
    beast: "asio::error::connection_reset",
    about: "the transport fails",
    scenario: opened("client", { pair: failing }, ({ peer }) =>
      Effect.repeatN(
        Effect.sync(() => peer.sendText("a")),
        40
      )
    ),
    onPurpose: ""
  },
  {
    beast: "asio::error::operation_aborted",
    about: "receive, send and close behind the error that ended the connection",
    scenario: Effect.gen(function* () {
      const { peer, socket } = yield* open("client")
      peer.send(peer.frame(3))
      const error = yield* socket.closed
      const others: ReadonlyArray<WebSocketError | { readonly _tag: "SendRejected" }> = [
        yield* Effect.flip(socket.receive),
        yield* Effect.flip(socket.send("a")),
        yield* Effect.flip(socket.close())
      ]
      return others.every((other) => other === error) ? "the same error again" : "another error"
    }),
    onPurpose: "hides the cause"
  },
  {
    beast: "asio::error::operation_aborted",
    about: "send behind our Close frame",
    scenario: Effect.gen(function* () {
      const { socket } = yield* open("client", { pair: { latency: "1 second" } }).pipe(moving)
      yield* Effect.forkScoped(Effect.ignore(socket.close()))
      yield* settled
      const error = yield* Effect.flip(socket.send("a"))
      yield* TestClock.adjust("10 seconds")
      return error._tag === "SendRejected" ? `${error._tag}, ${error.reason._tag}` : error._tag
    }),
    onPurpose: "lets it wait until the end"
  },
  {
    beast: "asio::error::operation_aborted",
    about: "a second close, during the first one or behind it",
    scenario: Effect.gen(function* () {
      const { socket } = yield* open("client")
      const both = yield* Effect.all([socket.close(), socket.close()], { concurrency: 2 })
      const outcomes = [...both, yield* socket.close()]
      return outcomes.every((outcome) => outcome === outcomes[0]) ? "the same outcome again" : "another outcome"
    }),
    onPurpose: "forbids the former and fails the latter"
  },
  {
    beast: "asio::error::operation_aborted",
    about: "a receive that is given up",
    scenario: Effect.gen(function* () {
      const { peer, socket } = yield* open("client")
      const given = yield* Effect.fork(socket.receive)
      yield* settled
      yield* Fiber.interrupt(given)
      peer.sendText("Hello")
      const message = yield* socket.receive
      return message._tag === "Text" && message.text === "Hello" ? "interrupted; the connection lives on" : "lost"
    }),
    onPurpose: "loses the connection"
  },
  {
    beast: "4 buffer_overflow",
    about: "more comes than anybody takes",
    scenario: Effect.gen(function* () {
      const { peer, socket } = yield* open("client", { socket: { inboxHighWaterMark: 1000 } })
      for (let i = 0; i < 20; i++) peer.send(peer.binary(new Uint8Array(1000)))
      yield* settled
      const { isPaused } = yield* socket.status
      const messages = yield* Effect.replicateEffect(socket.receive, 20)
      return isPaused && messages.length === 20 ? "reading pauses, nothing is lost" : "lost"
    }),
    onPurpose: "fails, and doesn't tell the peer"
  }
]

/** Moves the clock until the effect is done. */
function moving<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
  return Effect.gen(function* () {
    const fiber = yield* Effect.fork(Effect.repeatN(Effect.zipRight(settled, TestClock.adjust("1 second")), 10))
    const result = yield* effect
    yield* Fiber.interrupt(fiber)
    return result
  })
}

// --- all of them --------------------------------------------------------------------------------------------------------

const allRows = [...frameRows, ...messageRows, ...compressionRows, ...closeRows]

/** What the opening handshake says to the heads of an enumerator: the reasons, as `HandshakeError` has them, and statuses. */
const handshakeCells = (enumerator: string): ReadonlyArray<string> => {
  const requests = Beast.requestRows.filter((row) => row.enumerator === enumerator && row.ours !== "accepted")
  const responses = Beast.responseRows.filter((row) => row.enumerator === enumerator && row.ours !== "interim")
  const reasons = [...requests, ...responses].map(({ ours }) => (ours === "Status" ? "Declined" : ours))
  return [unique(reasons), unique(requests.map(({ status }) => `status ${status}`)) || "none"]
}

const frameCells = (enumerator: string): ReadonlyArray<string> => {
  const rows = allRows.filter((row) => row.enumerator === enumerator && row.isClosing !== true)
  const results = rows.flatMap((row) => casesOf(row).map(({ bytes, role }) => inCore(role, bytes, row)))
  const reasons = results.map(({ error, reason }) => (reason === error ? "none" : reason))
  return [unique(results.map(({ error }) => error)), unique(reasons), unique(results.map(({ sent }) => sent))]
}

const unique = (cells: ReadonlyArray<string>): string => [...new Set(cells)].join(", ")

/** What matches one of Beast's conditions is of one class here. The first five are told in prose. */
const summaryOf = ([enumerator, number]: readonly [string, number]): ReadonlyArray<string> => {
  if (number <= 5) return [named(enumerator), "none", "?", "?", "?"]
  if (number === 6) return [named(enumerator), "none", ...frameCells(enumerator)]
  if (number > 20) return [named(enumerator), "protocol_violation", ...frameCells(enumerator)]
  return [named(enumerator), "handshake_failed", "HandshakeError", ...handshakeCells(enumerator)]
}

const compare = (heading: string, rows: ReadonlyArray<ReadonlyArray<string>>): void => {
  assert.isNotEmpty(rows)
  const found = tableUnder(heading)
  const withoutProse = found.map((row, index) => row.map((cell, at) => (rows[index]?.[at] === "?" ? "?" : cell)))
  assert.deepStrictEqual(withoutProse, rows)
  for (const cell of found.flatMap((row, index) => row.filter((_, at) => rows[index]?.[at] === "?"))) {
    assert.match(cell, /\S/)
  }
}

const tables = {
  "### Frames": frameRows,
  "### Messages": messageRows,
  "### Compression": compressionRows,
  "### Closing": closeRows,
  "### Which fault is found first": orderRows
}

describe("errors beside Boost.Beast", () => {
  for (const [heading, rows] of Object.entries(tables)) {
    it(`${heading}: the table says what core does with the bytes`, () => compare(heading, rows.map(cellsOf)))

    for (const row of rows) {
      for (const { bytes, role } of casesOf(row)) {
        it(`${role} does with ${row.about} in a connection what core does`, async () => {
          const expected = cellsOf(row)
          const result = await inConnection(role, bytes, row)
          assert.deepStrictEqual(result, inCore(role, bytes, row))
          assert.deepStrictEqual([here(result), result.sent], expected.slice(3, 5))
        })
      }
    }
  }

  it("the table of all enumerators has each one once, with what the cases give", () => {
    compare("## Every error", Object.entries(enumerators).map(summaryOf))
    assert.deepStrictEqual(
      Object.values(enumerators),
      Array.from({ length: 33 }, (_, index) => index + 1)
    )
  })

  it("every fault that core knows is in the tables", () => {
    const tags: Record<ProtocolFault["_tag"] | "MessageTooBig", true> = {
      ReservedOpcode: true,
      ReservedBits: true,
      UnmaskedFrame: true,
      MaskedFrame: true,
      NonMinimalLength: true,
      LengthOutOfRange: true,
      FragmentedControlFrame: true,
      ControlFrameTooLong: true,
      ExpectedContinuation: true,
      UnexpectedContinuation: true,
      InvalidUtf8: true,
      InvalidCompressedData: true,
      ClosePayloadTooShort: true,
      InvalidCloseCode: true,
      InvalidCloseReason: true,
      MessageTooBig: true
    }
    const found = allRows.flatMap((row) => casesOf(row).map(({ bytes, role }) => inCore(role, bytes, row).reason))
    for (const tag of Object.keys(tags)) assert.include(found, tag)
  })

  for (const { about, scenario } of endRows) {
    it(`the table tells the end: ${about}`, async () => {
      const found = tableUnder("## Other ends").find((row) => row[1] === about)
      assert.strictEqual(found?.[2], await running(scenario))
    })
  }

  it("the table of other ends has these rows", () => {
    const rows = endRows.map(({ about, beast, onPurpose }) => [beast, about, "?", onPurpose])
    compare("## Other ends", rows)
  })

  it("a row that is missing or different is noticed", () => {
    const rows = frameRows.map(cellsOf)
    assert.throws(() => compare("### Frames", rows.slice(1)))
    assert.throws(() => compare("### Frames", [...rows].reverse()))
    assert.throws(() => tableUnder("## No such heading"), /no heading/)
  })
})
