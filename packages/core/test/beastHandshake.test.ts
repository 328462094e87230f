/** What Boost.Beast's table of the opening handshake says, row by row, and what becomes of it here. */
import * as HandshakeFault from "@effect-ws/core/HandshakeFault"
import * as Headers from "@effect-ws/core/Headers"
import * as HttpHead from "@effect-ws/core/HttpHead"
import * as Refusal from "@effect-ws/core/Refusal"
import * as UpgradeRequest from "@effect-ws/core/UpgradeRequest"
import * as UpgradeResponse from "@effect-ws/core/UpgradeResponse"
import { assert, describe, it } from "vitest"
import { bytes, head, ok, requested, sampleAccept, text } from "./heads.ts"
import { enumerators, type RequestRow, requestRows, responseRows, type ResponseRow } from "./support/beastHandshake.ts"

/** The first thing that is no "need more", for chunks of the given size. */
const decode = <Head>(
  decoder: HttpHead.Decoder<Head>,
  all: Uint8Array,
  size: number
): Head | HandshakeFault.HeadFault => {
  for (let at = 0; at < all.length; at += size) {
    const step = decoder.push(all.subarray(at, at + size))
    if (step._tag === "Decoded") return step.head
    if (step._tag !== "NeedMore") return step
  }
  throw new Error("the head has no end")
}

/** Whole, byte by byte, and in pieces that fit nothing. */
const sizes = [Infinity, 1, 7]

const judgeRequest = (row: RequestRow, size: number): UpgradeRequest.UpgradeRequest | HandshakeFault.HandshakeFault => {
  const read = decode(HttpHead.requestDecoder(), bytes(head(row.head)), Math.min(size, 1e6))
  return HandshakeFault.is(read) ? read : UpgradeRequest.validate(read)
}

const answerTo = (judged: UpgradeRequest.UpgradeRequest | HandshakeFault.HandshakeFault): string =>
  text(
    ok(
      judged._tag === "UpgradeRequest"
        ? UpgradeResponse.encode(ok(UpgradeResponse.accept(judged)))
        : Refusal.encode(Refusal.fromFault(judged))
    )
  )

const tagOf = (judged: { readonly _tag: string }): string =>
  judged._tag === "UpgradeRequest" || judged._tag === "UpgradeResponse" ? "accepted" : judged._tag

const title = (role: string, { about, beast, enumerator, ours }: RequestRow | ResponseRow, status = ""): string =>
  `${role}: ${about} is ${enumerator} to Beast${beast === undefined ? "" : `, which ${beast}`}, and here ${ours}${status}`

describe("Beast's opening handshake, the server", () => {
  for (const row of requestRows) {
    it(title("server", row, `, ${row.status}`), () => {
      for (const size of sizes) {
        const judged = judgeRequest(row, size)
        assert.strictEqual(tagOf(judged), row.ours)
        const [statusLine, ...lines] = answerTo(judged).split("\r\n")
        assert.match(statusLine, new RegExp(`^HTTP/1\\.1 ${row.status} [A-Z]`))
        if (row.status === 101) assert.include(lines, `Sec-WebSocket-Accept: ${sampleAccept}`)
        else assert.include(lines, "Content-Type: text/plain; charset=utf-8")
      }
    })
  }

  it("server names what is allowed in a 405, and the protocol and its version in a 426", () => {
    const fieldsOf = (status: number): Array<ReadonlyArray<string>> =>
      requestRows
        .filter((row) => row.status === status)
        .map((row) => answerTo(judgeRequest(row, Infinity)).split("\r\n\r\n")[0].split("\r\n").slice(1, 3))
    for (const lines of fieldsOf(405)) assert.strictEqual(lines[0], "Allow: GET")
    for (const lines of fieldsOf(426)) {
      assert.deepStrictEqual(lines, ["Upgrade: websocket", "Sec-WebSocket-Version: 13"])
    }
    assert.isAtLeast(fieldsOf(405).length, 1)
    assert.isAtLeast(fieldsOf(426).length, 6)
  })

  it("server says in the body which check failed, as Beast does", () => {
    for (const row of requestRows.filter(({ status }) => status >= 400)) {
      const judged = judgeRequest(row, Infinity)
      assert(HandshakeFault.is(judged))
      assert.strictEqual(answerTo(judged).split("\r\n\r\n")[1], `${judged.message}\n`)
    }
  })

  it("server answers 101 with the fields in Beast's order, the accept value last of those of the upgrade", () => {
    const lines = answerTo(judgeRequest(requestRows[0], Infinity)).split("\r\n")
    assert.deepStrictEqual(lines, [
      "HTTP/1.1 101 Switching Protocols",
      "Upgrade: websocket",
      "Connection: Upgrade",
      `Sec-WebSocket-Accept: ${sampleAccept}`,
      "Server: effect-ws",
      "",
      ""
    ])
  })
})

describe("Beast's is_upgrade", () => {
  const isUpgrade = ({ head: lines }: RequestRow): boolean => {
    const read = decode(HttpHead.requestDecoder(), bytes(head(lines)), 1e6)
    return !HandshakeFault.is(read) && UpgradeRequest.isUpgrade(read)
  }

  it("server takes for an upgrade what has the version, the method and the two tokens, whatever else is wrong", () => {
    const wrong = ["bad_http_version", "bad_method", "no_connection", "no_upgrade", "no_upgrade_websocket"]
    for (const row of requestRows.filter(({ enumerator }) => wrong.includes(enumerator))) {
      assert.strictEqual(isUpgrade(row), row.ours === "accepted", row.about)
    }
    const maybe = ["no_host", "no_sec_key", "bad_sec_key", "no_sec_version", "bad_sec_version"]
    for (const row of requestRows.filter(({ enumerator }) => maybe.includes(enumerator))) {
      assert.isTrue(isUpgrade(row), row.about)
    }
  })

  it("server combines the lines of Connection, of which Beast reads the first", () => {
    const row = requestRows.find(({ about }) => about === "upgrade in a second line of Connection")!
    assert.strictEqual(row.enumerator, "no_connection_upgrade")
    assert.isTrue(isUpgrade(row))
  })
})

describe("Beast's opening handshake, the client", () => {
  const judge = (
    row: ResponseRow,
    size: number
  ): UpgradeResponse.UpgradeResponse | HandshakeFault.HandshakeFault | { readonly _tag: "interim" } => {
    const read = decode(HttpHead.responseDecoder(), bytes(head(row.head)), Math.min(size, 1e6))
    if (HandshakeFault.is(read)) return read
    if (UpgradeResponse.isInterim(read)) return { _tag: "interim" }
    return UpgradeResponse.validate(read, requested({ subprotocols: ["chat", "superchat"] }))
  }

  for (const row of responseRows) {
    it(title("client", row), () => {
      for (const size of sizes) assert.strictEqual(tagOf(judge(row, size)), row.ours)
    })
  }

  it("client asks with the fields of Beast's request, in its order, and neither User-Agent nor Origin", () => {
    const names = requested().fields.map(([name]) => name)
    assert.deepStrictEqual(names, ["Host", "Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version"])
    assert.isFalse(Headers.has(requested().fields, "User-Agent"))
  })
})

describe("Beast's enumerators", () => {
  it("client and server have a row for each that matches handshake_failed, and none of them that is unknown", () => {
    const used = new Set([...requestRows, ...responseRows].map(({ enumerator }) => enumerator))
    for (const enumerator of Object.keys(enumerators)) assert.isTrue(used.has(enumerator), enumerator)
    for (const enumerator of used) {
      assert(
        enumerator === "accepted" || enumerator.startsWith("http::error::") || enumerator in enumerators,
        enumerator
      )
    }
    assert.deepStrictEqual(
      Object.values(enumerators),
      Array.from({ length: 14 }, (_, i) => i + 7)
    )
  })

  it("client and server do otherwise only where the row says what Beast does", () => {
    for (const row of [...requestRows, ...responseRows]) {
      const agrees = (row.enumerator === "accepted") === (row.ours === "accepted")
      assert(agrees || row.beast !== undefined, row.about)
    }
  })
})
