/**
 * A client of the `ws` library whose events are waited for.
 */
import { once } from "node:events"
import { type RawData, WebSocket } from "ws"

/** What a Close frame said. */
export interface Closed {
  readonly code: number
  readonly reason: string
}

export class Peer {
  readonly socket: WebSocket
  readonly closed: Promise<Closed>
  private readonly messages: Array<string | Buffer> = []
  private wake: (() => void) | undefined

  private constructor(socket: WebSocket) {
    this.socket = socket
    socket.on("message", (data: RawData, isBinary: boolean) => {
      this.messages.push(isBinary ? (data as Buffer) : data.toString())
      this.wake?.()
    })
    this.closed = new Promise((resolve) => {
      socket.on("close", (code, reason) => resolve({ code, reason: reason.toString() }))
    })
  }

  /** Connects, and rejects when the server doesn't accept. */
  static async connect(url: string, subprotocols: Array<string> = []): Promise<Peer> {
    const socket = new WebSocket(url, subprotocols)
    const peer = new Peer(socket)
    await once(socket, "open")
    return peer
  }

  /** The next message: text as a string, bytes as a Buffer. */
  async next(): Promise<string | Buffer> {
    while (this.messages.length === 0) await new Promise<void>((resolve) => (this.wake = resolve))
    return this.messages.shift()!
  }

  send(data: string | Uint8Array): void {
    this.socket.send(data)
  }

  close(code?: number, reason?: string): Promise<Closed> {
    this.socket.close(code, reason)
    return this.closed
  }
}
