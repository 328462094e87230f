/**
 * Counts the messages that come back, cut anywhere, and looks at the header of each: its opcode and its length. The payload
 * itself is only looked at when somebody captures it, so that the load costs less than what it measures.
 */

/**
 * @typedef {object} Expected
 * @property {number} opcode
 * @property {number} length of the message in bytes, or -1 when it may have any
 */

/** As long as a header can be. */
const longest = 14

export class Echoes {
  count = 0

  /** @type {ReadonlyArray<Expected>} */
  expected
  // The index of the message that is awaited.
  next = 0
  // The bytes of a header that was cut, and how many there are.
  header = Buffer.alloc(longest)
  gathered = 0
  // How much of the payload of this frame is to come, and how long the message is so far.
  left = 0
  length = 0
  first = 0
  inMessage = false
  /** @type {Array<Buffer> | undefined} */
  captured = undefined
  key = Buffer.alloc(4)
  phase = 0
  masked = false

  /** @param {ReadonlyArray<Expected>} expected one after the other, again and again */
  constructor(expected) {
    this.expected = expected
  }

  /** Keeps the payloads from here on. */
  capture() {
    this.captured = []
  }

  /** What came since then. */
  takeCaptured() {
    const payload = Buffer.concat(this.captured ?? [])
    this.captured = undefined
    return payload
  }

  /**
   * @param {Buffer} bytes
   * @param {number} end
   */
  push(bytes, end) {
    let at = 0
    while (at < end) {
      if (this.left > 0) at = this.passPayload(bytes, at, end)
      else if (this.gathered === 0 && end - at >= longest) at += this.begin(bytes, at)
      else this.gather(bytes[at++])
    }
  }

  /** @type {(bytes: Buffer, at: number, end: number) => number} */
  passPayload(bytes, at, end) {
    const size = Math.min(this.left, end - at)
    if (this.captured !== undefined) this.keep(bytes.subarray(at, at + size))
    this.left -= size
    if (this.left === 0) this.endFrame()
    return at + size
  }

  /** @type {(byte: number) => void} */
  gather(byte) {
    this.header[this.gathered++] = byte
    if (this.gathered < 2 || this.gathered < sizeOf(this.header[1])) return
    this.gathered = 0
    this.begin(this.header, 0)
  }

  /** @type {(bytes: Buffer, at: number) => number} how long the header is */
  begin(bytes, at) {
    const [first, second] = [bytes[at], bytes[at + 1]]
    const short = second & 0x7f
    const size = sizeOf(second)
    this.checkOpcode(first & 0x0f)
    this.left = short < 126 ? short : short === 126 ? bytes.readUInt16BE(at + 2) : Number(bytes.readBigUInt64BE(at + 2))
    this.masked = second > 0x7f
    this.phase = 0
    if (this.masked && this.captured !== undefined) bytes.copy(this.key, 0, at + size - 4, at + size)
    this.first = first
    this.length += this.left
    if (this.left === 0) this.endFrame()
    return size
  }

  /** @type {(opcode: number) => void} */
  checkOpcode(opcode) {
    const wanted = this.inMessage ? 0 : this.expected[this.next].opcode
    if (opcode !== wanted) throw new Error(`A frame came with the opcode ${opcode} in place of ${wanted}`)
  }

  endFrame() {
    this.inMessage = this.first < 0x80
    if (this.inMessage) return
    const { length } = this.expected[this.next]
    if (length !== -1 && this.length !== length) {
      throw new Error(`A message of ${this.length} bytes came in place of one of ${length}`)
    }
    this.length = 0
    this.next = this.next + 1 === this.expected.length ? 0 : this.next + 1
    this.count++
  }

  /** @type {(piece: Buffer) => void} */
  keep(piece) {
    const copy = Buffer.from(piece)
    if (this.masked) for (let i = 0; i < copy.length; i++) copy[i] ^= this.key[(this.phase + i) & 3]
    this.phase += copy.length
    this.captured?.push(copy)
  }
}

const sizeOf = (/** @type {number} */ second) => {
  const short = second & 0x7f
  return 2 + (short < 126 ? 0 : short === 126 ? 2 : 8) + (second > 0x7f ? 4 : 0)
}
