/**
 * A peer made by hand over a bare socket: it says what no library would say, and sees every byte of the answer.
 */
import * as Effect from "effect/Effect"
import * as Crypto from "node:crypto"
import * as Net from "node:net"
import { type Inbox, makeInbox } from "./inbox.ts"
import { event } from "./sockets.ts"

/** What the other end did, seen from the wire. */
export type RawEvent =
  | { readonly _tag: "Head"; readonly head: string }
  | { readonly _tag: "Body"; readonly body: string }
  | { readonly _tag: "Frame"; readonly first: number; readonly masked: boolean; readonly payload: Buffer }
  | { readonly _tag: "End" }
  | { readonly _tag: "Closed" }

export class RawPeer {
  readonly socket: Net.Socket
  private readonly inbox: Inbox<RawEvent> = makeInbox()
  private held: Buffer = Buffer.alloc(0)
  private phase: "head" | "body" | "frames" = "head"

  constructor(socket: Net.Socket) {
    this.socket = socket
    socket.on("data", (chunk) => this.take(chunk))
    socket.on("end", () => this.finish())
    // A reset is an end like any other here: "close" follows.
    socket.on("error", () => {})
    socket.on("close", () => this.inbox.push({ _tag: "Closed" }))
  }

  get next(): Effect.Effect<RawEvent> {
    return this.inbox.next
  }

  /** Takes the next event, a frame, as opcode and payload: `"8 03 e8"` is a Close with 1000. */
  get nextFrame(): Effect.Effect<string> {
    return Effect.map(this.inbox.next, (event) =>
      event._tag === "Frame" ? `${(event.first & 15).toString(16)} ${toHex(event.payload)}`.trim() : event._tag
    )
  }

  /** Writes all parts at once: hex with spaces between the bytes, or bytes. */
  send(...parts: ReadonlyArray<string | Uint8Array>): void {
    this.socket.write(Buffer.concat(parts.map((part) => (typeof part === "string" ? fromHex(part) : part))))
  }

  private take(chunk: Buffer): void {
    this.held = Buffer.concat([this.held, chunk])
    if (this.phase === "head") this.takeHead()
    if (this.phase === "frames") while (this.takeFrame());
  }

  private takeHead(): void {
    const at = this.held.indexOf("\r\n\r\n")
    if (at === -1) return
    const head = this.held.subarray(0, at).toString("latin1")
    this.held = this.held.subarray(at + 4)
    this.phase = /^(GET|HTTP\/1\.1 101) /.test(head) ? "frames" : "body"
    this.inbox.push({ _tag: "Head", head })
  }

  private takeFrame(): boolean {
    const { held } = this
    if (held.length < 2) return false
    const short = held[1]! & 0x7f
    const lengthSize = short < 126 ? 0 : short === 126 ? 2 : 8
    const masked = held[1]! >= 0x80
    const start = 2 + lengthSize + (masked ? 4 : 0)
    if (held.length < start) return false
    const length = lengthSize === 0 ? short : lengthSize === 2 ? held.readUInt16BE(2) : Number(held.readBigUInt64BE(2))
    if (held.length < start + length) return false
    const payload = Buffer.from(held.subarray(start, start + length))
    if (masked) for (let i = 0; i < length; i++) payload[i]! ^= held[start - 4 + (i & 3)]!
    this.held = held.subarray(start + length)
    this.inbox.push({ _tag: "Frame", first: held[0]!, masked, payload })
    return true
  }

  private finish(): void {
    if (this.phase === "body") this.inbox.push({ _tag: "Body", body: this.held.toString() })
    this.inbox.push({ _tag: "End" })
  }
}

/** Connects, and ends nothing by itself. */
export const rawClient = (to: Net.NetConnectOpts) =>
  Effect.acquireRelease(
    Effect.sync(() => new RawPeer(Net.connect({ ...to, allowHalfOpen: true }))),
    ({ socket }) => Effect.sync(() => socket.destroy())
  )

/** Connects and sends an upgrade request that any server takes, with more behind it in the same write. */
export const rawUpgrade = (to: Net.NetConnectOpts, ...more: ReadonlyArray<string | Uint8Array>) =>
  Effect.tap(rawClient(to), (peer) => peer.send(Buffer.from(upgradeRequest), ...more))

/** As `rawUpgrade`, when the 101 has come. */
export const rawOpen = (to: Net.NetConnectOpts, ...more: ReadonlyArray<string | Uint8Array>) =>
  Effect.tap(rawUpgrade(to, ...more), (peer) => peer.next)

export const upgradeRequest =
  "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"

/** A server that answers nothing by itself. */
export const rawServer = Effect.gen(function* () {
  const peers = makeInbox<RawPeer>()
  const sockets: Array<Net.Socket> = []
  const server = yield* Effect.acquireRelease(
    Effect.sync(() => Net.createServer({ allowHalfOpen: true })),
    (server) =>
      Effect.sync(() => {
        server.close()
        for (const socket of sockets) socket.destroy()
      })
  )
  server.on("connection", (socket) => {
    sockets.push(socket)
    peers.push(new RawPeer(socket))
  })
  server.listen(0, "127.0.0.1")
  yield* event(server, "listening")
  const { port } = server.address() as Net.AddressInfo
  return { port, url: `ws://127.0.0.1:${port}`, next: peers.next }
})

/** The 101 that answers the request with this head. */
export const accepting = (head: string, fields = ""): Buffer => {
  const key = /^sec-websocket-key: *(\S+)/im.exec(head)![1]!
  const accept = Crypto.createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64")
  return Buffer.from(
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
      `Sec-WebSocket-Accept: ${accept}\r\n${fields}\r\n`
  )
}

/** Takes the request of a client and accepts it, with more behind the 101 in the same write. */
export const acceptRaw = (peer: RawPeer, ...more: ReadonlyArray<string | Uint8Array>) =>
  Effect.map(peer.next, (request) => {
    if (request._tag !== "Head") throw new Error(`A request was expected, not ${request._tag}`)
    peer.send(accepting(request.head), ...more)
    return request.head
  })

/** A frame as a client sends it, with a masking key of zeros: the payload stays readable. */
export const masked = (first: number, payload: string | Uint8Array): Buffer => {
  const bytes = Buffer.from(payload as Uint8Array)
  const length = bytes.length < 126 ? [0x80 | bytes.length] : [0xfe, bytes.length >> 8, bytes.length & 0xff]
  return Buffer.concat([Buffer.of(first, ...length, 0, 0, 0, 0), bytes])
}

const fromHex = (hex: string): Buffer => Buffer.from(hex.replaceAll(" ", ""), "hex")
const toHex = (bytes: Buffer): string => bytes.toString("hex").replace(/..(?!$)/g, "$& ")
