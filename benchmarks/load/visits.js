/**
 * Whole visits: connect, upgrade, one echo of 16 bytes, closing handshake begun by the client, end.
 */
import * as Net from "node:net"
import { frameOf } from "./frames.js"
import { patience } from "./Wire.js"

const nothing = Buffer.alloc(0)

// 1.3: the key of the example, and what a server makes of it.
const key = "dGhlIHNhbXBsZSBub25jZQ=="
const acceptField = "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"

/** What a browser sends besides. No server here is told to take the extension. */
const browserFields = [
  "Pragma: no-cache",
  "Cache-Control: no-cache",
  "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
  "Origin: http://localhost",
  "Accept-Encoding: gzip, deflate, br, zstd",
  "Accept-Language: en-GB,en;q=0.9",
  `Cookie: session=${"0123456789abcdef".repeat(4)}; theme=dark`,
  "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
]

/** @type {(fields: ReadonlyArray<string>) => Buffer} */
const requestOf = (fields) => {
  const own = ["Host: localhost", "Upgrade: websocket", "Connection: Upgrade", `Sec-WebSocket-Key: ${key}`]
  return Buffer.from(["GET / HTTP/1.1", ...own, "Sec-WebSocket-Version: 13", ...fields, "\r\n"].join("\r\n"), "latin1")
}

/**
 * How many bytes the 101 takes up: 0 while it isn't complete, `undefined` when it is something else.
 *
 * @param {Buffer} received
 */
const sizeOfUpgrade = (received) => {
  const end = received.indexOf("\r\n\r\n")
  if (end === -1) return received.length < 4096 ? 0 : undefined
  const head = received.toString("latin1", 0, end + 2)
  return head.startsWith("HTTP/1.1 101 ") && head.toLowerCase().includes(acceptField) ? end + 4 : undefined
}

/** @param {Buffer} expected */
const sizeOf = (expected) => (/** @type {Buffer} */ received) => {
  const length = Math.min(expected.length, received.length)
  if (received.compare(expected, 0, length, 0, length) !== 0) return undefined
  return length === expected.length ? length : 0
}

const text = Buffer.from("sixteen bytes it")
const normalClosure = Buffer.from([0x03, 0xe8])

/** What is awaited, and what is sent when it has come; the last is the end. */
const steps = [
  { awaits: sizeOfUpgrade, reply: frameOf(0x81, text, true) },
  { awaits: sizeOf(frameOf(0x81, text, false)), reply: frameOf(0x88, normalClosure, true) },
  { awaits: sizeOf(frameOf(0x88, normalClosure, false)), reply: undefined }
]

/**
 * @param {number} port
 * @param {Buffer} request
 * @returns {Promise<void>} that rejects at the first answer that isn't the expected one
 */
const visit = (port, request) =>
  new Promise((resolve, reject) => {
    const socket = Net.connect({ host: "127.0.0.1", port, noDelay: true })
    let at = 0
    let received = nothing
    /** @param {string} problem */
    const fail = (problem) => {
      socket.destroy()
      reject(new Error(`${problem} in step ${at} of a visit, after ${JSON.stringify(received.toString("latin1"))}`))
    }
    socket.setTimeout(patience, () => fail("Nothing came"))
    socket.on("error", (error) => fail(error.message))
    // The server has ended its half when this comes; ours ends by itself.
    socket.on("close", () => (at === steps.length && received.length === 0 ? resolve() : fail("An early end")))
    socket.on("data", (chunk) => {
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
      const size = steps[at]?.awaits(received)
      if (size === undefined) return fail("A wrong answer")
      if (size === 0) return
      received = received.subarray(size)
      const { reply } = steps[at++]
      if (reply !== undefined) socket.write(reply)
    })
    socket.write(request)
  })

/**
 * @param {number} port
 * @param {boolean} asBrowser
 * @param {number} inFlight visits at once
 * @param {number} milliseconds
 * @returns {Promise<import("./drive.js").Driven>} with the number of visits
 */
export const visits = async (port, asBrowser, inFlight, milliseconds) => {
  const request = requestOf(asBrowser ? browserFields : [])
  let count = 0
  const began = performance.now()
  const visitor = async () => {
    while (performance.now() - began < milliseconds) {
      await visit(port, request)
      count++
    }
  }
  await Promise.all(Array.from({ length: inFlight }, visitor))
  return { count, elapsed: performance.now() - began, latencies: new Float64Array(0) }
}
