/**
 * Frames written and read the long way round, byte by byte as RFC 6455 5.2 draws them: the tests hold the codec against
 * this and never against itself.
 */
import * as Frame from "../../src/Frame.ts"
import type { Role } from "../../src/Role.ts"
import { concat, hex, utf8 } from "./Hex.ts"

/** What a test wants on the wire; by default a final frame, without reserved bits or payload. */
export interface FrameFields {
  readonly fin?: boolean
  readonly rsv?: number
  readonly opcode: number
  readonly payload?: Uint8Array
}

/** A frame that was read from the wire, unmasked. */
export interface WireFrame {
  readonly fin: boolean
  readonly rsv: number
  readonly opcode: number
  readonly key: Uint8Array | undefined
  readonly payload: Uint8Array
}

/** The masking key of the samples in RFC 6455 5.7. */
export const sampleKey: Uint8Array = hex("37 fa 21 3d")

/** Writes frames as an endpoint in the role `sender` does: a client masks them. */
export class Wire {
  readonly sender: Role
  readonly key: Uint8Array

  constructor(sender: Role, key: Uint8Array = sampleKey) {
    this.sender = sender
    this.key = key
  }

  frame({ fin = true, opcode, payload = new Uint8Array(0), rsv = 0 }: FrameFields): Uint8Array {
    const masked = this.sender === "client"
    const first = (fin ? 0x80 : 0) | (rsv << 4) | opcode
    const [short, ...extended] = lengthBytes(payload.length)
    const header = Uint8Array.from([first, (masked ? 0x80 : 0) | short!, ...extended])
    return masked ? concat([header, this.key, xor(payload, this.key)]) : concat([header, payload])
  }

  text(text: string | Uint8Array, fin = true): Uint8Array {
    return this.frame({ fin, opcode: Frame.Text, payload: typeof text === "string" ? utf8(text) : text })
  }

  binary(payload: Uint8Array, fin = true): Uint8Array {
    return this.frame({ fin, opcode: Frame.Binary, payload })
  }

  continuation(payload: string | Uint8Array, fin = true): Uint8Array {
    const bytes = typeof payload === "string" ? utf8(payload) : payload
    return this.frame({ fin, opcode: Frame.Continuation, payload: bytes })
  }

  ping(payload: string = ""): Uint8Array {
    return this.frame({ opcode: Frame.Ping, payload: utf8(payload) })
  }

  pong(payload: string = ""): Uint8Array {
    return this.frame({ opcode: Frame.Pong, payload: utf8(payload) })
  }

  close(code?: number, reason: string | Uint8Array = ""): Uint8Array {
    return this.frame({
      opcode: Frame.Close,
      payload: code === undefined ? new Uint8Array(0) : closeBody(code, reason)
    })
  }

  /** Writes a header alone, with the length in as many bytes as asked for: 7, 16 or 64 bits. */
  header(opcode: number, bits: 7 | 16 | 64, length: bigint, fin = true): Uint8Array {
    const mask = this.sender === "client" ? 0x80 : 0
    const first = (fin ? 0x80 : 0) | opcode
    const start = bits === 7 ? [Number(length)] : [bits === 16 ? 126 : 127, ...bigEndian(length, bits / 8)]
    start[0]! |= mask
    return concat([Uint8Array.from([first, ...start]), mask === 0 ? new Uint8Array(0) : this.key])
  }
}

/** Writes the payload of a Close frame. */
export const closeBody = (code: number, reason: string | Uint8Array = ""): Uint8Array =>
  concat([Uint8Array.of(code >> 8, code & 0xff), typeof reason === "string" ? utf8(reason) : reason])

/** Applies a masking key to a copy. */
export const xor = (payload: Uint8Array, key: Uint8Array): Uint8Array =>
  payload.map((byte, index) => byte ^ key[index % 4]!)

/** Reads frames, and throws unless the bytes are whole frames, one after the other. */
export const readFrames = (bytes: Uint8Array): Array<WireFrame> => {
  const frames: Array<WireFrame> = []
  let rest = bytes
  while (rest.length > 0) {
    const [frame, size] = readFrame(rest)
    frames.push(frame)
    rest = rest.subarray(size)
  }
  return frames
}

const readFrame = (bytes: Uint8Array): [WireFrame, number] => {
  if (bytes.length < 2) throw new Error("The output ends inside a header")
  const short = bytes[1]! & 0x7f
  const extended = short === 126 ? 2 : short === 127 ? 8 : 0
  const length = extended === 0 ? BigInt(short) : fromBigEndian(bytes.subarray(2, 2 + extended))
  const masked = bytes[1]! >= 0x80
  const start = 2 + extended + (masked ? 4 : 0)
  const end = start + Number(length)
  if (bytes.length < end) throw new Error("The output ends inside a frame")
  const key = masked ? bytes.slice(start - 4, start) : undefined
  const payload = bytes.slice(start, end)
  const first = bytes[0]!
  return [
    {
      fin: first >= 0x80,
      rsv: (first >> 4) & 7,
      opcode: first & 0xf,
      key,
      payload: key === undefined ? payload : xor(payload, key)
    },
    end
  ]
}

const lengthBytes = (length: number): Array<number> => {
  if (length < 126) return [length]
  return length < 65536 ? [126, ...bigEndian(BigInt(length), 2)] : [127, ...bigEndian(BigInt(length), 8)]
}

const bigEndian = (value: bigint, size: number): Array<number> =>
  Array.from({ length: size }, (_, index) => Number((value >> BigInt(8 * (size - 1 - index))) & 0xffn))

const fromBigEndian = (bytes: Uint8Array): bigint => bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n)
