/**
 * A listener that takes the upgrade requests of an HTTP server which belongs to somebody else. All other requests stay
 * that server's, and so do its address and its life.
 *
 * Requests to upgrade to another protocol are left to the server's other `"upgrade"` listeners. Where there are none the
 * server gets them back as requests without `Upgrade`, as it would if nobody had attached: its `"connection"` event comes
 * a second time for such a socket.
 *
 * An upgrade that overtakes the answer to an earlier request on the same connection is dropped with the connection: the
 * answer would be written into the WebSocket, and anything written first would pass for that answer.
 */
import type { Listener } from "@effect-ws/api/Listener"
import type { ServerError } from "@effect-ws/api/ServerError"
import * as UpgradeRequest from "@effect-ws/core/UpgradeRequest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import type * as Http from "node:http"
import type * as Https from "node:https"
import type { Duplex } from "node:stream"
import * as Tls from "node:tls"
import { IncomingQueue } from "./incomingQueue.ts"
import { addressOfCause, fromListen, toAddress } from "./serverErrors.ts"
import * as upgradeEvent from "./upgradeEvent.ts"

/**
 * Attaches to a server once it listens, which is waited for. The release detaches, and destroys the connections that
 * nobody was handed.
 */
export const make = (server: Http.Server | Https.Server): Effect.Effect<Listener, ServerError, Scope.Scope> =>
  Effect.gen(function* () {
    yield* awaitListening(server)
    const attachment = new Attachment(server)
    yield* Effect.acquireRelease(
      Effect.sync(() => attachment.attach()),
      () => Effect.sync(() => attachment.stop())
    )
    return {
      address: toAddress(server.address()),
      start: (onIncoming) => attachment.queue.start(onIncoming),
      stop: Effect.sync(() => attachment.stop())
    }
  })

class Attachment {
  readonly queue = new IncomingQueue(heldRequests)
  private readonly server: Http.Server | Https.Server
  private readonly responses = new Responses()

  constructor(server: Http.Server | Https.Server) {
    this.server = server
  }

  attach(): void {
    // First, since another listener may answer at once.
    this.server.prependListener("request", this.responses.onRequest)
    this.server.on("upgrade", this.onUpgrade)
  }

  stop(): void {
    this.server.off("request", this.responses.onRequest)
    this.server.off("upgrade", this.onUpgrade)
    this.queue.stop()
  }

  private readonly onUpgrade = (request: Http.IncomingMessage, socket: Duplex, head: Buffer): void => {
    const namesWebSocket = UpgradeRequest.namesWebSocket(upgradeEvent.toRequestHead(request))
    if (!namesWebSocket && this.server.listenerCount("upgrade") > 1) return
    // Where the field, or a length, may have been dropped, the server must not read the request once more.
    const isOurs = namesWebSocket || !upgradeEvent.isWhole(this.server, request)
    const mayGoOn = isOurs ? this.responses.areWritten(socket) : this.responses.areOver(socket)
    if (!mayGoOn) socket.destroy()
    else if (isOurs) this.queue.offer(upgradeEvent.toIncoming(request, socket, head))
    else this.giveBack(request, socket, head)
  }

  /** Lets the server read the request once more, as one for no upgrade, and the body or the requests behind it. */
  private giveBack(request: Http.IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.unshift(Buffer.concat([upgradeEvent.withoutUpgrade(request), head]))
    this.server.emit(this.server instanceof Tls.Server ? "secureConnection" : "connection", socket)
  }
}

/** RFC 9112 9.3.2: responses go out in the order of the requests, so none may still be to come when a WebSocket begins. */
class Responses {
  private readonly pending = new WeakMap<Duplex, Set<Http.ServerResponse>>()

  /** Whether the socket was given all bytes of all responses so far. */
  areWritten(socket: Duplex): boolean {
    return [...this.pendingOf(socket)].every(isWritten)
  }

  /** Whether the server has nothing to do any more with the responses so far. */
  areOver(socket: Duplex): boolean {
    return this.pendingOf(socket).size === 0
  }

  readonly onRequest = ({ socket }: Http.IncomingMessage, response: Http.ServerResponse): void => {
    const pending = this.pendingOf(socket).add(response)
    this.pending.set(socket, pending)
    response.once("close", () => pending.delete(response))
  }

  private pendingOf(socket: Duplex): Set<Http.ServerResponse> {
    return this.pending.get(socket) ?? new Set()
  }
}

// A response without a socket waits for its turn, or has had it.
const isWritten = ({ socket, writableEnded, writableFinished }: Http.ServerResponse): boolean =>
  writableFinished || (writableEnded && socket !== null)

const awaitListening = (server: Http.Server | Https.Server): Effect.Effect<void, ServerError> =>
  Effect.async<void, ServerError>((resume) => {
    if (server.listening) return resume(Effect.void)
    const forget = () => server.off("error", onError).off("listening", onListening)
    const settle = (exit: Exit.Exit<void, ServerError>) => {
      forget()
      resume(exit)
    }
    const onError = (cause: Error) => settle(Exit.fail(fromListen(cause, addressOfCause(cause))))
    const onListening = () => settle(Exit.void)
    server.on("error", onError).on("listening", onListening)
    return Effect.sync(forget)
  })

// A request that waits for the handler has a socket and up to 16 KiB of headers.
const heldRequests = 511
