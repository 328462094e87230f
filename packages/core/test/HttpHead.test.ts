import * as HandshakeFault from "@effect-ws/core/HandshakeFault"
import * as HttpHead from "@effect-ws/core/HttpHead"
import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import { assertFault, assertPresentable, bytes, head, ok, sampleRequest, sampleResponse, text } from "./heads.ts"

type Outcome = { readonly head: unknown; readonly rest: string } | HandshakeFault.HeadFault | "needs more"

/** Pushes chunks until something ends; what the decoder didn't take counts as leftover, whichever chunk it was in. */
const run = (decoder: HttpHead.Decoder<unknown>, chunks: ReadonlyArray<Uint8Array>): Outcome => {
  for (const [i, chunk] of chunks.entries()) {
    const step = decoder.push(chunk)
    if (HandshakeFault.is(step)) {
      assertPresentable(step)
      return step
    }
    if (step._tag === "NeedMore") continue
    return {
      head: step.head,
      rest:
        text(step.leftover) +
        chunks
          .slice(i + 1)
          .map(text)
          .join("")
    }
  }
  return "needs more"
}

/** The outcome of one input, asserted to be the same whole, byte by byte, and split at every offset. */
const outcome = (make: () => HttpHead.Decoder<unknown>, input: string): Outcome => {
  const all = bytes(input)
  const whole = run(make(), [all])
  assert.deepStrictEqual(
    run(
      make(),
      Array.from(all, (byte) => Uint8Array.of(byte))
    ),
    whole
  )
  for (let i = 0; i <= all.length; i++) {
    assert.deepStrictEqual(run(make(), [all.subarray(0, i), all.subarray(i)]), whole, `split at ${i}`)
  }
  return whole
}

const request = (input: string, limits?: HttpHead.Limits): Outcome =>
  outcome(() => HttpHead.requestDecoder(limits), input)

const response = (input: string, limits?: HttpHead.Limits): Outcome =>
  outcome(() => HttpHead.responseDecoder(limits), input)

const refused = (value: Outcome, offset: number, detail: RegExp): void => {
  assertFault(value, "MalformedHead", { offset })
  assert.match(value.detail, detail)
}

describe("RFC 9112 3: request heads", () => {
  it("server reads the sample request and hands back what follows it", () => {
    assert.deepStrictEqual(request(`${head(sampleRequest)}\x81\x05Hello`), {
      head: {
        _tag: "RequestHead",
        method: "GET",
        target: "/chat",
        version: "1.1",
        fields: sampleRequest.slice(1).map((line) => line.split(": "))
      },
      rest: "\x81\x05Hello"
    })
  })

  it("server reads a head without fields", () => {
    const expected = { _tag: "RequestHead", method: "GET", target: "/", version: "1.0", fields: [] }
    assert.deepStrictEqual(request("GET / HTTP/1.0\r\n\r\n"), { head: expected, rest: "" })
  })

  it("server skips one empty line before the request line, but not two", () => {
    assert.containSubset(request(`\r\n${head(["GET / HTTP/1.1"])}`), {
      head: { method: "GET", target: "/" }
    })
    refused(request(`\r\n\r\n${head(["GET / HTTP/1.1"])}`), 2, /no request line/)
  })

  it("server keeps spelling, order and repetition of fields, and bytes above 0x7f", () => {
    const lines = ["GET / HTTP/1.1", "b: 1", "A:2", "B:\t 3 \t", "c:", "D: \u00a0\u00e9 \u00ff\u00a0", "e: a : b"]
    const fields = [
      ["b", "1"],
      ["A", "2"],
      ["B", "3"],
      ["c", ""],
      ["D", "\u00a0\u00e9 \u00ff\u00a0"],
      ["e", "a : b"]
    ]
    assert.containSubset(request(head(lines)), { head: { fields } })
  })

  it("server reads names of object properties as names", () => {
    const fields = [
      ["__proto__", "1"],
      ["constructor", "2"]
    ]
    assert.containSubset(request(head(["GET / HTTP/1.1", "__proto__: 1", "constructor: 2"])), { head: { fields } })
  })

  it("server reports other 1.x versions and leaves them to the validation", () => {
    for (const version of ["1.0", "1.2", "1.9"]) {
      assert.containSubset(request(head([`GET / HTTP/${version}`])), { head: { version } })
    }
  })

  it("server refuses another major version as soon as it is read", () => {
    for (const version of ["0.9", "2.0", "3.1"]) {
      assertFault(request(`GET / HTTP/${version}`), "HttpVersion", { version, head: "request" })
    }
    assertFault(request("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "HttpVersion", { version: "2.0" })
  })

  it.each([
    ["a TLS client hello", "\x16\x03\x01", 0, /TLS/],
    ["a NUL as the first byte", "\0", 0, /no request line/],
    ["a frame as the first bytes", "\x81\x85", 0, /no request line/],
    ["a leading LF", "\nGET", 0, /no request line/],
    ["a leading CR without LF", "\rG", 1, /CR/],
    ["a leading blank", " GET", 0, /no request line/],
    ["a method that is no token", "GE(T / ", 2, /method/],
    ["a line with the method alone", "GET\r\n", 3, /method/],
    ["two spaces before the target", "GET  / HTTP", 4, /no target/],
    ["a control character in the target", "GET /\x01", 5, /target/],
    ["a tab in the target", "GET /\t", 5, /target/],
    ["a DEL in the target", "GET /\x7f", 5, /target/],
    ["a byte above 0x7f in the target", "GET /\u00e9", 5, /target/],
    ["an HTTP/0.9 request", "GET /\r\n", 5, /no HTTP version/],
    ["an HTTP/0.9 request with a bare LF", "GET /\n", 5, /no HTTP version/],
    ["another protocol name", "GET / HTTPS/1.1", 10, /version/],
    ["a lower-case protocol name", "GET / http/1.1", 6, /version/],
    ["a version without digits", "GET / HTTP/a.1", 11, /version/],
    ["a version without a dot", "GET / HTTP/11", 12, /version/],
    ["a version without a minor digit", "GET / HTTP/1.\r", 13, /version/],
    ["a version of two minor digits", "GET / HTTP/1.10", 14, /version/],
    ["a blank behind the version", "GET / HTTP/1.1 \r\n", 14, /version/],
    ["a request line that ends in LF alone", "GET / HTTP/1.1\n", 14, /version/],
    ["a request line that ends in CR alone", "GET / HTTP/1.1\rX", 15, /CR/],
    ["a blank before the first field", "GET / HTTP/1.1\r\n A: 1", 16, /folded/],
    ["a folded line", "GET / HTTP/1.1\r\nA: 1\r\n b", 22, /folded/],
    ["a line folded with a tab", "GET / HTTP/1.1\r\nA: 1\r\n\tb", 22, /folded/],
    ["a blank before the colon", "GET / HTTP/1.1\r\nHost : a", 20, /blank/],
    ["a tab before the colon", "GET / HTTP/1.1\r\nHost\t: a", 20, /field name/],
    ["a field without a name", "GET / HTTP/1.1\r\n: a", 16, /field name/],
    ["a field without a colon", "GET / HTTP/1.1\r\nHost\r\n", 20, /field name/],
    ["a field name that is no token", "GET / HTTP/1.1\r\nHo@st: a", 18, /field name/],
    ["a field name above 0x7f", "GET / HTTP/1.1\r\n\u00e9: a", 16, /field name/],
    ["a NUL in a value", "GET / HTTP/1.1\r\nA: b\0", 20, /control/],
    ["a DEL in a value", "GET / HTTP/1.1\r\nA: b\x7f", 20, /control/],
    ["a bare LF in a value", "GET / HTTP/1.1\r\nA: b\nB: c", 20, /LF/],
    ["a bare CR in a value", "GET / HTTP/1.1\r\nA: b\rB", 21, /CR/],
    ["a CR CR LF", "GET / HTTP/1.1\r\nA: b\r\r\n", 21, /CR/],
    ["a bare LF as the empty line", "GET / HTTP/1.1\r\n\n", 16, /field name/],
    ["a bare CR as the empty line", "GET / HTTP/1.1\r\n\rX", 17, /CR/]
  ])("server refuses %s at its first impossible byte", (_, input, offset, detail) => {
    refused(request(`${input} and more`), offset, detail)
  })
})

describe("RFC 9112 4: response heads", () => {
  it("client reads the sample response and hands back what follows it", () => {
    assert.deepStrictEqual(response(`${head(sampleResponse)}\x81\x05Hello`), {
      head: {
        _tag: "ResponseHead",
        status: 101,
        reasonPhrase: "Switching Protocols",
        version: "1.1",
        fields: sampleResponse.slice(1).map((line) => line.split(": "))
      },
      rest: "\x81\x05Hello"
    })
  })

  it("client reads an empty reason phrase, and one with blanks and bytes above 0x7f", () => {
    assert.containSubset(response(head(["HTTP/1.1 200 "])), { head: { status: 200, reasonPhrase: "" } })
    assert.containSubset(response(head(["HTTP/1.0 404 n\u00e9 \tx"])), { head: { reasonPhrase: "n\u00e9 \tx" } })
  })

  it.each([
    ["an empty line before the status line", "\r\nHTTP/1.1 101 ", 0, /version/],
    ["a request", "GET / HTTP/1.1", 0, /version/],
    ["a lower-case protocol name", "http/1.1 101 ", 0, /version/],
    ["two blanks before the status", "HTTP/1.1  101 ", 9, /status/],
    ["a status of two digits", "HTTP/1.1 10 x", 11, /status/],
    ["a status of four digits", "HTTP/1.1 1010 x", 12, /status/],
    ["a status without a space behind it", "HTTP/1.1 101\r\n", 12, /space/],
    ["a status that is no number", "HTTP/1.1 OK ", 9, /status/],
    ["a NUL in the reason phrase", "HTTP/1.1 101 a\0", 14, /control/],
    ["a bare LF behind the reason phrase", "HTTP/1.1 101 a\n", 14, /control/],
    ["a bare CR behind the reason phrase", "HTTP/1.1 101 a\rb", 15, /CR/]
  ])("client refuses %s at its first impossible byte", (_, input, offset, detail) => {
    refused(response(`${input} and more`), offset, detail)
  })

  it("client refuses another major version as soon as it is read", () => {
    assertFault(response("HTTP/2.0"), "HttpVersion", { version: "2.0", head: "response" })
  })
})

describe("limits of a head", () => {
  const sample = head(sampleRequest)

  it("server takes a head of exactly the limit, and refuses one byte more", () => {
    assert.containSubset(request(sample, { maxSize: sample.length }), { rest: "" })
    assert.containSubset(request(`${sample}more`, { maxSize: sample.length }), { rest: "more" })
    assertFault(request(sample, { maxSize: sample.length - 1 }), "HeadTooLarge", { limit: sample.length - 1 })
  })

  it("server refuses a head as soon as the limit is reached, without waiting for more", () => {
    const decoder = HttpHead.requestDecoder({ maxSize: 100 })
    assert.strictEqual(decoder.push(bytes(`GET /${"a".repeat(94)}`))._tag, "NeedMore")
    assertFault(decoder.push(bytes("a")), "HeadTooLarge", { limit: 100 })
  })

  it("server takes 8192 bytes and 100 fields by default", () => {
    const padded = (size: number) => `GET / HTTP/1.1\r\nA: ${"x".repeat(size - 23)}\r\n\r\n`
    assert.lengthOf(padded(8192), 8192)
    assert.strictEqual(HttpHead.requestDecoder().push(bytes(padded(8192)))._tag, "Decoded")
    assertFault(HttpHead.requestDecoder().push(bytes(padded(8193))), "HeadTooLarge", { limit: 8192 })
    const many = (count: number) => bytes(head(["GET / HTTP/1.1", ...Array.from({ length: count }, () => "a:b")]))
    assert.strictEqual(HttpHead.requestDecoder().push(many(100))._tag, "Decoded")
    assertFault(HttpHead.requestDecoder().push(many(101)), "TooManyFields", { limit: 100 })
  })

  it("server refuses one field more than the limit at its first byte", () => {
    assert.containSubset(request(head(["GET / HTTP/1.1", "a: 1", "b: 2"]), { maxFields: 2 }), { rest: "" })
    assertFault(request("GET / HTTP/1.1\r\na: 1\r\nb: 2\r\nc", { maxFields: 2 }), "TooManyFields", { limit: 2 })
    assert.strictEqual(request("GET / HTTP/1.1\r\na: 1\r\nb: 2\r\n", { maxFields: 2 }), "needs more")
  })

  it("client has the same limits", () => {
    assertFault(response(head(sampleResponse), { maxFields: 3 }), "TooManyFields", { limit: 3 })
    assertFault(response(head(sampleResponse), { maxSize: 30 }), "HeadTooLarge", { limit: 30 })
  })

  it("both roles are told by a RangeError that a limit makes no sense", () => {
    for (const value of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      assert.throws(() => HttpHead.requestDecoder({ maxSize: value }), RangeError, "maxSize")
      assert.throws(() => HttpHead.responseDecoder({ maxFields: value }), RangeError, "maxFields")
    }
  })

  it("server holds what came and nothing once the head ended", () => {
    const decoder = HttpHead.requestDecoder()
    assert.strictEqual(decoder.held, 0)
    decoder.push(bytes("GET / HTTP"))
    assert.strictEqual(decoder.held, 10)
    decoder.push(bytes("/1.1\r\n\r\nmore"))
    assert.strictEqual(decoder.held, 0)
    decoder.push(bytes("GET "))
    decoder.push(bytes("\0"))
    assert.strictEqual(decoder.held, 0)
  })

  it("server reads a head byte by byte in linear time", () => {
    const decoder = HttpHead.requestDecoder({ maxSize: 2_000_000, maxFields: 100_000 })
    const fields = [`b: ${" ".repeat(500_000)}`, ...Array.from({ length: 90_000 }, () => "c:")]
    const long = bytes(head([`GET /${"a".repeat(500_000)} HTTP/1.1`, ...fields]))
    let steps = 0
    for (const byte of long) if (decoder.push(Uint8Array.of(byte))._tag === "NeedMore") steps++
    assert.strictEqual(steps, long.length - 1)
    assert.strictEqual(decoder.held, 0)
  })
})

describe("chunks and what follows a head", () => {
  /** As Node's Buffer: `slice` returns a view. */
  class View extends Uint8Array {
    override slice(start?: number, end?: number): Uint8Array<ArrayBuffer> {
      return this.subarray(start, end) as unknown as Uint8Array<ArrayBuffer>
    }
  }

  it("server copies the leftover bytes out of the chunk", () => {
    const chunk = View.from(bytes(`${head(sampleRequest)}rest`))
    const step = ok(HttpHead.requestDecoder().push(chunk))
    assert(step._tag === "Decoded")
    chunk.fill(0)
    assert.strictEqual(text(step.leftover), "rest")
    assert.strictEqual(step.leftover.buffer.byteLength, 4)
  })

  it("server reads a chunk before the push returns", () => {
    const decoder = HttpHead.requestDecoder()
    const chunk = bytes(head(sampleRequest))
    for (let i = 0; i < chunk.length - 1; i += 7) {
      const piece = chunk.slice(i, Math.min(i + 7, chunk.length - 1))
      decoder.push(piece)
      piece.fill(0)
    }
    assert.containSubset(decoder.push(bytes("\n")), { head: { method: "GET", target: "/chat" } })
  })

  it("server reads one head after another, each with its own limits", () => {
    const decoder = HttpHead.requestDecoder({ maxFields: 1, maxSize: 40 })
    let chunk = bytes("GET /1 HTTP/1.1\r\na: 1\r\n\r\nGET /2 HTTP/1.1\r\na: 1\r\n\r\n")
    for (const target of ["/1", "/2"]) {
      const step = decoder.push(chunk)
      assert(step._tag === "Decoded")
      assert.strictEqual(step.head.target, target)
      chunk = Uint8Array.from(step.leftover)
    }
    assert.lengthOf(chunk, 0)
  })

  it("server returns its fault for ever", () => {
    const decoder = HttpHead.requestDecoder()
    const fault = decoder.push(bytes("\0"))
    assertFault(fault, "MalformedHead")
    assert.strictEqual(decoder.push(bytes(head(sampleRequest))), fault)
  })

  it("both roles wait for more when nothing came", () => {
    assert.strictEqual(HttpHead.requestDecoder().push(new Uint8Array(0))._tag, "NeedMore")
    assert.strictEqual(request(head(sampleRequest).slice(0, -1)), "needs more")
  })

  it("both roles end in documented outcomes for any bytes", () => {
    const unit = fc.constantFrom(
      "GET ",
      "/ ",
      "HTTP/1.1",
      "\r\n",
      "\r",
      "\n",
      "A: b",
      ":",
      " ",
      "\0",
      "101 ",
      "\u00e9",
      "\t"
    )
    const almost = fc.array(unit, { maxLength: 12 }).map((units) => units.join(""))
    const any = fc.uint8Array({ maxLength: 60 }).map(text)
    const tail = fc.oneof(almost, any)
    fc.assert(
      fc.property(fc.constantFrom("", "GET / HTTP/1.1\r\n", "HTTP/1.1 101 x\r\n"), tail, (start, end) => {
        request(start + end, { maxSize: 50, maxFields: 2 })
        response(start + end, { maxSize: 50, maxFields: 2 })
      })
    )
  })
})

describe("encoding", () => {
  const token = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,10}$/)
  const value = fc.stringMatching(/^[\t -~\u0080-\u00ff]{0,20}$/).map((text) => text.replace(/^[\t ]+|[\t ]+$/g, ""))
  const fields = fc.array(fc.tuple(token, value), { maxLength: 8 })
  const version = fc.constantFrom("1.0", "1.1")

  it("client writes the sample request byte for byte", () => {
    const fields = sampleRequest.slice(1).map((line) => line.split(": ") as [string, string])
    const written = HttpHead.encodeRequest({ method: "GET", target: "/chat", version: "1.1", fields })
    assert.deepStrictEqual(written, bytes(head(sampleRequest)))
  })

  it("server writes the sample response byte for byte", () => {
    const fields = sampleResponse.slice(1).map((line) => line.split(": ") as [string, string])
    const reasonPhrase = "Switching Protocols"
    const written = HttpHead.encodeResponse({ status: 101, reasonPhrase, version: "1.1", fields })
    assert.deepStrictEqual(written, bytes(head(sampleResponse)))
  })

  it("server reads what a client writes", () => {
    const target = fc.stringMatching(/^[!-~]{1,30}$/)
    fc.assert(
      fc.property(token, target, version, fields, (method, target, version, fields) => {
        const written = ok(HttpHead.encodeRequest({ method, target, version, fields }))
        const expected = { _tag: "RequestHead", method, target, version, fields }
        assert.deepStrictEqual(run(HttpHead.requestDecoder(), [written]), { head: expected, rest: "" })
      })
    )
  })

  it("client reads what a server writes", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 100, max: 999 }),
        value,
        version,
        fields,
        (status, reasonPhrase, version, fields) => {
          const written = ok(HttpHead.encodeResponse({ status, reasonPhrase, version, fields }))
          const expected = { _tag: "ResponseHead", status, reasonPhrase, version, fields }
          assert.deepStrictEqual(run(HttpHead.responseDecoder(), [written]), { head: expected, rest: "" })
        }
      )
    )
  })

  it("client refuses to write a start line that would break", () => {
    const good = { method: "GET", target: "/", version: "1.1", fields: [] }
    for (const method of ["", "GET /", "G\r\n", "G\0"]) {
      assertFault(HttpHead.encodeRequest({ ...good, method }), "InvalidStartLine", { part: "method" })
    }
    for (const target of ["", "/ HTTP/1.1\r\nX: y", "/a b", "/\u00e9", "/\0"]) {
      assertFault(HttpHead.encodeRequest({ ...good, target }), "InvalidStartLine", { part: "target" })
    }
    for (const version of ["", "2.0", "1.", "1.10", "1.1\r\n"]) {
      assertFault(HttpHead.encodeRequest({ ...good, version }), "InvalidStartLine", { part: "version" })
    }
  })

  it("server refuses to write a start line that would break", () => {
    const good = { status: 101, reasonPhrase: "x", version: "1.1", fields: [] }
    for (const status of [0, 99, 1000, 101.5, Number.NaN]) {
      assertFault(HttpHead.encodeResponse({ ...good, status }), "InvalidStartLine", { part: "status" })
    }
    for (const reasonPhrase of ["a\r\nX: y", "\n", "\0", "\u0100"]) {
      assertFault(HttpHead.encodeResponse({ ...good, reasonPhrase }), "InvalidStartLine", { part: "reason phrase" })
    }
    assertFault(HttpHead.encodeResponse({ ...good, version: "2.0" }), "InvalidStartLine", { part: "version" })
  })

  it("both roles refuse to write fields that would break", () => {
    const request = { method: "GET", target: "/", version: "1.1" }
    const response = { status: 101, reasonPhrase: "x", version: "1.1" }
    for (const name of ["", "A B", "A:", "A\r\nB"]) {
      assertFault(HttpHead.encodeRequest({ ...request, fields: [[name, ""]] }), "InvalidFieldName", { field: name })
      assertFault(HttpHead.encodeResponse({ ...response, fields: [[name, ""]] }), "InvalidFieldName", { field: name })
    }
    for (const value of ["a\r\nB: c", "a\n", "a\r", "a\0", "\u0100"]) {
      assertFault(HttpHead.encodeRequest({ ...request, fields: [["A", value]] }), "InvalidFieldValue", { field: "A" })
      assertFault(HttpHead.encodeResponse({ ...response, fields: [["A", value]] }), "InvalidFieldValue", { field: "A" })
    }
  })
})
