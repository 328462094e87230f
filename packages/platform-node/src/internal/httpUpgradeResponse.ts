/**
 * The response of Node to an upgrade request, which gets the socket when it is about to be written, and never if the
 * request is accepted, or nobody is there any more.
 *
 * It rests on two things that no type says: the handler of `@effect/platform-node` looks at `writableEnded` before it answers,
 * and calls `writeHead` before it writes.
 */
import type { PendingUpgrade } from "@effect-ws/api/HttpUpgrade"
import * as Http from "node:http"
import type * as Net from "node:net"
import { type Duplex, Writable } from "node:stream"

/** Where a response is written to, and whom it may ask. */
export interface Destination {
  readonly socket: Duplex
  readonly upgrade: Pick<PendingUpgrade, "beginAnswer" | "endAnswer">
  /** Calls back when the responses to earlier requests on the socket are over. */
  readonly whenFree: (then: () => void) => void
}

export class UpgradeResponse extends Http.ServerResponse {
  private destination: Destination | undefined = undefined
  private isBound = false

  constructor(request: Http.IncomingMessage) {
    super(request)
    this.shouldKeepAlive = false
  }

  /** Names the socket, before anything is written. */
  leadTo(destination: Destination): void {
    this.destination = destination
  }

  /** Lets everything that is written go nowhere: the request was accepted. */
  abandon(): void {
    this.isBound = true
    this.end()
  }

  // Node calls this too before it writes a head by itself.
  override writeHead(...args: ReadonlyArray<unknown>): this {
    this.bind()
    return super.writeHead(...(args.map(closing) as Parameters<Http.ServerResponse["writeHead"]>))
  }

  private bind(): void {
    const { destination, isBound } = this
    if (isBound || destination === undefined) return
    this.isBound = true
    if (destination.upgrade.beginAnswer()) destination.whenFree(() => this.attach(destination))
    else this.assignSocket(nowhere())
  }

  private attach({ socket, upgrade }: Destination): void {
    // What was waited for may have taken the socket with it.
    if (socket.destroyed) return this.assignSocket(nowhere())
    // Node has taken its own listener from the socket when it handed it over.
    const onDrain = () => this.emit("drain")
    socket.on("drain", onDrain)
    this.once("finish", () => {
      socket.off("drain", onDrain)
      upgrade.endAnswer()
    })
    this.assignSocket(socket as Net.Socket)
  }
}

/** RFC 9112 9.6: whatever else `Connection` says, there is no next request. */
const closing = (fields: unknown): unknown => {
  if (typeof fields !== "object" || fields === null || !("connection" in fields)) return fields
  const connection = String(fields.connection)
  return /\bclose\b/i.test(connection) ? fields : { ...fields, connection: `${connection}, close` }
}

// A response needs of a socket what every stream has.
const nowhere = (): Net.Socket => new Writable({ write: (_chunk, _encoding, done) => done() }) as Net.Socket
