import * as HttpBody from "@effect-ws/core/HttpBody"
import type * as HttpHead from "@effect-ws/core/HttpHead"
import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import { bytes, readResponse, text } from "./heads.ts"

type Limits = { readonly maxSize?: number }
type Outcome = { readonly body: string; readonly isComplete: boolean; readonly rest: string } | "needs more"

const response = (...lines: ReadonlyArray<string>): HttpHead.ResponseHead =>
  readResponse(["HTTP/1.1 403 Forbidden", ...lines])

const chunked = response("Transfer-Encoding: chunked")

/** Pushes chunks until the body ends; what comes behind it counts as leftover, whichever chunk it was in. */
const run = (decoder: HttpBody.Decoder, chunks: ReadonlyArray<Uint8Array>): Outcome => {
  for (const [i, chunk] of chunks.entries()) {
    const step = decoder.push(chunk)
    if (step._tag === "NeedMore") continue
    const { bytes, isComplete } = step.body
    if (!isComplete) assert.lengthOf(step.leftover, 0)
    const rest = isComplete ? [step.leftover, ...chunks.slice(i + 1)].map(text).join("") : ""
    return { body: text(bytes), isComplete, rest }
  }
  return "needs more"
}

/** The outcome of one input, asserted to be the same whole, byte by byte, and split at every offset. */
const outcome = (head: HttpHead.ResponseHead, input: string, limits?: Limits): Outcome => {
  const all = bytes(input)
  const whole = run(HttpBody.responseDecoder(head, limits), [all])
  const single = Array.from(all, (byte) => Uint8Array.of(byte))
  assert.deepStrictEqual(run(HttpBody.responseDecoder(head, limits), [new Uint8Array(0), ...single]), whole)
  for (let i = 0; i <= all.length; i++) {
    const halves = [all.subarray(0, i), all.subarray(i)]
    assert.deepStrictEqual(run(HttpBody.responseDecoder(head, limits), halves), whole, `split at ${i}`)
  }
  return whole
}

/** What is there when no more comes, asserted to be the same whole, byte by byte, and split at every offset. */
const ended = (head: HttpHead.ResponseHead, input: string, atEnd: boolean, limits?: Limits): ReadonlyArray<unknown> => {
  const all = bytes(input)
  const finish = (chunks: ReadonlyArray<Uint8Array>): ReadonlyArray<unknown> => {
    const decoder = HttpBody.responseDecoder(head, limits)
    for (const chunk of chunks) decoder.push(chunk)
    const body = decoder.end(atEnd)
    assert.deepStrictEqual(decoder.end(!atEnd), body)
    return [text(body.bytes), body.isComplete]
  }
  const whole = finish([all])
  assert.deepStrictEqual(finish(Array.from(all, (byte) => Uint8Array.of(byte))), whole)
  for (let i = 0; i <= all.length; i++) assert.deepStrictEqual(finish([all.subarray(0, i), all.subarray(i)]), whole)
  return whole
}

const complete = (body: string, rest = ""): Outcome => ({ body, isComplete: true, rest })
const broken = (body: string): Outcome => ({ body, isComplete: false, rest: "" })

describe("RFC 9112 6.3: how long a body is", () => {
  it("client reads as many bytes as Content-Length says and hands back what follows", () => {
    const head = response("Content-Length: 5")
    assert.deepStrictEqual(outcome(head, "hello"), complete("hello"))
    assert.deepStrictEqual(outcome(head, "helloHTTP/1.1 101"), complete("hello", "HTTP/1.1 101"))
    assert.strictEqual(outcome(head, "hell"), "needs more")
    assert.deepStrictEqual(ended(head, "hell", true), ["hell", false])
    assert.deepStrictEqual(ended(head, "hell", false), ["hell", false])
    assert.deepStrictEqual(ended(head, "hello", false), ["hello", true])
  })

  it.each([
    ["of length 0", response("Content-Length: 0")],
    ["of status 204", readResponse(["HTTP/1.1 204 No Content"])],
    ["of status 304, whatever length it announces", readResponse(["HTTP/1.1 304 x", "Content-Length: 5"])],
    ["of status 304, whatever coding it announces", readResponse(["HTTP/1.1 304 x", "Transfer-Encoding: chunked"])],
    ["of an interim response", readResponse(["HTTP/1.1 103 Early Hints"])]
  ])("client knows that a body %s is complete before any byte", (_, head) => {
    const step = HttpBody.responseDecoder(head).push(new Uint8Array(0))
    assert(step._tag === "Decoded")
    assert.deepStrictEqual(step.body, { bytes: new Uint8Array(0), isComplete: true })
    assert.deepStrictEqual(outcome(head, "more"), complete("", "more"))
    assert.deepStrictEqual(ended(head, "", false), ["", true])
    assert.deepStrictEqual(ended(head, "more", true, { maxSize: 0 }), ["", true])
  })

  it("client reads to the end of the transport where no field says more", () => {
    assert.strictEqual(outcome(response(), "hello"), "needs more")
    assert.deepStrictEqual(ended(response(), "hello", true), ["hello", true])
    assert.deepStrictEqual(ended(response(), "", true), ["", true])
    assert.deepStrictEqual(ended(response(), "hello", false), ["hello", false])
  })

  it.each([
    ["gzip"],
    ["identity"],
    ["chunked, gzip"],
    ["chunked, chunked"],
    ["chunked;a=b"],
    ["gzip;a=chunked"],
    [""],
    ["x"]
  ])("client reads to the end of the transport for the transfer coding %j", (coding) => {
    const head = response(`Transfer-Encoding: ${coding}`)
    assert.strictEqual(outcome(head, "0\r\n\r\nmore"), "needs more")
    assert.deepStrictEqual(ended(head, "0\r\n\r\nmore", true), ["0\r\n\r\nmore", true])
    assert.deepStrictEqual(ended(head, "0\r\n\r\nmore", false), ["0\r\n\r\nmore", false])
  })

  it.each([["Chunked"], ["gzip, chunked"], [", chunked ,"], ["gzip\r\nTransfer-Encoding: chunked"]])(
    "client reads chunks for the transfer coding %j",
    (coding) => {
      const head = response(...`Transfer-Encoding: ${coding}`.split("\r\n"))
      assert.deepStrictEqual(outcome(head, "5\r\nhello\r\n0\r\n\r\nmore"), complete("hello", "more"))
    }
  )

  it("client takes a repeated equal Content-Length as one", () => {
    assert.deepStrictEqual(outcome(response("Content-Length: 5, 5"), "hello!"), complete("hello", "!"))
    assert.deepStrictEqual(outcome(response("Content-Length: 5\t,5"), "hello!"), complete("hello", "!"))
    assert.deepStrictEqual(
      outcome(response("Content-Length: 5", "content-length: 5"), "hello!"),
      complete("hello", "!")
    )
  })

  it.each([
    ["differ", ["Content-Length: 5", "Content-Length: 4"]],
    ["differ in one line", ["Content-Length: 5, 4"]],
    ["differ in their spelling", ["Content-Length: 5, 05"]],
    ["are empty", ["Content-Length:"]],
    ["are negative", ["Content-Length: -5"]],
    ["have a sign", ["Content-Length: +5"]],
    ["are no whole number", ["Content-Length: 5.0"]],
    ["have an exponent", ["Content-Length: 5e0"]],
    ["are hexadecimal", ["Content-Length: 0x5"]],
    ["have an empty element", ["Content-Length: 5,"]],
    ["have a blank within", ["Content-Length: 5 5"]],
    ["have a digit that is not ASCII", ["Content-Length: \u00b2"]]
  ])("client never calls a body complete when the values of Content-Length %s", (_, lines) => {
    const head = response(...lines)
    assert.strictEqual(outcome(head, "hello"), "needs more")
    assert.deepStrictEqual(ended(head, "hello", true), ["hello", false])
    assert.deepStrictEqual(ended(head, "", true), ["", false])
    assert.isFalse(HttpBody.keepsAlive(head))
  })

  it("client never calls a body complete when Transfer-Encoding comes with Content-Length", () => {
    const input = "5\r\nhello\r\n0\r\n\r\nmore"
    for (const length of ["5", "20", "0", "x"]) {
      const head = response(`Content-Length: ${length}`, "Transfer-Encoding: chunked")
      assert.deepStrictEqual(outcome(head, input), broken("hello"))
      assert.deepStrictEqual(ended(head, input, true), ["hello", false])
      const coded = response(`Content-Length: ${length}`, "Transfer-Encoding: gzip")
      assert.deepStrictEqual(ended(coded, "hello", true), ["hello", false])
    }
  })

  it("client never calls a body complete when an HTTP/1.0 server or a malformed field names a coding", () => {
    const old = readResponse(["HTTP/1.0 403 Forbidden", "Transfer-Encoding: chunked"])
    assert.deepStrictEqual(outcome(old, "5\r\nhello\r\n0\r\n\r\nmore"), broken("hello"))
    assert.deepStrictEqual(ended(response("Transfer-Encoding: chunked;"), "hello", true), ["hello", false])
  })
})

describe("RFC 9112 7.1: chunked bodies", () => {
  it("client joins the chunks and hands back what follows the last one", () => {
    const input = "5\r\nhello\r\n1\r\n,\r\n0006\r\n world\r\n00\r\n\r\nmore"
    assert.deepStrictEqual(outcome(chunked, input), complete("hello, world", "more"))
    assert.deepStrictEqual(outcome(chunked, "0\r\n\r\n"), complete(""))
  })

  it("client reads sizes in hexadecimal of either case", () => {
    for (const size of ["1a", "1A"]) {
      assert.deepStrictEqual(outcome(chunked, `${size}\r\n${"x".repeat(26)}\r\n0\r\n\r\n`), complete("x".repeat(26)))
    }
  })

  it("client takes CR and LF inside of a chunk as data", () => {
    assert.deepStrictEqual(outcome(chunked, "7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n"), complete("\r\n0\r\n\r\n"))
  })

  it.each([
    ["a name", ";a"],
    ["several", ";a=b;c;d=e"],
    ["a quoted value", ';a="b; \\"c\\\\\td"'],
    ["an empty quoted value", ';a="";b'],
    ["blanks where they may be", ' ; a = b \t;\tc ; d = "e" ; f']
  ])("client ignores chunk extensions: %s", (_, extension) => {
    assert.deepStrictEqual(outcome(chunked, `5${extension}\r\nhello\r\n0${extension}\r\n\r\n!`), complete("hello", "!"))
  })

  it("client drops the fields of the trailer", () => {
    const trailer = "A: b\r\nContent-Length: 99\r\nTransfer-Encoding:\r\n"
    assert.deepStrictEqual(outcome(chunked, `5\r\nhello\r\n0\r\n${trailer}\r\n!`), complete("hello", "!"))
  })

  it.each([
    ["no size", "\r\n"],
    ["an extension without a size", ";a\r\n"],
    ["a size that is not hexadecimal", "g\r\n"],
    ["a size with a prefix", "0x5\r\n"],
    ["a negative size", "-1\r\n"],
    ["a blank before the size", " 5\r\n"],
    ["a blank behind the size", "5 \r\n"],
    ["text behind the size", "5 a\r\n"],
    ["a size of 14 digits", "00000000000005\r\n"],
    ["a size beyond every number", `${"f".repeat(400)}\r\n`],
    ["a size line that ends in LF", "5\nhello"],
    ["a size line that ends in CR", "5\rhello"],
    ["an extension without a name", "5;\r\n"],
    ["an extension without a name before another", "5;;a\r\n"],
    ["an extension that is no token", "5;a(\r\n"],
    ["an extension without a value", "5;a=\r\n"],
    ["an extension with a value that is no token", "5;a=b(\r\n"],
    ["an extension with two values", "5;a=b=c\r\n"],
    ["an extension with text behind it", "5;a b\r\n"],
    ["an extension with text behind its value", "5;a=b c\r\n"],
    ["an extension with text behind its quoted value", '5;a="b"c\r\n'],
    ["an extension with a blank behind it", "5;a \r\n"],
    ["a quoted value that never ends", '5;a="b\r\n'],
    ["a quoted value with a control character", '5;a="\0"\r\n'],
    ["a quoted value with an escaped control character", '5;a="\\\0"\r\n'],
    ["an extension that ends in LF", "5;a\nhello"],
    ["a chunk longer than its size", "5\r\nhello!\r\n"],
    ["a chunk without CRLF", "5\r\nhello5\r\n"],
    ["a chunk with LF alone", "5\r\nhello\n"],
    ["a chunk with CR alone", "5\r\nhello\r0"],
    ["a trailer that is no field", "0\r\nA\r\n"],
    ["a trailer with a blank before the colon", "0\r\nA : b\r\n"],
    ["a trailer that begins with a blank", "0\r\n A: b\r\n"],
    ["a trailer that ends in LF", "0\r\nA: b\n"],
    ["a last line that ends in LF", "0\r\n\n"],
    ["a last line that ends in CR", "0\r\n\rX"]
  ])("client keeps what came when there is %s", (_, input) => {
    const data = input.startsWith("5\r\nhello") ? "hello" : ""
    assert.deepStrictEqual(outcome(chunked, input), broken(data))
    assert.deepStrictEqual(outcome(chunked, `3\r\nabc\r\n${input} and more`), broken(`abc${data}`))
  })

  it("client keeps what came when the transport ends within the chunks", () => {
    const input = '5;a="b"\r\nhello\r\n0;c\r\nD: e\r\n\r\n'
    for (let i = 0; i < input.length; i++) {
      const data = "hello".slice(0, Math.max(0, i - 9))
      assert.strictEqual(run(HttpBody.responseDecoder(chunked), [bytes(input.slice(0, i))]), "needs more")
      assert.deepStrictEqual(ended(chunked, input.slice(0, i), true), [data, false])
      assert.deepStrictEqual(ended(chunked, input.slice(0, i), false), [data, false])
    }
  })

  it("client bounds the extensions of all chunks together", () => {
    const input = (size: number): string =>
      `1\r\na\r\n1;${"b".repeat(4095)}\r\nb\r\n1;${"c".repeat(size)}\r\nc\r\n0\r\n\r\n`
    const read = (size: number) => run(HttpBody.responseDecoder(chunked), [bytes(input(size))])
    assert.deepStrictEqual(read(4095), complete("abc"))
    assert.deepStrictEqual(read(4096), broken("ab"))
    const endless = HttpBody.responseDecoder(chunked)
    assert.strictEqual(endless.push(bytes("1;a"))._tag, "NeedMore")
    for (let i = 0; i < 8190; i++) assert.strictEqual(endless.push(bytes("a"))._tag, "NeedMore")
    assert.strictEqual(endless.push(bytes("a"))._tag, "Decoded")
  })

  it("client bounds the trailer in bytes and in fields", () => {
    const read = (trailer: string) => run(HttpBody.responseDecoder(chunked), [bytes(`1\r\na\r\n0\r\n${trailer}\r\n`)])
    assert.deepStrictEqual(read(`A: ${"x".repeat(8000)}\r\n`), complete("a"))
    assert.deepStrictEqual(read(`A: ${"x".repeat(8192)}\r\n`), broken("a"))
    assert.deepStrictEqual(read("a:\r\n".repeat(100)), complete("a"))
    assert.deepStrictEqual(read("a:\r\n".repeat(101)), broken("a"))
  })

  it("client reads back what was written in chunks of any size", () => {
    const data = fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 6 })
    const written = (chunks: ReadonlyArray<Uint8Array>): string =>
      [...chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${text(chunk)}\r\n`), "0\r\n\r\n"].join("")
    fc.assert(
      fc.property(data, fc.uint8Array({ maxLength: 5 }), (chunks, rest) => {
        const expected = complete(chunks.map(text).join(""), text(rest))
        assert.deepStrictEqual(outcome(chunked, written(chunks) + text(rest)), expected)
      })
    )
  })
})

describe("the cap of a body", () => {
  it("client takes a body of exactly the cap, and the first bytes of a larger one", () => {
    for (const [head, input] of [
      [response("Content-Length: 5"), "hello"],
      [chunked, "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"]
    ] as const) {
      assert.deepStrictEqual(outcome(head, `${input}!`, { maxSize: 5 }), complete("hello", "!"))
      assert.deepStrictEqual(outcome(head, `${input}!`, { maxSize: 4 }), broken("hell"))
      assert.deepStrictEqual(outcome(head, `${input}!`, { maxSize: 2 }), broken("he"))
      assert.deepStrictEqual(outcome(head, `${input}!`, { maxSize: 0 }), broken(""))
    }
    assert.deepStrictEqual(ended(response(), "hello", true, { maxSize: 5 }), ["hello", true])
    assert.deepStrictEqual(ended(response(), "hello!", true, { maxSize: 5 }), ["hello", false])
    assert.deepStrictEqual(outcome(response(), "hello!", { maxSize: 5 }), broken("hello"))
  })

  it("client takes 64 KiB by default", () => {
    const read = (size: number) => {
      const step = HttpBody.responseDecoder(response(`Content-Length: ${size}`)).push(new Uint8Array(size))
      assert(step._tag === "Decoded")
      return [step.body.bytes.length, step.body.isComplete]
    }
    assert.deepStrictEqual(read(65_536), [65_536, true])
    assert.deepStrictEqual(read(65_537), [65_536, false])
  })

  it("client does not wait for bytes that can't make a body fit", () => {
    const decoder = HttpBody.responseDecoder(response("Content-Length: 6"), { maxSize: 5 })
    assert.strictEqual(decoder.push(bytes("hell"))._tag, "NeedMore")
    assert.strictEqual(decoder.push(bytes("o"))._tag, "Decoded")
  })

  it("client reserves nothing for a length that is only announced", () => {
    const huge = 2 ** 52
    const hex = huge.toString(16)
    for (const head of [response(`Content-Length: ${huge}`), response(`Content-Length: ${"9".repeat(400)}`)]) {
      assert.deepStrictEqual(ended(head, "hello", true, { maxSize: huge }), ["hello", false])
    }
    // 14 digits are too many, so the largest that can be announced is a sixteenth of it.
    const head = `${"f".repeat(hex.length - 1)}\r\n`
    assert.deepStrictEqual(ended(chunked, `${head}hello`, true, { maxSize: huge }), ["hello", false])
  })

  it("client is told by a RangeError that a cap makes no sense", () => {
    for (const maxSize of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
      assert.throws(() => HttpBody.responseDecoder(response(), { maxSize }), RangeError, "maxSize")
    }
  })

  it("client ends in documented outcomes for any bytes", () => {
    const unit = fc.constantFrom("0", "5", "a", "\r\n", "\r", "\n", ";", "=", '"', "\\", " ", "A: b", "hello", "\0")
    const almost = fc.array(unit, { maxLength: 16 }).map((units) => units.join(""))
    const input = fc.oneof(almost, fc.uint8Array({ maxLength: 40 }).map(text))
    const value = fc.constantFrom("5", "0", "5, 5", "x", "", "chunked", "gzip, chunked", "chunked, chunked", ";", "1e3")
    const name = fc.constantFrom("Content-Length", "Transfer-Encoding", "Connection")
    const fields = fc.array(fc.tuple(name, value), { maxLength: 3 })
    const status = fc.constantFrom(200, 204, 304, 403)
    fc.assert(
      fc.property(input, fields, status, fc.nat({ max: 12 }), fc.boolean(), (input, fields, status, maxSize, atEnd) => {
        const head = { ...response(), status, fields }
        const step = outcome(head, input, { maxSize })
        if (step !== "needs more") assert.isAtMost(step.body.length, maxSize)
        const [body] = ended(head, input, atEnd, { maxSize })
        assert.isAtMost(String(body).length, maxSize)
        assert.isBoolean(HttpBody.keepsAlive(head))
      }),
      { numRuns: 500 }
    )
  })

  it("client reads hostile bodies byte by byte in linear time", () => {
    const extensions = 'a="\\\\";'.repeat(1000)
    const hostile = [`1;${extensions}a\r\n`, `1;${" ".repeat(8000)}a\r\n`, `0\r\nA: ${" ".repeat(8000)}`]
    for (const input of ["1\r\na\r\n".repeat(60_000), ...hostile]) {
      assert.strictEqual(untaken(HttpBody.responseDecoder(chunked), bytes(input)), 0)
    }
    const counted = HttpBody.responseDecoder(response("Content-Length: 1000000"), { maxSize: 1_000_000 })
    assert.strictEqual(untaken(counted, new Uint8Array(1_000_000)), 1)
    assert.lengthOf(counted.end(true).bytes, 1_000_000)
  })
})

/** Pushes byte by byte, and counts those for which the decoder didn't want more. */
const untaken = (decoder: HttpBody.Decoder, input: Uint8Array): number => {
  let count = 0
  for (const byte of input) if (decoder.push(Uint8Array.of(byte))._tag !== "NeedMore") count++
  return count
}

describe("chunks and who owns the bytes", () => {
  /** As Node's Buffer: `slice` returns a view. */
  class View extends Uint8Array {
    override slice(start?: number, end?: number): Uint8Array<ArrayBuffer> {
      return this.subarray(start, end) as unknown as Uint8Array<ArrayBuffer>
    }
  }

  it("client copies body and leftover out of the chunk, and nothing more than them", () => {
    for (const [head, input] of [
      [response("Content-Length: 5"), "hellorest"],
      [chunked, "5\r\nhello\r\n0\r\n\r\nrest"]
    ] as const) {
      const chunk = View.from(bytes(input))
      const step = HttpBody.responseDecoder(head).push(chunk)
      assert(step._tag === "Decoded")
      chunk.fill(0)
      assert.deepStrictEqual([text(step.body.bytes), text(step.leftover)], ["hello", "rest"])
      assert.strictEqual(step.body.bytes.buffer.byteLength, 5)
      assert.strictEqual(step.leftover.buffer.byteLength, 4)
    }
  })

  it("client reads a chunk before the push returns", () => {
    const decoder = HttpBody.responseDecoder(response())
    const chunk = bytes("hello")
    decoder.push(chunk)
    chunk.fill(0)
    const { bytes: body } = decoder.end(true)
    assert.strictEqual(text(body), "hello")
    assert.strictEqual(body.buffer.byteLength, 5)
  })

  it("client gets the same body for ever once it ended, and what came behind it back", () => {
    const decoder = HttpBody.responseDecoder(response("Content-Length: 1"))
    const first = decoder.push(bytes("ab"))
    const second = decoder.push(bytes("cd"))
    assert(first._tag === "Decoded" && second._tag === "Decoded")
    assert.strictEqual(second.body, first.body)
    assert.strictEqual(text(second.leftover), "cd")
    assert.strictEqual(decoder.end(false), first.body)
  })

  it("client takes no more once it said that no more will come", () => {
    for (const atEnd of [true, false]) {
      const decoder = HttpBody.responseDecoder(response())
      decoder.push(bytes("ab"))
      const body = decoder.end(atEnd)
      const step = decoder.push(bytes("cd"))
      assert(step._tag === "Decoded")
      assert.strictEqual(step.body, body)
      assert.strictEqual(text(step.body.bytes), "ab")
      assert.strictEqual(body.isComplete, atEnd)
    }
  })
})

describe("RFC 9112 9.3: whether the connection lives on", () => {
  it.each([
    [["Content-Length: 5"]],
    [["Content-Length: 0"]],
    [["Transfer-Encoding: chunked"]],
    [["Content-Length: 5", "Connection: keep-alive, Upgrade"]]
  ])("client may ask again behind %j", (lines) => {
    assert.isTrue(HttpBody.keepsAlive(response(...lines)))
    assert.isTrue(HttpBody.keepsAlive({ ...response(...lines), version: "1.2" }))
    assert.isFalse(HttpBody.keepsAlive({ ...response(...lines), version: "1.0" }))
    assert.isFalse(HttpBody.keepsAlive(response(...lines, "Connection: x, Close")))
    assert.isFalse(HttpBody.keepsAlive(response(...lines, "Connection: close", "Connection: keep-alive")))
    assert.isFalse(HttpBody.keepsAlive(response(...lines, "Connection: (")))
  })

  it("client may ask again behind a response that has no body", () => {
    assert.isTrue(HttpBody.keepsAlive(readResponse(["HTTP/1.1 204 No Content"])))
    assert.isTrue(HttpBody.keepsAlive(readResponse(["HTTP/1.1 304 Not Modified"])))
  })

  it.each([
    [[]],
    [["Connection: keep-alive"]],
    [["Transfer-Encoding: gzip"]],
    [["Transfer-Encoding: chunked", "Content-Length: 5"]],
    [["Transfer-Encoding: chunked;"]],
    [["Content-Length: 5, 6"]]
  ])("client may not ask again behind %j", (lines) => {
    assert.isFalse(HttpBody.keepsAlive(response(...lines)))
  })

  it("client may not ask again behind a 101, which ends HTTP", () => {
    assert.isFalse(HttpBody.keepsAlive(readResponse(["HTTP/1.1 101 Switching Protocols"])))
  })
})
