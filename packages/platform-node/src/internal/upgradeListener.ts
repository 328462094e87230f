/**
 * Sorts the requests for an upgrade that an HTTP server gets: those that are ours are handed out, with their transport.
 *
 * Those to another protocol are left to other `"upgrade"` listeners. Where there are none the server gets them back as
 * requests without `Upgrade`, as it would if nobody listened: its `"connection"` event comes a second time for such a socket.
 *
 * One that overtakes the answer to an earlier request on the same connection is dropped with the connection: the answer
 * would be written into the WebSocket, and anything written first would pass for that answer.
 *
 * Of several on one server the oldest acts, as long as it is there: two who read the same socket would both answer.
 */
import type { Incoming } from "@effect-ws/api/Listener"
import type { RequestHead } from "@effect-ws/core/HttpHead"
import * as UpgradeRequest from "@effect-ws/core/UpgradeRequest"
import type * as Http from "node:http"
import type { Duplex } from "node:stream"
import * as Tls from "node:tls"
import { PendingResponses } from "./pendingResponses.ts"
import * as upgradeEvent from "./upgradeEvent.ts"

/** A request for an upgrade, and when the socket is free for an answer to it. */
export interface Upgrading {
  readonly request: Http.IncomingMessage
  readonly socket: Duplex
  readonly incoming: Incoming
  readonly whenFree: (then: () => void) => void
}

/** What to do with requests. */
export interface Desk {
  /** Whether a request that names WebSocket is ours; else the server reads it as a plain one. */
  readonly takes: (head: RequestHead) => boolean
  readonly handOut: (upgrading: Upgrading) => void
}

export class UpgradeListener {
  private readonly server: Http.Server
  private readonly desk: Desk
  private readonly responses = new PendingResponses()

  constructor(server: Http.Server, desk: Desk) {
    this.server = server
    this.desk = desk
  }

  start(): void {
    // First, since another listener may answer at once.
    this.server.prependListener("request", this.responses.add)
    this.server.on("upgrade", this.onUpgrade)
    listeners.set(this.server, [...listenersOf(this.server), this])
  }

  stop(): void {
    this.server.off("request", this.responses.add)
    this.server.off("upgrade", this.onUpgrade)
    const others = listenersOf(this.server).filter((listener) => listener !== this)
    listeners.set(this.server, others)
  }

  private readonly onUpgrade = (request: Http.IncomingMessage, socket: Duplex, head: Buffer): void => {
    const ours = listenersOf(this.server)
    if (ours[0] !== this) return
    const requestHead = upgradeEvent.toRequestHead(request)
    const namesWebSocket = UpgradeRequest.namesWebSocket(requestHead)
    if (!namesWebSocket && this.server.listenerCount("upgrade") > ours.length) return
    // Where the field, or a length, may have been dropped, the server must not read the request once more.
    const isOurs = (namesWebSocket && this.desk.takes(requestHead)) || !upgradeEvent.isWhole(this.server, request)
    const mayGoOn = isOurs ? this.responses.areWritten(socket) : this.responses.areOver(socket)
    if (!mayGoOn) socket.destroy()
    else if (isOurs) this.handOut(request, socket, head)
    else this.giveBack(request, socket, head)
  }

  private handOut(request: Http.IncomingMessage, socket: Duplex, head: Buffer): void {
    const whenFree = (then: () => void) => this.responses.whenOver(socket, then)
    this.desk.handOut({ request, socket, incoming: upgradeEvent.toIncoming(request, socket, head), whenFree })
  }

  /** Lets the server read the request once more, as one for no upgrade, and the body or the requests behind it. */
  private giveBack(request: Http.IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.unshift(Buffer.concat([upgradeEvent.withoutUpgrade(request), head]))
    this.server.emit(this.server instanceof Tls.Server ? "secureConnection" : "connection", socket)
  }
}

const listenersOf = (server: Http.Server): ReadonlyArray<UpgradeListener> => listeners.get(server) ?? []

/** By age. */
const listeners = new WeakMap<Http.Server, ReadonlyArray<UpgradeListener>>()
