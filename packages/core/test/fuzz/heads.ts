/** Fuzzes both ends of the opening handshake: heads that nearly are right, and what is made of them. */
import * as assert from "node:assert"
import * as HandshakeFault from "../../src/HandshakeFault.ts"
import * as HttpHead from "../../src/HttpHead.ts"
import * as UpgradeRequest from "../../src/UpgradeRequest.ts"
import * as UpgradeResponse from "../../src/UpgradeResponse.ts"
import { concat } from "../support/Hex.ts"
import { mutate } from "./Mutation.ts"
import type { Random } from "./Random.ts"

const key = "dGhlIHNhbXBsZSBub25jZQ=="
const accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

/** Lines that a request may have besides those it must have; some of them it must not. */
const requestLines = [
  "Origin: http://example.com",
  "Sec-WebSocket-Protocol: chat, superchat",
  "Sec-WebSocket-Protocol: v2.chat",
  'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, x-other; a=1; b="2"',
  "Expect: 100-continue",
  "Cookie: a=1; b=2",
  "Content-Length: 0",
  "Transfer-Encoding: chunked",
  "User-Agent: fuzz/1.0 (every line, once)",
  "X-Empty:",
  "Host: other.example.com:8080"
]

const responseLines = [
  "Sec-WebSocket-Protocol: chat",
  "Sec-WebSocket-Protocol: other",
  "Sec-WebSocket-Extensions: permessage-deflate",
  "Content-Length: 0",
  "Server: fuzz",
  "Connection: keep-alive"
]

const latin1 = (text: string): Uint8Array => Uint8Array.from(text, (unit) => unit.charCodeAt(0))

const written = (random: Random, lines: ReadonlyArray<string>, others: ReadonlyArray<string>): Uint8Array =>
  latin1([...lines, ...others.filter(() => random.chance(4)), "", ""].join("\r\n"))

/** Reads one head of a client or of a server. Throws when something comes out that isn't documented. */
export const fuzzHeads = (random: Random): void => (random.chance(2) ? fuzzRequest(random) : fuzzResponse(random))

const fuzzRequest = (random: Random): void => {
  const target = random.pick(["/", "/chat?a=1&b=%20", "http://example.com/chat", "*", "//x", "/%ff"])
  const lines = [
    `${random.pick(["GET", "GET", "GET", "POST"])} ${target} HTTP/1.1`,
    "Host: server.example.com",
    "Upgrade: websocket",
    "Connection: keep-alive, Upgrade",
    `Sec-WebSocket-Key: ${key}`,
    "Sec-WebSocket-Version: 13"
  ]
  const bytes = mutate(random, written(random, lines, requestLines), 3)
  const head = decode(random, HttpHead.requestDecoder, bytes)
  if (head === undefined) return
  const again = decodedFrom(HttpHead.requestDecoder, HttpHead.encodeRequest(head))
  assert.deepStrictEqual(again, head, "written and read again")
  for (const says of [UpgradeRequest.namesWebSocket, UpgradeRequest.isUpgrade, UpgradeRequest.keepsAlive]) says(head)
  presentable(UpgradeRequest.validatePlain(head))
  const request = presentable(UpgradeRequest.validate(head))
  if (request === undefined) return
  assert.ok(UpgradeRequest.isUpgrade(head) && UpgradeRequest.namesWebSocket(head), "valid, and no upgrade")
  UpgradeRequest.expectsContinue(request)
  answer(random, request)
}

/** What was accepted can be answered, and the answer is valid for the request. */
const answer = (random: Random, request: UpgradeRequest.UpgradeRequest): void => {
  const subprotocol = random.pick([undefined, ...request.subprotocols])
  const response = presentable(UpgradeResponse.accept(request, { subprotocol }))
  assert.ok(response !== undefined, "the request can't be accepted")
  const head = decodedFrom(HttpHead.responseDecoder, UpgradeResponse.encode(response))
  assert.deepStrictEqual(presentable(UpgradeResponse.validate(head, request)), response)
}

const fuzzResponse = (random: Random): void => {
  const lines = [
    `HTTP/1.1 ${random.pick(["101 Switching Protocols", "101 Switching Protocols", "100 Continue", "200 ", "400 No"])}`,
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Accept: ${accept}`
  ]
  const bytes = mutate(random, written(random, lines, responseLines), 3)
  const head = decode(random, HttpHead.responseDecoder, bytes)
  if (head === undefined) return
  const encoded = HttpHead.encodeResponse(head)
  // RFC 9112 4: any three digits are read, but what is below 100 is no status to write.
  if (head.status >= 100) assert.deepStrictEqual(decodedFrom(HttpHead.responseDecoder, encoded), head, "read again")
  else assert.ok(HandshakeFault.is(encoded) && encoded._tag === "InvalidStartLine", "a status below 100 was written")
  const request = UpgradeRequest.make({ host: "server.example.com", key, subprotocols: ["chat"] })
  assert.ok(!HandshakeFault.is(request))
  const response = presentable(UpgradeResponse.validate(head, request))
  if (response === undefined) return
  assert.ok(response.status === 101 && !UpgradeResponse.isInterim(head))
  assert.ok(response.subprotocol === undefined || response.subprotocol === "chat", "a subprotocol that nobody offered")
}

type MakeDecoder<Head> = (limits?: HttpHead.Limits) => HttpHead.Decoder<Head>

interface Read<Head> {
  readonly step: ReturnType<HttpHead.Decoder<Head>["push"]>["_tag"]
  readonly head: Head | undefined
  readonly fault: HandshakeFault.HandshakeFault | undefined
  readonly rest: Uint8Array
}

/** Decodes whole and cut at random, with one outcome, within the limits. */
const decode = <Head>(random: Random, make: MakeDecoder<Head>, bytes: Uint8Array): Head | undefined => {
  const limits = { maxSize: random.pick([200, 512, 8192]), maxFields: random.pick([6, 100]) }
  const whole = read(make(limits), limits.maxSize, [bytes])
  assert.deepStrictEqual(read(make(limits), limits.maxSize, random.cut(bytes, 12)), whole)
  if (whole.fault !== undefined) presentable(whole.fault)
  return whole.head
}

const read = <Head>(
  decoder: HttpHead.Decoder<Head>,
  maxSize: number,
  chunks: ReadonlyArray<Uint8Array>
): Read<Head> => {
  for (const [index, chunk] of chunks.entries()) {
    const step = decoder.push(chunk)
    assert.ok(decoder.held < maxSize, "more is held than the limit")
    if (HandshakeFault.is(step)) {
      assert.deepStrictEqual(decoder.push(chunk), step, "a fault stays")
      return { step: step._tag, head: undefined, fault: step, rest: new Uint8Array(0) }
    }
    if (step._tag !== "Decoded") continue
    const rest = concat([step.leftover, ...chunks.slice(index + 1)])
    return { step: step._tag, head: step.head, fault: undefined, rest }
  }
  return { step: "NeedMore", head: undefined, fault: undefined, rest: new Uint8Array(0) }
}

const decodedFrom = <Head>(make: MakeDecoder<Head>, bytes: Uint8Array | HandshakeFault.HandshakeFault): Head => {
  assert.ok(!HandshakeFault.is(bytes), "what was read can't be written")
  // What was read has at most one blank behind each colon more when it is written.
  const step = make({ maxSize: 65_536, maxFields: 1000 }).push(bytes)
  assert.ok(step._tag === "Decoded", `what was written reads as ${step._tag}`)
  return step.head
}

/** A value as it is; a fault has to name a section and be safe to print. */
const presentable = <A>(value: A): Exclude<A, HandshakeFault.HandshakeFault> | undefined => {
  if (!HandshakeFault.is(value)) return value as Exclude<A, HandshakeFault.HandshakeFault>
  assert.match(value.section, /^RFC \d{4} [\d.]+$/)
  assert.match(value.message, /^[ -~]{1,400}$/)
  return undefined
}
