/**
 * The responses of an HTTP server that are still to be written, by socket.
 */
import type * as Http from "node:http"
import type { Duplex } from "node:stream"

/** RFC 9112 9.3.2: responses go out in the order of the requests, so none may still be to come when a WebSocket begins. */
export class PendingResponses {
  private readonly pending = new WeakMap<Duplex, Set<Http.ServerResponse>>()

  readonly add = ({ socket }: Http.IncomingMessage, response: Http.ServerResponse): void => {
    const pending = this.of(socket).add(response)
    this.pending.set(socket, pending)
    response.once("close", () => pending.delete(response))
  }

  /** Whether the socket was given all bytes of all responses so far. */
  areWritten(socket: Duplex): boolean {
    return [...this.of(socket)].every(isWritten)
  }

  /** Whether the server has nothing to do any more with the responses so far. */
  areOver(socket: Duplex): boolean {
    return this.of(socket).size === 0
  }

  /** Calls back when they are over, at once if they are. */
  whenOver(socket: Duplex, then: () => void): void {
    const [next] = this.of(socket)
    if (next === undefined) then()
    else next.once("close", () => this.whenOver(socket, then))
  }

  private of(socket: Duplex): Set<Http.ServerResponse> {
    return this.pending.get(socket) ?? new Set()
  }
}

// A response without a socket waits for its turn, or has had it.
const isWritten = ({ socket, writableEnded, writableFinished }: Http.ServerResponse): boolean =>
  writableFinished || (writableEnded && socket !== null)
