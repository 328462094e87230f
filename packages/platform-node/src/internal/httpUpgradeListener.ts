/**
 * Sorts the requests for an upgrade that an HTTP server gets: those to WebSocket are handed out, with their transport.
 *
 * Those to another protocol are left to other `"upgrade"` listeners. Where there are none the server gets them back as
 * requests without `Upgrade`, as it would if nobody listened: its `"connection"` event comes a second time for such a socket.
 * So it is with requests by a method that opens no WebSocket, which may have a body.
 *
 * One that overtakes the answer to an earlier request on the same connection is dropped with the connection: the answer
 * would be written into the WebSocket, and anything written first would pass for that answer.
 */
import type { Incoming } from "@effect-ws/api/Listener"
import * as UpgradeRequest from "@effect-ws/core/UpgradeRequest"
import type * as Http from "node:http"
import type { Duplex } from "node:stream"
import * as Tls from "node:tls"
import { PendingResponses } from "./httpPending.ts"
import * as upgradeEvent from "./upgradeEvent.ts"

/** A request for an upgrade, and when the socket is free for an answer to it. */
export interface Upgrading {
  readonly request: Http.IncomingMessage
  readonly socket: Duplex
  readonly incoming: Incoming
  readonly whenFree: (then: () => void) => void
}

export class HttpUpgradeListener {
  private readonly server: Http.Server
  private readonly responses = new PendingResponses()
  private readonly onUpgrading: (upgrading: Upgrading) => void

  constructor(server: Http.Server, onUpgrading: (upgrading: Upgrading) => void) {
    this.server = server
    this.onUpgrading = onUpgrading
  }

  start(): void {
    // First, since another listener may answer at once.
    this.server.prependListener("request", this.responses.add)
    this.server.on("upgrade", this.onUpgrade)
  }

  stop(): void {
    this.server.off("request", this.responses.add)
    this.server.off("upgrade", this.onUpgrade)
  }

  private readonly onUpgrade = (request: Http.IncomingMessage, socket: Duplex, head: Buffer): void => {
    const asksForWebSocket = request.method === "GET" && isForWebSocket(request)
    if (!isForWebSocket(request) && this.server.listenerCount("upgrade") > 1) return
    // Where the field, or a length, may have been dropped, the server must not read the request once more.
    const isOurs = asksForWebSocket || !upgradeEvent.isWhole(this.server, request)
    const mayGoOn = isOurs ? this.responses.areWritten(socket) : this.responses.areOver(socket)
    if (!mayGoOn) socket.destroy()
    else if (isOurs) this.handOut(request, socket, head)
    else this.giveBack(request, socket, head)
  }

  private handOut(request: Http.IncomingMessage, socket: Duplex, head: Buffer): void {
    const whenFree = (then: () => void) => this.responses.whenOver(socket, then)
    this.onUpgrading({ request, socket, incoming: upgradeEvent.toIncoming(request, socket, head), whenFree })
  }

  /** Lets the server read the request once more, as one for no upgrade, and the body or the requests behind it. */
  private giveBack(request: Http.IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.unshift(Buffer.concat([upgradeEvent.withoutUpgrade(request), head]))
    this.server.emit(this.server instanceof Tls.Server ? "secureConnection" : "connection", socket)
  }
}

const isForWebSocket = (request: Http.IncomingMessage): boolean =>
  UpgradeRequest.namesWebSocket(upgradeEvent.toRequestHead(request))
