/** RFC 6455 8.1, RFC 3629: text at every boundary of UTF-8, cut at every byte across fragments and chunks. */
import { type Case, rule } from "./Case.ts"

/** Every first and last code point of a range of RFC 3629 4, as bytes. */
const valid: ReadonlyArray<readonly [codePoint: number, bytes: string]> = [
  [0x0, "00"],
  [0x7f, "7f"],
  [0x80, "c2 80"],
  [0x7ff, "df bf"],
  [0x800, "e0 a0 80"],
  [0xfff, "e0 bf bf"],
  [0x1000, "e1 80 80"],
  [0xcfff, "ec bf bf"],
  [0xd000, "ed 80 80"],
  [0xd7ff, "ed 9f bf"],
  [0xe000, "ee 80 80"],
  [0xfeff, "ef bb bf"],
  [0xfffe, "ef bf be"],
  [0xffff, "ef bf bf"],
  [0x1_0000, "f0 90 80 80"],
  [0x3_ffff, "f0 bf bf bf"],
  [0x4_0000, "f1 80 80 80"],
  [0xf_ffff, "f3 bf bf bf"],
  [0x10_0000, "f4 80 80 80"],
  [0x10_ffff, "f4 8f bf bf"]
]

/** What no text holds, with all that comes just outside of a range. */
const invalid: ReadonlyArray<readonly [what: string, bytes: ReadonlyArray<string>]> = [
  ["a continuation byte where a character begins", ["80", "bf", "c3 a9 80", "e2 82 ac bf"]],
  ["an overlong form of two bytes", ["c0 80", "c0 af", "c1 81", "c1 bf"]],
  ["an overlong form of three bytes", ["e0 80 80", "e0 81 81", "e0 9f bf"]],
  ["an overlong form of four bytes", ["f0 80 80 80", "f0 82 82 ac", "f0 8f bf bf"]],
  [
    "a surrogate",
    ["ed a0 80", "ed ad bf", "ed ae 80", "ed af bf", "ed b0 80", "ed be 80", "ed bf bf", "ed a0 bd ed b8 80"]
  ],
  ["a code point above U+10FFFF", ["f4 90 80 80", "f4 bf bf bf", "f5 80 80 80", "f7 bf bf bf"]],
  ["a lead byte that UTF-8 has not", ["f8 88 80 80 80", "fb bf bf bf bf", "fc 84 80 80 80 80", "fe", "ff"]],
  [
    "a character cut short by another one",
    ["c3 61", "e2 61", "e2 82 61", "f0 61", "f0 9f 61", "f0 9f 98 61", "c3 c3 a9"]
  ],
  ["a character cut short by the end", ["c2", "df", "e0 a0", "ed 9f", "ef", "f0 90 80", "f4 8f", "f4 8f bf"]]
]

export const utf8 = (): void => {
  rule(
    "8.1",
    "a fragmented text is valid when it is valid as a whole, wherever its fragments are cut",
    valid.flatMap(([codePoint, bytes]): ReadonlyArray<Case> => {
      const name = `U+${codePoint.toString(16).toUpperCase().padStart(4, "0")}`
      const events = [`Text a${String.fromCodePoint(codePoint)}b`]
      const all = `61 ${bytes} 62`.split(" ")
      const whole = { does: `takes ${name} in one frame`, receives: frame("81", all), events }
      const single = [frame("01", []), ...all.map((byte) => frame("00", [byte])), frame("80", [])].join("\n")
      return [whole, { does: `takes ${name} a byte a fragment`, receives: single, events }, ...torn(name, all, events)]
    })
  )

  rule(
    "8.1",
    "when an endpoint is to interpret a byte stream as UTF-8 but finds that it is not, it MUST fail the connection",
    invalid.flatMap(([what, sequences]) =>
      sequences.flatMap((bytes): ReadonlyArray<Case> => {
        const refused = { events: ["Failed InvalidUtf8"], sends: ["8 03 ef"] }
        const all = `61 ${bytes}`.split(" ")
        const whole = { does: `refuses ${what} (${bytes}) in one frame`, receives: frame("81", all), ...refused }
        const cuts = all.slice(1).map((_, index) => {
          const [before, after] = [all.slice(0, index + 1), all.slice(index + 1)]
          const receives = [frame("01", before), "8a 00", frame("80", after)].join("\n")
          // The fault shows in the first fragment where that alone can't be the beginning of a text, else behind the Pong.
          const events = canBegin(before) ? ["Pong", ...refused.events] : refused.events
          return { does: `refuses ${what} (${bytes}) cut after ${index + 1}`, receives, ...refused, events }
        })
        return [whole, ...cuts]
      })
    )
  )
}

const torn = (name: string, bytes: ReadonlyArray<string>, events: ReadonlyArray<string>): ReadonlyArray<Case> =>
  bytes.slice(1).map((_, index) => ({
    does: `takes ${name} cut after ${index + 1} of ${bytes.length} bytes, with an empty fragment between`,
    receives: [frame("01", bytes.slice(0, index + 1)), "00 00", frame("80", bytes.slice(index + 1))].join("\n"),
    events
  }))

/** Whether bytes, and be they cut inside a character, begin some text: whether one of all characters continues them. */
const canBegin = (bytes: ReadonlyArray<string>): boolean => {
  const decoder = new TextDecoder("utf-8", { fatal: true })
  const isText = (candidate: ReadonlyArray<string>): boolean => {
    try {
      decoder.decode(Uint8Array.from(candidate, (byte) => Number.parseInt(byte, 16)))
      return true
    } catch {
      return false
    }
  }
  return endings.some((ending) => isText([...bytes, ...ending]))
}

const endings = ["", "80", "a0", "90", "80 80", "a0 80", "90 80", "80 80 80", "90 80 80", "a0 80 80"].map((ending) =>
  ending.split(" ").filter((byte) => byte !== "")
)

const frame = (first: string, payload: ReadonlyArray<string>): string =>
  `${first} ${payload.length.toString(16).padStart(2, "0")} | ${payload.join(" ")}`
