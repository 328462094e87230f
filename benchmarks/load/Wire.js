/**
 * One connection of the load: a plain socket, prepared bytes out, and echoes that are counted.
 */
import * as Crypto from "node:crypto"
import * as Net from "node:net"
import { Echoes } from "./Echoes.js"
import { framesOf, inflated } from "./frames.js"

/** @typedef {import("./frames.js").Content} Content */

/**
 * The messages of a row in a circle, as one piece of memory of which any number in succession can be cut.
 */
export class Script {
  /**
   * @param {ReadonlyArray<Content>} contents
   * @param {number} most messages that are sent at once
   * @param {boolean} masked
   */
  constructor(contents, most, masked) {
    this.contents = contents
    this.expected = contents.map(({ compressed, opcode, payload }) => ({
      opcode,
      // What a server compresses may get any length.
      length: compressed ? -1 : payload.length
    }))
    const frames = contents.map((content) => framesOf(content, masked))
    const times = Math.ceil(most / frames.length) + 1
    const all = Array.from({ length: times }, () => frames).flat()
    this.bytes = Buffer.concat(all)
    this.offsets = [0]
    for (const frame of all) this.offsets.push(this.offsets[this.offsets.length - 1] + frame.length)
  }

  /** @type {(first: number, count: number) => Buffer} */
  cut(first, count) {
    return this.bytes.subarray(this.offsets[first], this.offsets[first + count])
  }
}

export class Wire {
  // The index of the message that is sent next.
  at = 0
  /** @type {(count: number) => void} */
  onEchoes = () => {}

  /**
   * @param {Net.Socket} socket that is open
   * @param {Script} script
   */
  constructor(socket, script) {
    this.socket = socket
    this.script = script
    this.echoes = new Echoes(script.expected)
  }

  /** @type {(bytes: Buffer, end: number) => void} */
  receive(bytes, end) {
    const before = this.echoes.count
    this.echoes.push(bytes, end)
    const came = this.echoes.count - before
    if (came > 0) this.onEchoes(came)
  }

  /** @type {(count: number) => void} */
  send(count) {
    this.socket.write(this.script.cut(this.at, count))
    this.at = (this.at + count) % this.script.contents.length
  }

  /**
   * Sends each message once, and compares every byte of what comes back.
   *
   * @param {boolean} standsAlone a compressed message may need those before it, which nobody keeps
   */
  async check(standsAlone) {
    const { contents } = this.script
    for (let left = contents.length; left > 0; left--) {
      const content = contents[this.at]
      this.echoes.capture()
      const came = new Promise((resolve) => {
        this.onEchoes = resolve
      })
      this.send(1)
      await came
      this.compare(content, standsAlone)
      // The next one may need this one.
      if (content.compressed) return
    }
  }

  /** @type {(content: Content, standsAlone: boolean) => void} */
  compare(content, standsAlone) {
    const payload = this.echoes.takeCaptured()
    if (content.compressed && !standsAlone) return
    const text = (this.echoes.first & 0x40) === 0 ? payload : inflated(payload)
    if (!text.equals(content.payload)) throw new Error(`The echo is not the same: ${text.toString("hex", 0, 64)}`)
  }
}

/** In milliseconds: how long an answer may take before the run fails. */
export const patience = 30_000

/**
 * Connects and does the opening handshake.
 *
 * @param {number} port
 * @param {Script} script
 * @param {string} [offer] of permessage-deflate
 * @returns {Promise<Wire>}
 */
export const open = (port, script, offer) =>
  new Promise((resolve, reject) => {
    let head = ""
    /** @type {Wire | undefined} */
    let wire
    const receive = (/** @type {number} */ size, /** @type {Buffer} */ bytes) => {
      if (wire !== undefined) wire.receive(bytes, size)
      else {
        head += bytes.toString("latin1", 0, size)
        if (!head.endsWith("\r\n\r\n")) return true
        const problem = problemOf(head, offer)
        if (problem === undefined) resolve((wire = new Wire(socket, script)))
        else reject(new Error(problem))
      }
      return true
    }
    const socket = Net.connect({
      host: "127.0.0.1",
      port,
      noDelay: true,
      onread: { buffer: shared, callback: receive }
    })
    socket.on("error", reject)
    socket.on("close", () => {
      if (ended.has(socket)) return
      const error = new Error("The server has ended a connection")
      if (wire === undefined) return reject(error)
      throw error
    })
    socket.write(requestOf(port, offer))
  })

/** @type {WeakSet<Net.Socket>} */
const ended = new WeakSet()

/** @type {(wires: ReadonlyArray<Wire>) => void} */
export const endAll = (wires) => {
  for (const { socket } of wires) {
    ended.add(socket)
    socket.destroy()
  }
}

/**
 * Opens many connections, a few hundred at a time, which is less than what a listener lets wait.
 *
 * @param {number} port
 * @param {number} count
 * @param {Script} script
 * @param {string} [offer]
 */
export const openAll = async (port, count, script, offer) => {
  /** @type {Array<Wire>} */
  const wires = []
  while (wires.length < count) {
    const batch = Array.from({ length: Math.min(250, count - wires.length) }, () => open(port, script, offer))
    wires.push(...(await Promise.all(batch)))
  }
  return wires
}

// All connections read into the same memory: what is read is done with before the next one reads.
const shared = Buffer.alloc(256 * 1024)

const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
const key = "dGhlIHNhbXBsZSBub25jZQ=="

/** @type {(key: string) => string} */
export const acceptOf = (key) =>
  Crypto.createHash("sha1")
    .update(key + guid)
    .digest("base64")

/** @type {(port: number, offer?: string) => string} */
const requestOf = (port, offer) =>
  `GET / HTTP/1.1\r\nHost: localhost:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
  `Sec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n` +
  (offer === undefined ? "\r\n" : `Sec-WebSocket-Extensions: permessage-deflate; ${offer}\r\n\r\n`)

/** @type {(head: string, offer?: string) => string | undefined} */
const problemOf = (head, offer) => {
  const isRight = head.startsWith("HTTP/1.1 101 ") && head.includes(acceptOf(key))
  if (!isRight) return `The server has answered ${JSON.stringify(head)}`
  const compresses = /permessage-deflate/i.test(head)
  if (compresses !== (offer !== undefined)) return `The server ${compresses ? "" : "doesn't "}compress: ${head}`
  return undefined
}
