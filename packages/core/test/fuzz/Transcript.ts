/** What a peer may say on an open connection. */
import * as Frame from "../../src/Frame.ts"
import type { Role } from "../../src/Role.ts"
import { deflated, rsv1 } from "../support/deflate/deflated.ts"
import { concat, sequence, utf8 } from "../support/Hex.ts"
import { closeBody, type FrameFields, Wire } from "../support/Wire.ts"
import type { Random } from "./Random.ts"

const texts = ["", "a", "hé€😀", "x".repeat(30), "é".repeat(63), "€".repeat(42), "\u0000\ufeff\uffff", "😀".repeat(300)]

export const someText = (random: Random): string => random.pick(texts)

export const someBytes = (random: Random): Uint8Array =>
  random.chance(50) ? sequence(random.below(70_000)) : random.bytes(random.small(300))

export const someCode = (random: Random): number => random.pick([1000, 1001, 1007, 1011, 1014, 3000, 4000, 4999])

/** Writes a transcript of valid frames, in the order that the RFC demands. */
export const someTranscript = (random: Random, sender: Role, isCompressed = false): Uint8Array => {
  const frames: Array<FrameFields> = []
  for (let count = random.below(6); count > 0; count--) {
    if (random.chance(3)) frames.push(someControl(random))
    else frames.push(...someMessage(random, isCompressed && random.chance(2)))
  }
  if (random.chance(4)) frames.push(someClose(random))
  const wire = () => new Wire(sender, random.chance(4) ? new Uint8Array(4) : random.bytes(4))
  return concat(frames.map((frame) => wire().frame(frame)))
}

const someControl = (random: Random): FrameFields => ({
  opcode: random.chance(2) ? Frame.Ping : Frame.Pong,
  // One of 126 bytes is the only frame here that breaks a rule by itself: no change of a few bytes makes one.
  payload: random.bytes(random.chance(40) ? 126 : random.chance(10) ? 125 : random.small(20))
})

const someClose = (random: Random): FrameFields => ({
  opcode: Frame.Close,
  payload: random.chance(4) ? new Uint8Array(0) : closeBody(someCode(random), random.pick(["", "bye", "é"]))
})

const someMessage = (random: Random, isCompressed: boolean): ReadonlyArray<FrameFields> => {
  const isText = random.chance(2)
  const plain = isText ? utf8(someText(random)) : someBytes(random)
  const payload = isCompressed ? deflated(plain, { level: random.pick([0, 1, 9]) }) : plain
  const parts = random.chance(2) ? [payload] : random.cut(payload, 5)
  return parts.flatMap((part, index) => {
    const opcode = index > 0 ? Frame.Continuation : isText ? Frame.Text : Frame.Binary
    const rsv = isCompressed && index === 0 ? rsv1 : 0
    const frame = { fin: index === parts.length - 1, rsv, opcode, payload: part }
    return index > 0 && random.chance(4) ? [someControl(random), frame] : [frame]
  })
}
