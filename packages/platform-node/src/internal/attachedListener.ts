/**
 * A listener that takes the upgrade requests of an HTTP server which belongs to somebody else. All other requests stay
 * that server's, and so do its address and its life.
 *
 * Requests to upgrade to another protocol are left to the server's other `"upgrade"` listeners. Where there are none
 * they are handed out like the rest, since Node then gives them to nobody else: the opening handshake refuses them.
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

  constructor(server: Http.Server | Https.Server) {
    this.server = server
  }

  attach(): void {
    this.server.on("upgrade", this.onUpgrade)
  }

  stop(): void {
    this.server.off("upgrade", this.onUpgrade)
    this.queue.stop()
  }

  private readonly onUpgrade = (request: Http.IncomingMessage, socket: Duplex, head: Buffer): void => {
    if (!UpgradeRequest.namesWebSocket(upgradeEvent.toRequestHead(request)) && this.server.listenerCount("upgrade") > 1)
      return
    this.queue.offer(upgradeEvent.toIncoming(request, socket, head))
  }
}

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
