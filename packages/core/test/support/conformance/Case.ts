/**
 * How the conformance suite writes a rule: the sentence of the RFC, then for each case the bytes as spaced hex, and what an
 * endpoint makes of them.
 */
import { assert, describe, it } from "vitest"
import { portable } from "../../../src/ByteOps.ts"
import type * as Protocol from "../../../src/Protocol.ts"
import type { Role } from "../../../src/Role.ts"
import { endpoint, inEveryCut, type Outcome, roles } from "../Endpoints.ts"
import { concat, hex, toHex } from "../Hex.ts"
import { readFrames, sampleKey, xor } from "../Wire.ts"

/** One transcript, and all that an endpoint does about it. */
export interface Case {
  /** What the endpoint does, behind its role in the title. */
  readonly does: string
  /**
   * What it receives, a frame a line: header and payload with a bar between, as a server sends it to a client, and `61 * 3`
   * for `61 61 61`. For a server each frame is masked as a client does it, see `masked`. Where that isn't the point, the
   * bytes of each role are written out.
   */
  readonly receives: string | { readonly [R in Role]?: string }
  /** The events, as `describeEvent` tells them. */
  readonly events: ReadonlyArray<string>
  /** The frames that it sends, opcode and payload; of a Close frame that tells a fault only the code. */
  readonly sends?: ReadonlyArray<string>
  /** How the endpoint is made. */
  readonly options?: Partial<Protocol.Options>
}

/** A rule of the RFC in its own words, held against every case whole, byte by byte and split at every offset. */
export const rule = (section: string, sentence: string, cases: ReadonlyArray<Case>): void => {
  describe(`RFC 6455 ${section}: ${sentence}`, () => {
    for (const role of roles) {
      for (const one of cases) {
        const bytes = bytesFor(role, one.receives)
        if (bytes !== undefined) it(`${role} ${one.does}`, () => check(role, one, bytes))
      }
    }
  })
}

const check = (role: Role, { events, options = {}, sends = [] }: Case, bytes: Uint8Array): void => {
  const outcome = inEveryCut(() => endpoint(role, portable, options), bytes)
  assert.deepStrictEqual(outcome.events, events)
  assert.deepStrictEqual(sentIn(role, outcome), sends)
  assert.strictEqual(outcome.state, stateAfter(events.at(-1) ?? ""))
}

/** The state in which the last event leaves an endpoint that closed nothing itself. */
const stateAfter = (event: string): string =>
  event.startsWith("Failed ") ? "Failed" : event.startsWith("Close ") ? "CloseExchanged" : "Open"

/** The frames of the output in short, held against what is true of each frame that this endpoint may send. */
const sentIn = (role: Role, outcome: Outcome): Array<string> =>
  readFrames(hex(outcome.output)).map(({ fin, key, opcode, payload, rsv }) => {
    assert.deepStrictEqual([fin, rsv, key !== undefined], [true, 0, role === "client"])
    const told = opcode === 8 && outcome.state === "Failed" ? payload.subarray(0, 2) : payload
    return `${opcode} ${toHex(told)}`.trim()
  })

const bytesFor = (role: Role, receives: Case["receives"]): Uint8Array | undefined => {
  if (typeof receives === "string") return transcript(role, receives)
  const written = receives[role]
  return written === undefined ? undefined : repeated(written)
}

/** The bytes of frames in the notation of `Case.receives`, as they come to this role. */
export const transcript = (role: Role, frames: string): Uint8Array =>
  concat(
    frames
      .split("\n")
      .map((line) => line.trim())
      .filter((line) => line !== "")
      .map((line) => (role === "client" ? plain(line) : masked(line)))
  )

const plain = (line: string): Uint8Array => repeated(line.replace("|", " "))

/** 5.3: the mask bit, the key of the samples in 5.7 behind the length, and each byte of payload under a byte of the key. */
const masked = (line: string): Uint8Array => {
  const [header, payload = ""] = line.split("|")
  const bytes = repeated(header!)
  bytes[1]! |= 0x80
  return concat([bytes, sampleKey, xor(repeated(payload), sampleKey)])
}

const repeated = (text: string): Uint8Array =>
  hex(text.replace(/([0-9a-f]{2}) \* (\d+)/g, (_, byte: string, count: string) => `${byte} `.repeat(Number(count))))
