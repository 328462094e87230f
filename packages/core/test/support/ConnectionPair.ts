/** Two endpoints with a wire between them. */
import { assert } from "vitest"
import type { ByteOps } from "../../src/ByteOps.ts"
import type * as CloseReason from "../../src/CloseReason.ts"
import * as Message from "../../src/Message.ts"
import type * as Protocol from "../../src/Protocol.ts"
import type { ProtocolEvent } from "../../src/ProtocolEvent.ts"
import { peerOf, type Role } from "../../src/Role.ts"
import { describeEvent, endpoint, roles } from "./Endpoints.ts"
import { concat } from "./Hex.ts"

/** Cuts what one endpoint wrote into the chunks that the other one receives. */
export type Cut = (bytes: Uint8Array) => Iterable<Uint8Array>

/**
 * A client and a server. What is sent through the pair is noted, and `assertReceivedEqualsSent` holds what arrived
 * against it.
 */
export class ConnectionPair {
  readonly client: Protocol.Protocol
  readonly server: Protocol.Protocol
  private readonly cut: Cut
  private readonly expected: Record<Role, Array<string>> = { client: [], server: [] }
  private readonly received: Record<Role, Array<string>> = { client: [], server: [] }

  constructor(byteOps: ByteOps, cut: Cut = (bytes) => [bytes]) {
    this.client = endpoint("client", byteOps)
    this.server = endpoint("server", byteOps)
    this.cut = cut
  }

  sendText(sender: Role, text: string): void {
    assert.isTrue(this[sender].sendText(text))
    this.expect(sender, Message.text(text))
  }

  sendBinary(sender: Role, bytes: Uint8Array): void {
    assert.isTrue(this[sender].sendBinary(bytes))
    this.expect(sender, Message.binary(bytes.slice()))
  }

  sendMessage(sender: Role, message: Message.Message): void {
    assert.isTrue(this[sender].sendMessage(message))
    this.expect(sender, message)
  }

  ping(sender: Role, payload: Uint8Array): void {
    assert.isTrue(this[sender].ping(payload))
    this.expect(sender, { _tag: "Ping", payload })
    this.expected[sender].push(describeEvent({ _tag: "Pong", payload }))
  }

  close(sender: Role, reason: CloseReason.CloseReason): void {
    assert.isTrue(this[sender].close(reason))
    this.expect(sender, { _tag: "Close", reason })
    this.expected[sender].push(describeEvent({ _tag: "Close", reason: { ...reason, reason: "" } }))
  }

  /** Carries bytes to and fro until neither endpoint has any left. */
  settle(): this {
    while (roles.some((role) => this[role].pendingOutput > 0)) {
      for (const role of roles) this.carryFrom(role)
    }
    return this
  }

  /** Settles, and asserts that each endpoint received what the other one sent, in order, and nothing else. */
  assertReceivedEqualsSent(): void {
    this.settle()
    for (const role of roles)
      assert.deepStrictEqual(this.received[role], this.expected[role], `received by the ${role}`)
  }

  private expect(sender: Role, event: ProtocolEvent): void {
    this.expected[peerOf(sender)].push(describeEvent(event))
  }

  private carryFrom(sender: Role): void {
    const receiver = this[peerOf(sender)]
    const bytes = concat(this[sender].takeOutput())
    for (const chunk of this.cut(bytes)) {
      receiver.receive(chunk)
      this.received[peerOf(sender)].push(...receiver.takeEvents().map(describeEvent))
    }
  }
}
