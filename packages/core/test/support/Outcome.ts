/** What an endpoint does, in a form that can be compared. */
import { portable } from "../../src/ByteOps.ts"
import * as Frame from "../../src/Frame.ts"
import * as Message from "../../src/Message.ts"
import type * as Protocol from "../../src/Protocol.ts"
import type { MessageStart, ProtocolEvent } from "../../src/ProtocolEvent.ts"
import { concat, toHex } from "./Hex.ts"

/** Tells an event in short: `Text Hello`, `Ping 68 69`, `Pieces 68 69 end`, `Close 1000 bye`, `Failed UnmaskedFrame`. */
export const describeEvent = (event: ProtocolEvent): string => {
  switch (event._tag) {
    case "Text":
      return `Text ${event.text}`
    case "Binary":
      return `Binary ${toHex(event.bytes)}`.trim()
    case "Pieces":
      return ["Pieces", toHex(concat(event.pieces)), event.ends ? "end" : ""].filter((part) => part !== "").join(" ")
    case "Ping":
    case "Pong":
      return `${event._tag} ${toHex(event.payload)}`.trim()
    case "Close":
      return `Close ${event.reason.code} ${event.reason.reason}`.trim()
    case "Failed":
      return `Failed ${event.fault._tag}`
  }
}

/** All that can be seen of an endpoint from outside. */
export interface Outcome {
  readonly events: ReadonlyArray<string>
  readonly faults: ReadonlyArray<unknown>
  readonly output: string
  readonly state: string
  readonly closeSent: unknown
  readonly closeReceived: unknown
}

/** Gives the chunks to an endpoint, every second one only lent, and takes the outcome. */
export const outcomeOf = (protocol: Protocol.Protocol, chunks: Iterable<Uint8Array>): Outcome =>
  streamedOutcomeOf(protocol, chunks, () => false)

/**
 * As `outcomeOf`, but takes messages piece by piece whenever `asks` says so between two chunks. What came in pieces is told
 * like any other message, at its end: the outcome has to be the same.
 */
export const streamedOutcomeOf = (
  protocol: Protocol.Protocol,
  chunks: Iterable<Uint8Array>,
  asks: () => boolean
): Outcome => {
  const events: Array<ProtocolEvent> = []
  const output: Array<Uint8Array> = []
  const pieces = new Reassembly(protocol)
  let count = 0
  for (const chunk of chunks) {
    if (asks()) pieces.ask()
    if (count++ % 2 === 0) protocol.receive(new Uint8Array(chunk))
    else lend(protocol, chunk)
    output.push(...protocol.takeOutput())
    for (const event of protocol.takeEvents()) events.push(...pieces.take(event))
  }
  return {
    events: events.map(describeEvent),
    faults: events.flatMap((event) => (event._tag === "Failed" ? [event.fault] : [])),
    output: toHex(concat(output)),
    state: protocol.state,
    closeSent: protocol.closeSent,
    closeReceived: protocol.closeReceived
  }
}

/** Lends a chunk to an endpoint, and overwrites it then. */
export const lend = (protocol: Protocol.Protocol, chunk: Uint8Array): void => {
  const lent = new Uint8Array(chunk)
  protocol.receive(lent, true)
  lent.fill(0xa5)
}

/** Puts messages together that are taken piece by piece. */
export class Reassembly {
  private readonly protocol: Protocol.Protocol
  private start: MessageStart | undefined = undefined
  private pieces: Array<Uint8Array> = []

  constructor(protocol: Protocol.Protocol) {
    this.protocol = protocol
  }

  /** Takes the message in progress piece by piece, if there is one. Returns whether there was. */
  ask(): boolean {
    const start = this.protocol.streamMessage()
    if (start === undefined) return false
    if (this.start !== undefined) throw new Error("A message begins inside another one")
    this.start = start
    this.pieces = [...start.pieces]
    return true
  }

  /** The bytes of the unfinished message. */
  get held(): Uint8Array {
    return concat(this.pieces)
  }

  /** Expects no more of the message that is taken piece by piece. */
  forget(): void {
    this.start = undefined
    this.pieces = []
  }

  /** Gives an event back as it is, a message at its end, and nothing for the pieces before. */
  take(event: ProtocolEvent): ReadonlyArray<ProtocolEvent> {
    if (event._tag !== "Pieces") return [event]
    if (this.start === undefined) throw new Error("Pieces came of a message that nobody asked for")
    this.pieces.push(...event.pieces)
    if (!event.ends) return []
    const bytes = this.held
    const message = Message.fromPieces(
      this.start.type === "Text" ? Frame.Text : Frame.Binary,
      [bytes],
      bytes.length,
      portable
    )
    this.forget()
    return [message]
  }
}
