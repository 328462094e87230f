import { assert, describe, it } from "@effect/vitest"
import * as Socks5 from "../../src/internal/socks5.ts"

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(" ", ""), "hex"))
const shown = (bytes: Uint8Array): string =>
  Buffer.from(bytes)
    .toString("hex")
    .replace(/..(?!$)/g, "$& ")

/** Hands the chunks over until the answer is decided, and puts what is left of them behind the leftover. */
const decode = (answer: Socks5.Answer, chunks: ReadonlyArray<Uint8Array>) => {
  const decoder = Socks5.decoder(answer)
  for (const [index, chunk] of chunks.entries()) {
    const step = decoder.push(chunk)
    if (Socks5.isFault(step)) return { fault: step._tag }
    const rest = chunks.slice(index + 1)
    if (step._tag === "Decoded") return { code: step.code, leftover: shown(Buffer.concat([step.leftover, ...rest])) }
  }
  return "NeedMore"
}

/** Whole, byte by byte, and cut at every offset: the outcome has to be the same. */
const cutsOf = (bytes: Uint8Array): ReadonlyArray<ReadonlyArray<Uint8Array>> => [
  [bytes],
  [...bytes].map((byte) => Uint8Array.of(byte)),
  ...Array.from(bytes, (_, at) => [bytes.subarray(0, at), bytes.subarray(at)])
]

const decodes = (answer: Socks5.Answer, text: string, expected: ReturnType<typeof decode>) => {
  for (const chunks of cutsOf(hex(text))) {
    assert.deepStrictEqual(decode(answer, chunks), expected, `${text} as ${chunks.map(shown).join(" | ")}`)
  }
}

const longestName = `ff ${"61 ".repeat(255)}`
// The rest of a successful reply, from the type of the address on, for each type.
const addresses: Record<string, string> = {
  "an IPv4 address": "01 c0 00 02 07 00 50",
  "an IPv6 address": "04 20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 07 00 50",
  "a name": "03 04 68 6f 73 74 00 50",
  "the longest name": `03 ${longestName}00 50`,
  "the shortest name": "03 00 00 50"
}

describe("RFC 1928 3: the methods", () => {
  // "The client connects to the server, and sends a version identifier/method selection message"
  it("client offers its methods", () => {
    assert.strictEqual(shown(Socks5.encodeGreeting([0])), "05 01 00")
    assert.strictEqual(shown(Socks5.encodeGreeting([0, 2])), "05 02 00 02")
  })

  // "The server selects from one of the methods given in METHODS, and sends a METHOD selection message"
  it("client reads the method that the proxy chose, and hands back what follows", () => {
    for (const code of [0, 1, 2, 0x80, 0xff]) {
      const answer = shown(Uint8Array.of(5, code))
      decodes("method", answer, { code, leftover: "" })
      decodes("method", `${answer} 05 00`, { code, leftover: "05 00" })
    }
  })

  it("client refuses another version by its first byte", () => {
    for (const version of ["00", "04", "06", "48", "ff"]) {
      decodes("method", version, { fault: "SocksVersion" })
      decodes("method", `${version} 00 05`, { fault: "SocksVersion" })
    }
  })

  it("client waits for the rest of an answer", () => {
    for (const answer of ["method", "authentication", "reply"] as const) decodes(answer, "", "NeedMore")
    decodes("method", "05", "NeedMore")
  })
})

describe("RFC 1929 2: the password", () => {
  it("client writes the username and the password, each behind its length", () => {
    const cases = [
      ["user", "secret", "01 04 75 73 65 72 06 73 65 63 72 65 74"],
      ["j\u00f6", "", "01 03 6a c3 b6 00"],
      ["", "a", "01 00 01 61"],
      ["a".repeat(255), "a".repeat(255), `01 ${longestName}${longestName}`.trim()]
    ] as const
    for (const [username, password, expected] of cases) {
      assert.strictEqual(shown(Socks5.encodeCredentials(username, password) as Uint8Array), expected)
    }
  })

  it("client refuses to write parts of more than 255 bytes, and doesn't repeat them", () => {
    const cases = [
      ["s3cret".repeat(43), "a"],
      ["a", "s3cret".repeat(43)],
      [`s3cret${"\u00f6".repeat(125)}`, ""]
    ] as const
    for (const [username, password] of cases) {
      const fault = Socks5.encodeCredentials(username, password)
      assert.deepInclude(fault, { _tag: "SocksCredentials", section: "RFC 1929 2" })
      assert.notInclude(JSON.stringify(fault), "s3cret")
    }
  })

  // "A STATUS field of X'00' indicates success. If the server returns a `failure' (STATUS value other than X'00') status"
  it("client reads the status, and hands back what follows", () => {
    for (const code of [0, 1, 0xff]) {
      decodes("authentication", shown(Uint8Array.of(1, code)), { code, leftover: "" })
      decodes("authentication", shown(Uint8Array.of(1, code, 5)), { code, leftover: "05" })
    }
    decodes("authentication", "01", "NeedMore")
  })

  it("client refuses another version of the answer, that of SOCKS too", () => {
    for (const version of ["00", "02", "05"]) {
      decodes("authentication", `${version} 00`, { fault: "SocksAuthenticationVersion" })
      decodes("authentication", version, { fault: "SocksAuthenticationVersion" })
    }
  })
})

describe("RFC 1928 4, 5: the request", () => {
  it("client asks for a name or an address, in the type that it is of", () => {
    const cases = [
      ["chat.test", 80, "05 01 00 03 09 63 68 61 74 2e 74 65 73 74 00 50"],
      ["a", 65_535, "05 01 00 03 01 61 ff ff"],
      ["127.1", 1, "05 01 00 03 05 31 32 37 2e 31 00 01"],
      ["192.0.2.7", 443, "05 01 00 01 c0 00 02 07 01 bb"],
      ["::", 258, `05 01 00 04 ${"00 ".repeat(16)}01 02`],
      ["::1", 80, `05 01 00 04 ${"00 ".repeat(15)}01 00 50`],
      ["2001:db8::", 80, `05 01 00 04 20 01 0d b8 ${"00 ".repeat(12)}00 50`],
      ["2001:DB8::a:0:7", 80, `05 01 00 04 20 01 0d b8 ${"00 ".repeat(6)}00 0a 00 00 00 07 00 50`],
      ["1:2:3:4:5:6:7:ffff", 80, "05 01 00 04 00 01 00 02 00 03 00 04 00 05 00 06 00 07 ff ff 00 50"],
      ["::ffff:192.0.2.7", 80, `05 01 00 04 ${"00 ".repeat(10)}ff ff c0 00 02 07 00 50`],
      ["fe80::1%2", 80, "05 01 00 03 09 66 65 38 30 3a 3a 31 25 32 00 50"],
      ["a".repeat(255), 80, `05 01 00 03 ${longestName}00 50`]
    ] as const
    for (const [hostname, port, expected] of cases) {
      assert.strictEqual(shown(Socks5.encodeConnect(hostname, port) as Uint8Array), expected, hostname)
    }
  })

  it("client refuses to ask for a name that is empty or too long", () => {
    for (const hostname of ["", "a".repeat(256), "\u00f6".repeat(128)]) {
      assert.deepInclude(Socks5.encodeConnect(hostname, 80), { _tag: "SocksHost", section: "RFC 1928 5" })
    }
  })
})

describe("RFC 1928 6: the reply", () => {
  for (const [kind, rest] of Object.entries(addresses)) {
    it(`client reads a success with ${kind}, and hands back exactly what follows`, () => {
      decodes("reply", `05 00 00 ${rest}`, { code: 0, leftover: "" })
      decodes("reply", `05 00 00 ${rest} 05 00 68 69`, { code: 0, leftover: "05 00 68 69" })
    })

    it(`client waits for the rest of a success with ${kind}`, () => {
      const whole = hex(`05 00 00 ${rest}`)
      for (let length = 0; length < whole.length; length++) {
        assert.strictEqual(decode("reply", [whole.subarray(0, length)]), "NeedMore")
      }
    })
  }

  it("client knows each code, and tells it by the code alone", () => {
    const names = [
      "GeneralFailure",
      "ConnectionNotAllowed",
      "NetworkUnreachable",
      "HostUnreachable",
      "ConnectionRefused",
      "TtlExpired",
      "CommandNotSupported",
      "AddressTypeNotSupported"
    ]
    for (let code = 1; code <= 255; code++) {
      assert.strictEqual(Socks5.nameOf(code), names[code - 1] ?? "Unassigned")
      const start = shown(Uint8Array.of(5, code))
      decodes("reply", start, { code, leftover: "" })
      decodes("reply", `${start} 00 01 00 00 00 00 00 00`, { code, leftover: "00 01 00 00 00 00 00 00" })
      decodes("reply", `${start} ff 09`, { code, leftover: "ff 09" })
    }
  })

  it("client refuses another version, a reserved byte that isn't 0, and an unknown type of address", () => {
    for (const version of ["00", "04", "48"]) {
      decodes("reply", version, { fault: "SocksVersion" })
      decodes("reply", `${version} 00 00 01 00 00 00 00 00 00`, { fault: "SocksVersion" })
      decodes("reply", `${version} 01 00 01 00 00 00 00 00 00`, { fault: "SocksVersion" })
    }
    decodes("reply", "05 00 01", { fault: "SocksReserved" })
    decodes("reply", "05 00 ff 01 00 00 00 00 00 00", { fault: "SocksReserved" })
    for (const type of ["00", "02", "05", "09", "ff"]) {
      decodes("reply", `05 00 00 ${type}`, { fault: "SocksAddressType" })
      decodes("reply", `05 00 00 ${type} 00 00 00 00 00 00 00`, { fault: "SocksAddressType" })
    }
  })

  it("client keeps its fault, whatever follows", () => {
    const decoder = Socks5.decoder("reply")
    const fault = decoder.push(hex("04"))
    assert.deepInclude(fault, { _tag: "SocksVersion", message: "the proxy doesn't speak SOCKS 5 (RFC 1928 3)" })
    assert.deepStrictEqual(decoder.push(hex("05 00 00 01 00 00 00 00 00 00")), fault)
  })

  it("client doesn't keep a chunk that it was given", () => {
    const decoder = Socks5.decoder("reply")
    const first = hex("05 00 00 03 04")
    decoder.push(first)
    first.fill(0xff)
    assert.deepInclude(decoder.push(hex("68 6f 73 74 00 50")), { _tag: "Decoded", code: 0 })
  })

  it("client takes no more than the longest answer out of a chunk of any size", () => {
    const tail = new Uint8Array(100_000).fill(7)
    const step = Socks5.decoder("reply").push(Buffer.concat([hex(`05 00 00 03 ${longestName}00 50`), tail]))
    assert.strictEqual(step._tag === "Decoded" ? step.leftover.length : step._tag, tail.length)
  })
})
