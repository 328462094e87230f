/** The page about the opening handshake shows tables; here they are made from the code, row by row, and compared. */
import * as ConnectionOptions from "@effect-ws/api/ConnectionOptions"
import type { HandshakeReason } from "@effect-ws/api/HandshakeError"
import * as Options from "@effect-ws/api/PermessageDeflate"
import * as ServerOptions from "@effect-ws/api/ServerOptions"
import * as Extension from "@effect-ws/core/Extension"
import * as HandshakeFault from "@effect-ws/core/HandshakeFault"
import * as HttpHead from "@effect-ws/core/HttpHead"
import * as PermessageDeflate from "@effect-ws/core/PermessageDeflate"
import * as Refusal from "@effect-ws/core/Refusal"
import * as UpgradeRequest from "@effect-ws/core/UpgradeRequest"
import * as UpgradeResponse from "@effect-ws/core/UpgradeResponse"
import * as Duration from "effect/Duration"
import { assert, describe, it } from "vitest"
import * as answers from "../packages/api/src/internal/opening/answers.ts"
import { bytes, head, requested, sampleAccept, sampleKey } from "../packages/core/test/heads.ts"
import { enumerators, exchangeRows, requestRows, responseRows } from "../packages/core/test/support/beastHandshake.ts"
import { type Row, tablesOf } from "./support/page.ts"

const tableUnder = tablesOf("opening-handshake.md")

/** One thing that is judged, and the ways in which it can be wrong, each found for another reason. */
interface Check {
  readonly right: Row
  readonly wrong: ReadonlyArray<Row>
}

const host = "Host: server.example.com"
const key = `Sec-WebSocket-Key: ${sampleKey}`
const version = "Sec-WebSocket-Version: 13"

/** The parts of the request line, each of which is a check of its own. */
const lineChecks: ReadonlyArray<Check> = [
  { right: ["1.1"], wrong: [["1.0"]] },
  { right: ["GET"], wrong: [["POST"]] },
  { right: ["/"], wrong: [["chat"]] }
]

const requestChecks: ReadonlyArray<Check> = [
  { right: [host], wrong: [[host, host], [], ["Host: a b"]] },
  { right: [], wrong: [["Content-Length: 5"]] },
  { right: ["Upgrade: websocket"], wrong: [[], ["Upgrade: ("], ["Upgrade: h2c"]] },
  { right: ["Connection: Upgrade"], wrong: [[], ["Connection: ("], ["Connection: keep-alive"]] },
  { right: [key], wrong: [[key, key], [], ["Sec-WebSocket-Key: x"]] },
  { right: [version], wrong: [[version, version], [], ["Sec-WebSocket-Version: 8"]] },
  { right: [], wrong: [["Origin: http://a", "Origin: http://b"]] },
  { right: [], wrong: [["Sec-WebSocket-Protocol: a b"]] },
  { right: [], wrong: [["Sec-WebSocket-Extensions: ("]] }
]

/** What no head comes out of, each in the way that names the reason. */
const unreadableRequests: Row = [
  `GET / HTTP/1.1\r\nA: ${"b".repeat(9000)}`,
  `GET / HTTP/1.1\r\n${"A: b\r\n".repeat(101)}`,
  "GET / HTTP/1.1\nA: b\n",
  "GET / HTTP/2.0\r\n"
]

const responseChecks: ReadonlyArray<Check> = [
  { right: ["101"], wrong: [["200"]] },
  { right: ["1.1"], wrong: [["1.0"]] },
  { right: ["Upgrade: websocket"], wrong: [[], ["Upgrade: ("], ["Upgrade: h2c"]] },
  { right: ["Connection: Upgrade"], wrong: [[], ["Connection: ("], ["Connection: close"]] },
  {
    right: [`Sec-WebSocket-Accept: ${sampleAccept}`],
    wrong: [Array(2).fill(`Sec-WebSocket-Accept: ${sampleAccept}`), [], ["Sec-WebSocket-Accept: x"]]
  },
  { right: [], wrong: [["Sec-WebSocket-Extensions: ("], ["Sec-WebSocket-Extensions: unknown"]] },
  {
    right: [],
    wrong: [["Sec-WebSocket-Protocol: ("], ["Sec-WebSocket-Protocol: a, b"], ["Sec-WebSocket-Protocol: c"]]
  }
]

const unreadableResponses: Row = [
  `HTTP/1.1 101 x\r\nA: ${"b".repeat(9000)}`,
  `HTTP/1.1 101 x\r\n${"A: b\r\n".repeat(101)}`,
  "HTTP/1.1 101 x\nA: b\n",
  "HTTP/2.0 101 x\r\n"
]

const judgeRequest = ([[version], [method], [target], ...fields]: ReadonlyArray<Row>):
  | HandshakeFault.HandshakeFault
  | undefined => {
  const step = HttpHead.requestDecoder().push(bytes(head([`${method} ${target} HTTP/${version}`, ...fields.flat()])))
  assert(step._tag === "Decoded", step._tag)
  const judged = UpgradeRequest.validate(step.head)
  return HandshakeFault.is(judged) ? judged : undefined
}

const judgeResponse = ([[status], [version], ...fields]: ReadonlyArray<Row>):
  | HandshakeFault.HandshakeFault
  | undefined => {
  const step = HttpHead.responseDecoder().push(bytes(head([`HTTP/${version} ${status} x`, ...fields.flat()])))
  assert(step._tag === "Decoded", step._tag)
  const judged = UpgradeResponse.validate(step.head, requested({ subprotocols: ["a", "b"] }))
  return HandshakeFault.is(judged) ? judged : undefined
}

/** What a client that has offered permessage-deflate says to an answer that is well-formed and was asked for. */
function judgeParameters(answer: string): HandshakeFault.HandshakeFault {
  const extensions = Extension.parse([["Sec-WebSocket-Extensions", answer]])
  assert(!HandshakeFault.is(extensions))
  const judged = PermessageDeflate.agree(extensions, Options.alternatives(true))
  assert(HandshakeFault.is(judged))
  return judged
}

/**
 * Finds the faults in the order of the checks: everything is wrong, and what is named is put right, one after the other.
 * Whatever else can be wrong with the same thing is found before that.
 */
const inOrder = (
  checks: ReadonlyArray<Check>,
  judge: (parts: ReadonlyArray<Row>) => HandshakeFault.HandshakeFault | undefined
): Array<HandshakeFault.HandshakeFault> => {
  const parts = checks.map(({ wrong }) => wrong[0]!)
  const found: Array<HandshakeFault.HandshakeFault> = []
  for (const [index, { right, wrong }] of checks.entries()) {
    for (const part of wrong) {
      const fault = judge(parts.map((given, at) => (at === index ? part : given)))
      assert(fault !== undefined, part.join())
      found.push(fault)
    }
    parts[index] = right
  }
  assert.isUndefined(judge(parts))
  return found
}

const unreadable = (decoder: () => HttpHead.Decoder<unknown>, texts: Row): Array<HandshakeFault.HandshakeFault> =>
  texts.map((text) => {
    const step = decoder().push(bytes(text))
    assert(HandshakeFault.is(step), text.slice(0, 40))
    return step
  })

const describeAnswer = ({ fields, status }: Refusal.Refusal): string =>
  [`${status}`, ...fields.map(([name, value]) => `${name}: ${value}`)].join(", ")

const requestFaults = [
  ...unreadable(HttpHead.requestDecoder, unreadableRequests),
  ...inOrder([...lineChecks, ...requestChecks], judgeRequest)
]

const responseFaults = [
  ...unreadable(HttpHead.responseDecoder, unreadableResponses),
  HandshakeFault.make("TooManyInterimResponses", { limit: 16 }),
  ...inOrder(responseChecks, judgeResponse),
  judgeParameters("permessage-deflate; server_max_window_bits=7")
]

const tagsOf = (faults: ReadonlyArray<HandshakeFault.HandshakeFault>) => [...new Set(faults.map(({ _tag }) => _tag))]

/** All tags of a union; the compiler sees to it that none is missing. */
const allOf = <Tag extends string>(tags: Readonly<Record<Tag, true>>): Array<string> => Object.keys(tags)

const callerSamples: { readonly [Tag in keyof HandshakeFault.CallerFaults]: HandshakeFault.CallerFaults[Tag] } = {
  InvalidFieldName: { field: "a" },
  InvalidFieldValue: { field: "a" },
  ReservedField: { field: "a" },
  InvalidSubprotocol: { subprotocol: "a", detail: "malformed" },
  SubprotocolNotOffered: { subprotocol: "a" },
  InvalidExtension: { extension: "a" },
  ExtensionNotOffered: { extension: "a" },
  InvalidStartLine: { part: "status" }
}

type Other = Exclude<HandshakeReason, HandshakeFault.HandshakeFault>

/** What else may be the reason, as a server would be told it: the answer belongs to it. */
const others: ReadonlyArray<readonly [reason: Other, name?: string]> = [
  [{ _tag: "Reject", status: 403 }],
  [{ _tag: "Timeout", phase: "head", duration: Duration.zero }, "Timeout (head)"],
  [{ _tag: "Timeout", phase: "accept", duration: Duration.zero }, "Timeout (accept)"],
  [{ _tag: "Overloaded", option: "maxConnections", limit: 1 }],
  [{ _tag: "ShuttingDown" }],
  [{ _tag: "PeerGone" }],
  [{ _tag: "Transport", error: undefined as never }],
  [{ _tag: "NotReusable" }],
  [{ _tag: "Declined", status: 401, headers: [], body: new Uint8Array(0), isComplete: true }],
  [{ _tag: "RedirectRefused", status: 302, problem: "Loop" }],
  [{ _tag: "InvalidUrl", detail: "" }]
]

/** The tables, as the code would have them. What a test can't know is a cell with a question mark. */
const expected: Readonly<Record<string, ReadonlyArray<Row>>> = {
  "## What a server checks": [
    ...requestFaults.map((fault) => ["?", fault._tag, fault.section, describeAnswer(Refusal.fromFault(fault))]),
    ...[HandshakeFault.make("ForbiddenOrigin", { origin: "http://a", host: "b" })].map((fault) => [
      "?",
      fault._tag,
      fault.section,
      describeAnswer(Refusal.fromFault(fault))
    ])
  ],
  "## What a client checks": responseFaults.map((fault) => ["?", fault._tag, fault.section]),
  "### What can't be sent": Object.entries(callerSamples).map(([tag, details]) => {
    const fault = HandshakeFault.make(tag as keyof HandshakeFault.CallerFaults, details as never)
    return [tag, "?", fault.section, describeAnswer(Refusal.fromFault(fault))]
  }),
  "### Other reasons": others.map(([reason, name = reason._tag]) => {
    const { answer } = answers.serverError(reason)
    const status = answer === undefined ? "none" : describeAnswer(answer)
    return [name, "?", reason._tag === "Reject" ? "its own" : status]
  }),
  "## Limits": [
    ...Object.entries(ServerOptions.defaults),
    ...Object.entries(ConnectionOptions.defaults.server).filter(([name]) =>
      /^(handshakeTimeout|maxHead|maxBody|close)/.test(name)
    )
  ].map(([name, value]) => [name, Array.isArray(value) ? "none" : value === Infinity ? "no limit" : `${value}`, "?"]),
  "### Beast: requests": requestRows.map(({ about, beast = "", enumerator, ours, status }) => [
    named(enumerator),
    about,
    `${ours}, ${status}`,
    beast
  ]),
  "### Beast: responses": responseRows.map(({ about, beast = "", enumerator, ours }) => [
    named(enumerator),
    about,
    ours,
    beast
  ]),
  "### Beast: exchanges": exchangeRows.map(({ about, beast = "", enumerator, ours, role }) => [
    named(enumerator),
    `${role}: ${about}`,
    ours,
    beast
  ])
}

function named(enumerator: string): string {
  const number = enumerators[enumerator]
  return number === undefined ? enumerator : `${number} ${enumerator}`
}

describe("documentation of the opening handshake", () => {
  for (const [heading, rows] of Object.entries(expected)) {
    it(`${heading}: the table has the rows that the code has, in its order`, () => {
      assert.isNotEmpty(rows)
      const found = tableUnder(heading)
      const withoutProse = found.map((row, index) => row.map((cell, at) => (rows[index]?.[at] === "?" ? "?" : cell)))
      assert.deepStrictEqual(withoutProse, rows)
      for (const cell of found.flatMap((row, index) => row.filter((_, at) => rows[index]?.[at] === "?"))) {
        assert.match(cell, /\S/)
      }
    })
  }

  it("the tables have every reason there is", () => {
    const request: Record<HandshakeFault.RequestFault["_tag"] | HandshakeFault.HeadFault["_tag"], true> = {
      HeadTooLarge: true,
      TooManyFields: true,
      MalformedHead: true,
      HttpVersion: true,
      RepeatedField: true,
      MalformedField: true,
      MissingUpgrade: true,
      UpgradeWithoutWebsocket: true,
      MissingConnection: true,
      ConnectionWithoutUpgrade: true,
      Method: true,
      InvalidTarget: true,
      MissingHost: true,
      InvalidHost: true,
      UnexpectedBody: true,
      MissingKey: true,
      InvalidKey: true,
      MissingVersion: true,
      UnsupportedVersion: true,
      InvalidSubprotocolOffer: true,
      ForbiddenOrigin: true
    }
    const response: Record<HandshakeFault.ResponseFault["_tag"] | HandshakeFault.HeadFault["_tag"], true> = {
      HeadTooLarge: true,
      TooManyFields: true,
      MalformedHead: true,
      HttpVersion: true,
      RepeatedField: true,
      MalformedField: true,
      MissingUpgrade: true,
      UpgradeWithoutWebsocket: true,
      MissingConnection: true,
      ConnectionWithoutUpgrade: true,
      Status: true,
      TooManyInterimResponses: true,
      MissingAccept: true,
      WrongAccept: true,
      UnrequestedSubprotocol: true,
      MultipleSubprotocols: true,
      UnrequestedExtension: true,
      ExtensionMismatch: true
    }
    const other: Record<Other["_tag"], true> = {
      Reject: true,
      Declined: true,
      RedirectRefused: true,
      InvalidUrl: true,
      Timeout: true,
      Transport: true,
      PeerGone: true,
      NotReusable: true,
      Overloaded: true,
      ShuttingDown: true
    }
    assert.sameMembers([...tagsOf(requestFaults), "ForbiddenOrigin"], allOf(request))
    assert.sameMembers(tagsOf(responseFaults), allOf(response))
    assert.sameMembers([...new Set(others.map(([{ _tag }]) => _tag))], allOf(other))
  })

  it("a row that is missing, misplaced or different is noticed", () => {
    const rows = expected["## What a client checks"]!
    const found = tableUnder("## What a client checks").map(([, ...cells]) => ["?", ...cells])
    assert.deepStrictEqual(found, rows)
    assert.notDeepEqual(found.slice(1), rows)
    assert.notDeepEqual([...found].reverse(), rows)
    assert.throws(() => tableUnder("## No such heading"), /no heading/)
  })
})
