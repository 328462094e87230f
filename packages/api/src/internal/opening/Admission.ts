/**
 * How many connections a server has and takes, and how many it refused for which reason.
 */
import type { Overloaded } from "../../HandshakeError.ts"
import type { ServerOptions } from "../../ServerOptions.ts"
import type { Counts } from "../../WebSocketServer.ts"

export class Admission {
  handshakes = 0
  connections = 0
  accepted = 0
  readonly addresses = new Map<string, number>()
  readonly limits: ServerOptions
  private readonly refusals = new Map<string, number>()

  constructor(limits: ServerOptions) {
    this.limits = limits
  }

  /** Gives a place to a connection whose opening handshake begins, or says which limit is reached. */
  enter(): Place | Overloaded {
    const { maxConnections, maxHandshakes } = this.limits
    if (this.handshakes >= maxHandshakes) return overloaded("maxHandshakes", maxHandshakes)
    if (this.connections >= maxConnections) return overloaded("maxConnections", maxConnections)
    return new Place(this)
  }

  /** Counts a connection that was refused. */
  refused(reason: string): void {
    this.refusals.set(reason, (this.refusals.get(reason) ?? 0) + 1)
  }

  get counts(): Counts {
    const { accepted, connections, handshakes } = this
    return { handshakes, connections, accepted, refused: Object.fromEntries(this.refusals) }
  }
}

/** What one connection takes of the limits. */
export class Place {
  readonly _tag = "Place"
  private readonly admission: Admission
  private address: string | undefined = undefined
  private isOpen = false

  constructor(admission: Admission) {
    this.admission = admission
    admission.handshakes++
    admission.connections++
  }

  /** Counts for an address, and no longer for the one before: a proxy asks for one client after the other. */
  takeAddress(address: string): Overloaded | undefined {
    this.leaveAddress()
    const { addresses, limits } = this.admission
    const count = addresses.get(address) ?? 0
    const limit = limits.maxConnectionsPerAddress
    if (count >= limit) return overloaded("maxConnectionsPerAddress", limit)
    addresses.set(address, count + 1)
    this.address = address
    return undefined
  }

  /** The opening handshake is done. */
  open(): void {
    this.isOpen = true
    this.admission.handshakes--
    this.admission.accepted++
  }

  /** The connection is over. */
  leave(): void {
    this.leaveAddress()
    if (!this.isOpen) this.admission.handshakes--
    this.admission.connections--
  }

  private leaveAddress(): void {
    if (this.address === undefined) return
    const { addresses } = this.admission
    const count = addresses.get(this.address)! - 1
    if (count === 0) addresses.delete(this.address)
    else addresses.set(this.address, count)
    this.address = undefined
  }
}

const overloaded = (option: Overloaded["option"], limit: number): Overloaded => ({ _tag: "Overloaded", option, limit })
