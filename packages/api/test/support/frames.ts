/** Frames as a peer writes and reads them (RFC 6455 5.2), made without the code under test. */

export interface Frame {
  readonly fin: boolean
  readonly rsv: number
  readonly opcode: number
  /** The masking key, `undefined` for a frame without one. */
  readonly key: Uint8Array | undefined
  readonly payload: Uint8Array
}

export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const

export interface FrameOptions {
  readonly fin?: boolean
  readonly rsv?: number
  /** A masking key of four bytes; none by default. */
  readonly key?: Uint8Array | undefined
}

export const encode = (opcode: number, payload: Uint8Array, options: FrameOptions = {}): Uint8Array => {
  const { fin = true, key, rsv = 0 } = options
  const first = (fin ? 0x80 : 0) | (rsv << 4) | opcode
  const masked = key === undefined ? 0 : 0x80
  const length = payload.length
  const size =
    length < 126
      ? [masked | length]
      : length < 0x1_0000
        ? [masked | 126, length >> 8, length & 0xff]
        : [
            masked | 127,
            0,
            0,
            0,
            0,
            (length >>> 24) & 0xff,
            (length >>> 16) & 0xff,
            (length >>> 8) & 0xff,
            length & 0xff
          ]
  return concat([Uint8Array.of(first, ...size, ...(key ?? [])), key === undefined ? payload : mask(payload, key)])
}

/** Takes whole frames from the front of the bytes, and returns them with what is left. */
export const decode = (bytes: Uint8Array): { readonly frames: Array<Frame>; readonly rest: Uint8Array } => {
  const frames: Array<Frame> = []
  let rest = bytes
  for (let next = decodeOne(rest); next !== undefined; next = decodeOne(rest)) {
    frames.push(next.frame)
    rest = next.rest
  }
  return { frames, rest }
}

export const concat = (chunks: ReadonlyArray<Uint8Array>): Uint8Array => {
  const bytes = new Uint8Array(chunks.reduce((size, chunk) => size + chunk.length, 0))
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.length
  }
  return bytes
}

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

export const toText = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

export const hex = (text: string): Uint8Array =>
  Uint8Array.from(
    text.split(/\s+/).filter((pair) => pair !== ""),
    (pair) => Number.parseInt(pair, 16)
  )

export const toHex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ")

export const closePayload = (code: number, reason = ""): Uint8Array =>
  concat([Uint8Array.of(code >> 8, code & 0xff), utf8(reason)])

/** In short: `text Hello`, `binary 01 02`, `close 1000 bye`, `ping 01`, `close` for an empty payload. */
export const describeFrame = ({ opcode, payload }: Frame): string => {
  if (opcode === opcodes.text) return `text ${toText(payload)}`.trimEnd()
  if (opcode === opcodes.close) {
    return payload.length === 0
      ? "close"
      : `close ${(payload[0]! << 8) | payload[1]!} ${toText(payload.subarray(2))}`.trim()
  }
  const name = Object.entries(opcodes).find(([, value]) => value === opcode)?.[0] ?? `${opcode}`
  return `${name} ${toHex(payload)}`.trim()
}

const mask = (bytes: Uint8Array, key: Uint8Array): Uint8Array => bytes.map((byte, i) => byte ^ key[i % 4]!)

const decodeOne = (bytes: Uint8Array): { readonly frame: Frame; readonly rest: Uint8Array } | undefined => {
  if (bytes.length < 2) return undefined
  const short = bytes[1]! & 0x7f
  const sizeEnd = short === 126 ? 4 : short === 127 ? 10 : 2
  const start = sizeEnd + ((bytes[1]! & 0x80) === 0 ? 0 : 4)
  if (bytes.length < start) return undefined
  const length = sizeEnd === 2 ? short : bytes.subarray(2, sizeEnd).reduce((value, byte) => value * 256 + byte, 0)
  if (bytes.length < start + length) return undefined
  const key = start === sizeEnd ? undefined : bytes.slice(sizeEnd, start)
  const payload = bytes.slice(start, start + length)
  const frame = {
    fin: (bytes[0]! & 0x80) !== 0,
    rsv: (bytes[0]! >> 4) & 7,
    opcode: bytes[0]! & 0xf,
    key,
    payload: key === undefined ? payload : mask(payload, key)
  }
  return { frame, rest: bytes.subarray(start + length) }
}
