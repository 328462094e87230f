import * as Extension from "@effect-ws/core/Extension"
import * as PermessageDeflate from "@effect-ws/core/PermessageDeflate"
import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import { assertFault, fields, ok } from "./heads.ts"

type Wishes = PermessageDeflate.Wishes

/** Anything goes: takeover on both sides, and the largest windows. */
const anything: Wishes = {
  serverNoContextTakeover: false,
  clientNoContextTakeover: false,
  serverMaxWindowBits: 15,
  clientMaxWindowBits: 15
}

const forgetful: Wishes = { ...anything, serverNoContextTakeover: true, clientNoContextTakeover: true }

/** Reads the lines of a head as both roles get them. */
const read = (...lines: ReadonlyArray<string>) =>
  ok(Extension.parse(fields(...lines.map((line) => ["Sec-WebSocket-Extensions", line] as const))))

const name = "permessage-deflate"

/** What a server with these wishes answers to an offer; `undefined` when it declines. */
const answerTo = (offer: string | ReadonlyArray<string>, wishes: Wishes = anything): string | undefined => {
  const chosen = PermessageDeflate.choose(read(...(typeof offer === "string" ? [offer] : offer)), wishes)
  return chosen === undefined ? undefined : Extension.format([chosen.response])
}

const chosenFrom = (offer: string, wishes: Wishes = anything) =>
  PermessageDeflate.choose(read(offer), wishes)?.parameters

/** What a client that offered these alternatives makes of an answer. */
const agreed = (answer: string, ...alternatives: ReadonlyArray<Wishes>) =>
  PermessageDeflate.agree(read(answer), alternatives.length === 0 ? [anything] : alternatives)

const assertMismatch = (answer: string, ...alternatives: ReadonlyArray<Wishes>) =>
  assertFault(agreed(answer, ...alternatives), "ExtensionMismatch", { extension: name, section: "RFC 6455 9.1" })

const windowSizes = ["server_max_window_bits", "client_max_window_bits"] as const
const flags = ["server_no_context_takeover", "client_no_context_takeover"] as const
const good = ["8", "9", "10", "11", "12", "13", "14", "15", '"10"', '"1\\0"']
const bad = ["0", "7", "16", "08", "010", "8.5", "15x", "x", "1e1", "-8", "+9", "0x9", "99999999999999999999", '"16"']

describe("RFC 7692 7.1: what a client offers", () => {
  it.each([
    ["nothing but what it understands", anything, "client_max_window_bits"],
    [
      "that nobody remembers",
      forgetful,
      "server_no_context_takeover; client_no_context_takeover; client_max_window_bits"
    ],
    [
      "that the server forgets",
      { ...anything, serverNoContextTakeover: true },
      "server_no_context_takeover; client_max_window_bits"
    ],
    [
      "that it forgets itself",
      { ...anything, clientNoContextTakeover: true },
      "client_no_context_takeover; client_max_window_bits"
    ],
    [
      "a smaller window of the server",
      { ...anything, serverMaxWindowBits: 8 },
      "server_max_window_bits=8; client_max_window_bits"
    ],
    ["a smaller window of its own", { ...anything, clientMaxWindowBits: 14 }, "client_max_window_bits=14"],
    [
      "everything",
      { ...forgetful, serverMaxWindowBits: 9, clientMaxWindowBits: 10 },
      "server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9; client_max_window_bits=10"
    ]
  ])("client offers %s", (_, wishes, parameters) => {
    assert.strictEqual(Extension.format(PermessageDeflate.offer([wishes])), `${name}; ${parameters}`)
  })

  it("client offers alternatives in order, and none for none", () => {
    assert.strictEqual(
      Extension.format(PermessageDeflate.offer([{ ...anything, serverMaxWindowBits: 10 }, anything])),
      `${name}; server_max_window_bits=10; client_max_window_bits, ${name}; client_max_window_bits`
    )
    assert.deepStrictEqual(PermessageDeflate.offer([]), [])
  })
})

describe("RFC 7692 7.1: what a server takes and answers", () => {
  it.each([
    // 7.1.3, the examples.
    [name, name],
    [`${name}; client_max_window_bits; server_max_window_bits=10`, `${name}; server_max_window_bits=10`],
    // 7.1.1.1
    [`${name}; server_no_context_takeover`, `${name}; server_no_context_takeover`],
    // 7.1.1.2
    [`${name}; client_no_context_takeover`, `${name}; client_no_context_takeover`],
    // 7.1.2.1: confirmed, the largest one too.
    [`${name}; server_max_window_bits=15`, `${name}; server_max_window_bits=15`],
    [`${name}; server_max_window_bits=8`, `${name}; server_max_window_bits=8`],
    // 7.1.2.2
    [`${name}; client_max_window_bits`, name],
    [`${name}; client_max_window_bits=15`, name],
    [`${name}; client_max_window_bits=11`, `${name}; client_max_window_bits=11`],
    [`${name}; client_max_window_bits=8`, `${name}; client_max_window_bits=8`],
    // Everything, in another order and another case.
    [
      "Permessage-DEFLATE; Client_Max_Window_Bits=9; CLIENT_NO_CONTEXT_TAKEOVER; server_max_window_bits=12; " +
        "Server_No_Context_Takeover",
      `${name}; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12; client_max_window_bits=9`
    ]
  ])("server that wishes for nothing answers %s with %s", (offer, answer) => {
    assert.strictEqual(answerTo(offer), answer)
  })

  it.each([
    ["forgets itself, unasked (7.1.1.1)", name, { serverNoContextTakeover: true }, "server_no_context_takeover"],
    ["has the client forget (7.1.1.2)", name, { clientNoContextTakeover: true }, "client_no_context_takeover"],
    ["takes a smaller window, unasked (7.1.2.1)", name, { serverMaxWindowBits: 9 }, "server_max_window_bits=9"],
    [
      "takes a smaller window than it was asked for",
      `${name}; server_max_window_bits=12`,
      { serverMaxWindowBits: 9 },
      "server_max_window_bits=9"
    ],
    [
      "takes the window it was asked for though it might have a larger one",
      `${name}; server_max_window_bits=9`,
      { serverMaxWindowBits: 12 },
      "server_max_window_bits=9"
    ],
    [
      "limits the window of a client that knows how (7.1.2.2)",
      `${name}; client_max_window_bits`,
      { clientMaxWindowBits: 10 },
      "client_max_window_bits=10"
    ],
    [
      "limits it further than the client would",
      `${name}; client_max_window_bits=12`,
      { clientMaxWindowBits: 10 },
      "client_max_window_bits=10"
    ],
    [
      "leaves it where the client wants it smaller",
      `${name}; client_max_window_bits=10`,
      { clientMaxWindowBits: 12 },
      "client_max_window_bits=10"
    ]
  ] as const)("server %s", (_, offer, wishes, parameters) => {
    assert.strictEqual(answerTo(offer, { ...anything, ...wishes }), `${name}; ${parameters}`)
  })

  it("server declines the offer of a client that has to limit its window and doesn't say that it can (7.1.2.2)", () => {
    for (const clientMaxWindowBits of [8, 14]) {
      assert.isUndefined(answerTo(name, { ...anything, clientMaxWindowBits }))
    }
    assert.strictEqual(
      answerTo([`${name}; server_no_context_takeover`, `${name}; client_max_window_bits`], {
        ...anything,
        clientMaxWindowBits: 14
      }),
      `${name}; client_max_window_bits=14`,
      "and takes the next one"
    )
  })

  it("server knows what both sides do from here on", () => {
    assert.deepStrictEqual(chosenFrom(name), anything)
    assert.deepStrictEqual(chosenFrom(`${name}; server_max_window_bits=9; client_max_window_bits=10`, forgetful), {
      ...forgetful,
      serverMaxWindowBits: 9,
      clientMaxWindowBits: 10
    })
    assert.deepStrictEqual(chosenFrom(`${name}; client_max_window_bits`), anything)
  })

  it("server takes every window there is", () => {
    for (const parameter of windowSizes) {
      for (const value of good) {
        const bits = value.replaceAll(/[^0-9]/g, "")
        const answer = bits === "15" && parameter === "client_max_window_bits" ? name : `${name}; ${parameter}=${bits}`
        assert.strictEqual(answerTo(`${name}; ${parameter}=${value}`), answer)
      }
    }
  })

  it.each([
    ...windowSizes.flatMap((parameter) => bad.map((value) => `${parameter}=${value}`)),
    "server_max_window_bits",
    ...flags.flatMap((parameter) => ["0", "1", "true", "15", '"15"'].map((value) => `${parameter}=${value}`)),
    ...flags.map((parameter) => `${parameter}; ${parameter}`),
    "server_max_window_bits=10; server_max_window_bits=10",
    "client_max_window_bits; client_max_window_bits",
    "client_max_window_bits=10; Client_Max_Window_Bits=11",
    "unknown",
    "client_max_window_bits; unknown=1",
    "__proto__",
    "constructor=1",
    "server_max_window_bits=10; server_max_window_size"
  ])("server declines an offer with %s, and looks at the next one", (parameters) => {
    assert.isUndefined(answerTo(`${name}; ${parameters}`))
    assert.strictEqual(answerTo(`${name}; ${parameters}, ${name}`), name)
    assert.strictEqual(answerTo([`${name}; ${parameters}`, `x; a=1, ${name}; server_max_window_bits=9`]), last)
  })
  const last = `${name}; server_max_window_bits=9`

  it("server takes the first offer that it can, of one line or several", () => {
    const first = `${name}; server_max_window_bits=11`
    const second = `${name}; server_max_window_bits=12`
    assert.strictEqual(answerTo(`${first}, ${second}`), first)
    assert.strictEqual(answerTo([second, first]), second)
    assert.strictEqual(answerTo(["x-other", `y; ${flags[0]}, ${second}`, first]), second)
  })

  it("server declines where nobody offers", () => {
    assert.isUndefined(answerTo([]))
    assert.isUndefined(answerTo("permessage-deflat, x-permessage-deflate, permessage-bzip2; client_max_window_bits"))
  })
})

describe("RFC 7692 7.1: what a client makes of the answer", () => {
  it("client does without where the server doesn't answer", () => {
    assert.isUndefined(PermessageDeflate.agree([], [anything]))
    assert.isUndefined(PermessageDeflate.agree(read("x-other"), [anything]))
  })

  it.each([
    ["all defaults", name, anything, anything],
    // 7.1.1.1, 7.1.2.1: the server may limit itself unasked.
    [
      "a server that forgets",
      `${name}; server_no_context_takeover`,
      anything,
      { ...anything, serverNoContextTakeover: true }
    ],
    [
      "a server with a smaller window",
      `${name}; server_max_window_bits=8`,
      anything,
      { ...anything, serverMaxWindowBits: 8 }
    ],
    [
      "a server with a still smaller window",
      `${name}; server_max_window_bits=9`,
      { ...anything, serverMaxWindowBits: 12 },
      { ...anything, serverMaxWindowBits: 9 }
    ],
    // 7.1.1.2: it may be told to forget.
    [
      "that it has to forget",
      `${name}; client_no_context_takeover`,
      anything,
      { ...anything, clientNoContextTakeover: true }
    ],
    // 7.1.1.2: an offer to forget is a hint, and stays what the client does.
    [
      "that it forgets, though not confirmed",
      name,
      { ...anything, clientNoContextTakeover: true },
      { ...anything, clientNoContextTakeover: true }
    ],
    // 7.1.2.2
    ["a window of its own", `${name}; client_max_window_bits=8`, anything, { ...anything, clientMaxWindowBits: 8 }],
    ["the largest window of its own", `${name}; client_max_window_bits=15`, anything, anything],
    [
      "its smaller window, though not confirmed",
      name,
      { ...anything, clientMaxWindowBits: 9 },
      { ...anything, clientMaxWindowBits: 9 }
    ],
    ["another case", `PERMESSAGE-Deflate; CLIENT_MAX_WINDOW_BITS="15"; Server_Max_Window_Bits=15`, anything, anything]
  ])("client agrees on %s", (_, answer, wishes, parameters) => {
    assert.deepStrictEqual(agreed(answer, wishes), parameters)
  })

  it.each([
    ["the server that has to forget doesn't say so", name, { serverNoContextTakeover: true }],
    ["the server that needs a smaller window doesn't say so", name, { serverMaxWindowBits: 14 }],
    [
      "the window of the server is larger than asked for",
      `${name}; server_max_window_bits=11`,
      { serverMaxWindowBits: 10 }
    ],
    ["its own window is to be larger than it said", `${name}; client_max_window_bits=11`, { clientMaxWindowBits: 10 }],
    ["there are two answers", `${name}, ${name}`, {}],
    ["there are two answers, one of them wrong", `${name}; unknown, ${name}`, {}],
    ["its own window has no value", `${name}; client_max_window_bits`, {}]
  ])("client fails when %s", (_, answer, wishes) => {
    assertMismatch(answer, { ...anything, ...wishes })
  })

  it.each([
    ...windowSizes.flatMap((parameter) => [...bad.map((value) => `${parameter}=${value}`), parameter]),
    ...flags.flatMap((parameter) => [`${parameter}=1`, `${parameter}; ${parameter}`]),
    "server_max_window_bits=10; server_max_window_bits=10",
    "client_max_window_bits=10; CLIENT_max_window_bits=10",
    "unknown",
    "__proto__=1"
  ])("client fails on an answer with %s", (parameters) => {
    assertMismatch(`${name}; ${parameters}`)
    assertMismatch(`${name}; ${parameters}`, anything, forgetful)
  })

  it("client fails where it had offered nothing of the kind", () => {
    assertFault(PermessageDeflate.agree(read(name), []), "ExtensionMismatch", { extension: name })
  })

  it("client holds the answer against each alternative", () => {
    const small = { ...forgetful, serverMaxWindowBits: 10 }
    assert.deepStrictEqual(agreed(name, small, anything), anything)
    assert.deepStrictEqual(
      agreed(`${name}; server_no_context_takeover; server_max_window_bits=10`, small, anything),
      small
    )
    assert.deepStrictEqual(agreed(`${name}; server_max_window_bits=10`, small, anything), {
      ...anything,
      serverMaxWindowBits: 10
    })
    assertMismatch(name, small, { ...anything, serverMaxWindowBits: 14 })
  })
})

const anyWishes: fc.Arbitrary<Wishes> = fc.record({
  serverNoContextTakeover: fc.boolean(),
  clientNoContextTakeover: fc.boolean(),
  serverMaxWindowBits: fc.integer({ min: 8, max: 15 }),
  clientMaxWindowBits: fc.integer({ min: 8, max: 15 })
})

const anyToken = fc.oneof(
  fc.constantFrom(name, ...flags, ...windowSizes, ...good, ...bad, "", "__proto__", "toString"),
  fc.string()
)

const anyExtension: fc.Arbitrary<Extension.Extension> = fc.record({
  name: fc.oneof({ weight: 9, arbitrary: fc.constant(name) }, { weight: 1, arbitrary: anyToken }),
  parameters: fc.array(fc.record({ name: anyToken, value: fc.option(anyToken, { nil: undefined }) }), { maxLength: 4 })
})

describe("RFC 7692 7.1: both roles", () => {
  it("server and client understand the same of what the server chose", () => {
    let taken = 0
    fc.assert(
      fc.property(fc.array(anyWishes, { minLength: 1, maxLength: 3 }), anyWishes, (alternatives, wishes) => {
        const offers = read(Extension.format(PermessageDeflate.offer(alternatives)))
        const chosen = PermessageDeflate.choose(offers, wishes)
        // Every offer of ours speaks of both windows, so that the first one can always be taken.
        assert(chosen !== undefined)
        taken++
        const answer = read(Extension.format([chosen.response]))
        const parameters = PermessageDeflate.agree(answer, alternatives)
        assert(parameters !== undefined && !("_tag" in parameters), "the client takes the answer")
        const { clientMaxWindowBits, clientNoContextTakeover, ...server } = parameters
        const { parameters: those } = chosen
        assert.deepStrictEqual(server, {
          serverMaxWindowBits: those.serverMaxWindowBits,
          serverNoContextTakeover: those.serverNoContextTakeover
        })
        // It may hold itself to less than the server counts on, never to more.
        assert.isAtMost(clientMaxWindowBits, those.clientMaxWindowBits)
        assert.isTrue(clientNoContextTakeover || !those.clientNoContextTakeover)
        if (alternatives.length === 1) assert.deepStrictEqual(parameters, those)
      })
    )
    assert.isAbove(taken, 50)
  })

  it("server answers what its own wishes and the offer both allow", () => {
    fc.assert(
      fc.property(anyWishes, anyWishes, (offered, wishes) => {
        const chosen = PermessageDeflate.choose(PermessageDeflate.offer([offered]), wishes)
        assert.deepStrictEqual(chosen?.parameters, {
          serverNoContextTakeover: offered.serverNoContextTakeover || wishes.serverNoContextTakeover,
          clientNoContextTakeover: offered.clientNoContextTakeover || wishes.clientNoContextTakeover,
          serverMaxWindowBits: Math.min(offered.serverMaxWindowBits, wishes.serverMaxWindowBits),
          clientMaxWindowBits: Math.min(offered.clientMaxWindowBits, wishes.clientMaxWindowBits)
        })
      })
    )
  })

  it("server and client never throw, and never agree on what can't be", () => {
    const isSound = ({ clientMaxWindowBits, serverMaxWindowBits }: Wishes) =>
      [clientMaxWindowBits, serverMaxWindowBits].every((bits) => Number.isInteger(bits) && bits >= 8 && bits <= 15)
    fc.assert(
      fc.property(fc.array(anyExtension, { maxLength: 4 }), anyWishes, (extensions, wishes) => {
        const chosen = PermessageDeflate.choose(extensions, wishes)
        if (chosen !== undefined) {
          assert.isTrue(isSound(chosen.parameters))
          assert.isTrue(Extension.isValid(chosen.response))
        }
        const parameters = PermessageDeflate.agree(extensions, [wishes])
        if (parameters === undefined) return
        if ("_tag" in parameters) assertFault(parameters, "ExtensionMismatch")
        else assert.isTrue(isSound(parameters))
      }),
      { numRuns: 1000 }
    )
  })
})
