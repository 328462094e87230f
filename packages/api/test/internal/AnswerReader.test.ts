/** What a client reads for an answer (RFC 9110 15.2, RFC 9112 6): pure, so that every cut of the bytes can be tried. */
import * as ConnectionOptions from "@effect-ws/api/ConnectionOptions"
import { assert, describe, it } from "@effect/vitest"
import { AnswerReader } from "../../src/internal/opening/AnswerReader.ts"
import { accepted, bytesOf, everyPrefix, everySplit, lines, textOf } from "../support/answering.ts"

const makeReader = (options: ConnectionOptions.Input = {}): AnswerReader =>
  new AnswerReader(ConnectionOptions.make("client", options))

type Step = ReturnType<AnswerReader["push"]>
type Answer = NonNullable<ReturnType<AnswerReader["finish"]>>

const describeAnswer = ({ body, head }: Answer): object => ({
  status: head.status,
  body: body && { ...body, bytes: textOf(body.bytes) }
})

const describeStep = (step: Step): object =>
  step._tag === "Decoded" ? { ...describeAnswer(step.head), leftover: textOf(step.leftover) } : step

/** Pushes the pieces until there is something; what is left of them counts as leftover, as for who reads a transport. */
const readPieces = (reader: AnswerReader, pieces: ReadonlyArray<Uint8Array>): object => {
  for (const [i, piece] of pieces.entries()) {
    const step = reader.push(piece)
    if (step._tag === "NeedMore") continue
    const rest = pieces.slice(i + 1).map(textOf)
    return step._tag === "Decoded"
      ? { ...describeAnswer(step.head), leftover: [textOf(step.leftover), ...rest].join("") }
      : step
  }
  return { _tag: "NeedMore" }
}

const interim = lines("HTTP/1.1 103 Early Hints", "Link: </a>", "")
const unauthorized = lines("HTTP/1.1 401 x", "Content-Length: 4", "")
const chunked = lines("HTTP/1.1 403 x", "Transfer-Encoding: chunked", "")
const endless = lines("HTTP/1.1 503 x", "")

const complete = (bytes: string): object => ({ bytes, isComplete: true })
const incomplete = (bytes: string): object => ({ bytes, isComplete: false })

describe("AnswerReader", () => {
  const answers: ReadonlyArray<readonly [string, string, object]> = [
    ["an answer that accepts", accepted(), { status: 101, body: undefined, leftover: "" }],
    [
      "frames behind one that accepts",
      `${accepted()}\x81\x01a`,
      { status: 101, body: undefined, leftover: "\x81\x01a" }
    ],
    ["interim answers", interim.repeat(3) + accepted(), { status: 101, body: undefined, leftover: "" }],
    ["a body of known length", `${unauthorized}who?`, { status: 401, body: complete("who?"), leftover: "" }],
    ["bytes behind a body", `${unauthorized}who?more`, { status: 401, body: complete("who?"), leftover: "more" }],
    [
      "a body in chunks behind interim answers",
      `${interim}${chunked}2\r\nno\r\n0\r\n\r\nmore`,
      { status: 403, body: complete("no"), leftover: "more" }
    ],
    [
      "an answer without a body",
      `${lines("HTTP/1.1 204 x", "Content-Length: 4", "")}more`,
      { status: 204, body: complete(""), leftover: "more" }
    ]
  ]

  for (const [name, text, expected] of answers) {
    it(`reader tells the same of ${name}, whole, byte by byte and split at every offset`, () => {
      for (const pieces of everySplit(bytesOf(text))) {
        assert.deepStrictEqual(readPieces(makeReader(), pieces), expected)
      }
    })
  }

  it("reader keeps no more of a body than it may", () => {
    const step = makeReader({ maxBodySize: 3 }).push(bytesOf(`${unauthorized}who?`))
    assert.deepStrictEqual(describeStep(step), { status: 401, body: incomplete("who"), leftover: "" })
  })

  const faults: ReadonlyArray<readonly [string, ConnectionOptions.Input, string, object]> = [
    ["is no HTTP", {}, "SSH-2.0-OpenSSH\r\n", { _tag: "MalformedHead" }],
    ["has a larger head", { maxHeadSize: 40 }, accepted(), { _tag: "HeadTooLarge", limit: 40 }],
    ["has more fields", { maxHeadFields: 2 }, accepted(), { _tag: "TooManyFields", limit: 2 }],
    ["has a larger interim one before it", { maxHeadSize: 39 }, interim, { _tag: "HeadTooLarge", limit: 39 }]
  ]
  for (const [name, options, text, expected] of faults) {
    it(`reader fails on an answer that ${name}`, () => {
      assert.deepInclude(makeReader(options).push(bytesOf(text)), expected)
    })
  }

  it("RFC 9110 15.2: reader skips 16 interim answers, and fails on one more, however they come", () => {
    for (const count of [16, 17]) {
      const bytes = bytesOf(lines("HTTP/1.1 100 x", "").repeat(count) + accepted())
      for (const pieces of [[bytes], Array.from(bytes, (byte) => Uint8Array.of(byte))]) {
        const told = readPieces(makeReader(), pieces)
        if (count === 16) assert.deepInclude(told, { status: 101 })
        else assert.deepInclude(told, { _tag: "TooManyInterimResponses", limit: 16 })
      }
    }
  })

  it("reader is ready for another answer behind each that declines, with its own count of interim ones", () => {
    const reader = makeReader()
    const answer = bytesOf(`${interim.repeat(16)}${unauthorized}who?`)
    for (let i = 0; i < 3; i++) {
      assert.deepStrictEqual(describeStep(reader.push(answer)), { status: 401, body: complete("who?"), leftover: "" })
    }
    assert.deepInclude(describeStep(reader.push(bytesOf(accepted()))), { status: 101, body: undefined })
  })

  it("reader has nothing to tell at the end before it has a head", () => {
    for (const atEnd of [true, false]) {
      for (const text of ["", ...everyPrefix(bytesOf(interim + unauthorized)).map(textOf)]) {
        const reader = makeReader()
        assert.deepStrictEqual(reader.push(bytesOf(text)), { _tag: "NeedMore" })
        assert.isUndefined(reader.finish(atEnd))
      }
    }
  })

  const bodies: ReadonlyArray<readonly [string, number, string, object, object]> = [
    ["one that ends with the transport", 503, `${endless}lat`, complete("lat"), incomplete("lat")],
    ["one of known length", 401, `${unauthorized}who`, incomplete("who"), incomplete("who")],
    ["one in chunks", 403, `${chunked}2\r\nno\r\n`, incomplete("no"), incomplete("no")]
  ]
  for (const [name, status, text, ended, abandoned] of bodies) {
    it(`reader tells at the end what came of a body, ${name}, and only once`, () => {
      for (const atEnd of [true, false]) {
        const reader = makeReader()
        assert.deepStrictEqual(reader.push(bytesOf(text)), { _tag: "NeedMore" })
        const answer = reader.finish(atEnd)
        assert.deepStrictEqual(answer && describeAnswer(answer), { status, body: atEnd ? ended : abandoned })
        assert.isUndefined(reader.finish(atEnd))
      }
    })
  }

  it("reader says how much came of a head", () => {
    const reader = makeReader()
    assert.strictEqual(reader.held, 0)
    reader.push(bytesOf("HTTP/1.1"))
    assert.strictEqual(reader.held, 8)
  })
})
