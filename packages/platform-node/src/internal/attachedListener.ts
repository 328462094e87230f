/**
 * A listener that takes the upgrade requests of an HTTP server which belongs to somebody else. All other requests stay
 * that server's, and so do its address and its life.
 */
import type { Listener } from "@effect-ws/api/Listener"
import type { ServerError } from "@effect-ws/api/ServerError"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import type * as Http from "node:http"
import type * as Https from "node:https"
import { IncomingQueue } from "./incomingQueue.ts"
import { addressOfCause, fromListen, toAddress } from "./serverErrors.ts"
import { UpgradeListener } from "./upgradeListener.ts"

/**
 * Attaches to a server once it listens, which is waited for. The release detaches, and destroys the connections that
 * nobody was handed.
 */
export const make = (server: Http.Server | Https.Server): Effect.Effect<Listener, ServerError, Scope.Scope> =>
  Effect.gen(function* () {
    yield* awaitListening(server)
    const queue = new IncomingQueue(heldRequests)
    const upgrades = new UpgradeListener(server, {
      takes: () => true,
      handOut: ({ incoming }) => queue.offer(incoming)
    })
    const stop = Effect.sync(() => {
      upgrades.stop()
      queue.stop()
    })
    yield* Effect.acquireRelease(
      Effect.sync(() => upgrades.start()),
      () => stop
    )
    return { address: toAddress(server.address()), start: (onIncoming) => queue.start(onIncoming), stop }
  })

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
