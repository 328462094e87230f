/** Fuzzes an endpoint on an open connection: a peer that nearly keeps to the rules, a caller that may ask for anything. */
import * as assert from "node:assert"
import { type ByteOps, portable } from "../../src/ByteOps.ts"
import * as Frame from "../../src/Frame.ts"
import * as Message from "../../src/Message.ts"
import * as PreparedMessage from "../../src/PreparedMessage.ts"
import * as Protocol from "../../src/Protocol.ts"
import type { ProtocolEvent } from "../../src/ProtocolEvent.ts"
import { peerOf, type Role } from "../../src/Role.ts"
import { CountingByteOps } from "../support/CountingByteOps.ts"
import { concat } from "../support/Hex.ts"
import { ZlibCodec } from "../support/deflate/ZlibCodec.ts"
import { type Outcome, outcomeOf, Reassembly, streamedOutcomeOf } from "../support/Outcome.ts"
import * as Invariant from "./Invariant.ts"
import { mutate } from "./Mutation.ts"
import type { Random } from "./Random.ts"
import { someBytes, someCode, someText, someTranscript } from "./Transcript.ts"

type Settings = Omit<Protocol.Options, "byteOps" | "deflate"> & Invariant.Limits & { readonly deflate?: Compression }

interface Compression extends Protocol.Deflate {
  readonly codec: ZlibCodec
}

/** Runs one transcript whole, cut, and with commands between. Throws when something comes out that isn't documented. */
export const fuzzFrames = (random: Random, byteOps: ByteOps = portable): void => {
  const role: Role = random.chance(2) ? "client" : "server"
  const settings = someSettings(random, role)
  const bytes = mutate(random, someTranscript(random, peerOf(role), settings.deflate !== undefined), 4)
  compareCuts(random, settings, bytes, byteOps)
  drive(random, settings, bytes, byteOps)
}

const someSettings = (random: Random, role: Role): Settings => {
  const maxMessageSize = random.pick([1, 10, 125, 1000, 100_000])
  const deflate = random.chance(4) ? someCompression(random) : undefined
  return {
    role,
    ...(deflate === undefined ? {} : { deflate }),
    maskingKeys: role === "client" ? () => random.below(2 ** 32) : undefined,
    maxMessageSize,
    // How large a compressed message is shows when it has come out: it isn't kept for who might want it in pieces.
    maxStreamedSize: maxMessageSize * (deflate === undefined ? random.pick([1, 1, 3, 100]) : 1),
    validateText: !random.chance(4),
    fragmentSize: random.pick([undefined, undefined, 1, 7, 200]),
    deferClose: random.chance(2)
  }
}

const someCompression = (random: Random): Compression => ({
  codec: new ZlibCodec(),
  parameters: {
    serverNoContextTakeover: random.chance(2),
    clientNoContextTakeover: random.chance(2),
    serverMaxWindowBits: random.pick([8, 9, 15, 15]),
    clientMaxWindowBits: random.pick([8, 9, 15, 15])
  },
  threshold: random.pick([0, 0, 10, 256])
})

/** The bytes that went through the codec so far. */
const carried = ({ deflate }: Settings): number =>
  deflate === undefined ? 0 : deflate.codec.inflated + deflate.codec.taken

/** The outcome is the same whole, cut at random, and with messages taken piece by piece. */
const compareCuts = (random: Random, settings: Settings, bytes: Uint8Array, byteOps: ByteOps): void => {
  // The keys have to be the same, too.
  const keys = settings.maskingKeys === undefined ? {} : { maskingKeys: () => 0x37fa213d }
  const make = (byteOps: ByteOps) => Protocol.make({ ...settings, ...keys, byteOps })
  const counting = new CountingByteOps(byteOps)
  const whole = outcomeOf(make(counting), [bytes])
  Invariant.assertBounded(counting.allocatedBytes, bytes.length + carried(settings), whole.output.length / 3 + 1)
  const compresses = settings.deflate !== undefined
  assertAlike(outcomeOf(make(byteOps), random.cut(bytes, 12)), whole, compresses)
  const streamed = streamedOutcomeOf(make(byteOps), random.cut(bytes, 12), () => random.chance(2))
  assertAlike(streamed, whole, compresses)
}

// What is wrong with a compressed message in more than one way may be found the other way round, when more of it comes at once.
const assertAlike = (outcome: Outcome, whole: Outcome, compresses: boolean): void => {
  const isOfCompressed = [outcome, whole].every(({ events }) => ofCompressed.has(events.at(-1) ?? ""))
  if (!compresses || !isOfCompressed) return assert.deepStrictEqual(outcome, whole)
  assert.deepStrictEqual(outcome.events.slice(0, -1), whole.events.slice(0, -1))
  assert.strictEqual(outcome.state, whole.state)
}

const ofCompressed = new Set(["Failed InvalidCompressedData", "Failed InvalidUtf8", "Failed MessageTooBig"])

/** Receives chunks with random commands between them. */
const drive = (random: Random, settings: Settings, bytes: Uint8Array, byteOps: ByteOps): void => {
  const counting = new CountingByteOps(byteOps)
  const driven = new Driven(Protocol.make({ ...settings, byteOps: counting }))
  for (const chunk of random.cut(bytes, 8)) {
    for (let count = random.below(3); count > 0; count--) driven.command(random)
    driven.step(() => driven.protocol.receive(chunk))
  }
  while (random.chance(2)) driven.command(random)
  driven.take()
  Invariant.assertEvents(driven.events, settings)
  const output = concat(driven.output)
  Invariant.assertOutput(settings.role, output, settings.deflate !== undefined)
  Invariant.assertBounded(counting.allocatedBytes, bytes.length + carried(settings), output.length)
  assertReceived(settings, output, driven.sent)
}

/** The peer receives the messages that the endpoint was told to send. */
const assertReceived = ({ deflate, role }: Settings, output: Uint8Array, sent: ReadonlyArray<Sent>): void => {
  const keys = role === "server" ? { maskingKeys: () => 0 } : {}
  const peer = Protocol.make({ role: peerOf(role), deflate, ...keys })
  peer.receive(output)
  const events = peer.takeEvents()
  assert.ok(!events.some(({ _tag }) => _tag === "Failed"), "the peer fails")
  const received = events.flatMap((event) =>
    event._tag === "Text" || event._tag === "Binary" ? [{ _tag: event._tag, bytes: event.bytes }] : []
  )
  assert.strictEqual(received.length, sent.length, "messages that the peer received")
  for (const [index, { _tag, bytes }] of received.entries()) {
    const isSame = _tag === sent[index]!._tag && Buffer.compare(bytes, sent[index]!.bytes) === 0
    assert.ok(isSame, `the peer received another message than the one sent as number ${index}`)
  }
}

interface Sent {
  readonly _tag: "Text" | "Binary"
  readonly bytes: Uint8Array
}

/** An endpoint with all that it has told and written. */
class Driven {
  readonly protocol: Protocol.Protocol
  readonly events: Array<ProtocolEvent> = []
  readonly output: Array<Uint8Array> = []
  /** The messages that were sent as a whole. */
  readonly sent: Array<Sent> = []
  private fragments: Array<Uint8Array> = []
  private readonly pieces: Reassembly

  constructor(protocol: Protocol.Protocol) {
    this.protocol = protocol
    this.pieces = new Reassembly(protocol)
  }

  /** Does something to the endpoint, and looks at it before and afterwards. */
  step<A>(act: () => A): A {
    const { state } = this.protocol
    const result = act()
    Invariant.assertLegalMove(state, this.protocol.state)
    Invariant.assertConsistent(this.protocol)
    return result
  }

  command(random: Random): void {
    this.step(() => random.pick(commands)(this, random))
  }

  /** A command that is obeyed exactly where the state allows it. */
  send(isAllowed: boolean, act: (protocol: Protocol.Protocol) => boolean): void {
    const { pendingOutput } = this.protocol
    assert.strictEqual(act(this.protocol), isAllowed, "obeyed")
    if (!isAllowed) assert.strictEqual(this.protocol.pendingOutput, pendingOutput, "declined, and written all the same")
  }

  sendWhole(message: Sent, act: (protocol: Protocol.Protocol) => boolean): void {
    const isAllowed = this.protocol.sendsMessages
    this.send(isAllowed, act)
    if (isAllowed) this.sent.push(message)
  }

  sendFragment(bytes: Uint8Array, final: boolean): void {
    const isAllowed = this.protocol.sends
    this.send(isAllowed, (to) => to.sendFragment("Binary", bytes, final))
    if (!isAllowed) return
    this.fragments.push(bytes)
    if (!final) return
    this.sent.push({ _tag: "Binary", bytes: concat(this.fragments) })
    this.fragments = []
  }

  take(): void {
    const { pendingOutput } = this.protocol
    const output = concat(this.protocol.takeOutput())
    assert.deepStrictEqual([output.length, this.protocol.pendingOutput], [pendingOutput, 0], "pending")
    this.output.push(output)
    for (const event of this.protocol.takeEvents()) this.events.push(...this.pieces.take(event))
  }

  stream(): void {
    this.take()
    const { hasMessageBegun } = this.protocol
    assert.strictEqual(this.pieces.ask(), hasMessageBegun, "a message that has begun can be streamed")
  }

  drop(): void {
    this.take()
    this.protocol.dropMessage()
    this.pieces.forget()
  }
}

type Command = (driven: Driven, random: Random) => void

const commands: ReadonlyArray<Command> = [
  (driven, random) => {
    const text = someText(random)
    driven.sendWhole(Message.text(text), (to) => to.sendText(text))
  },
  (driven, random) => {
    const bytes = someBytes(random)
    driven.sendWhole({ _tag: "Binary", bytes }, (to) => to.sendBinary(bytes))
  },
  (driven, random) => {
    const message = someMessage(random)
    driven.sendWhole(message, (to) => to.sendMessage(message))
  },
  (driven, random) => {
    const message = someMessage(random)
    driven.sendWhole(message, (to) => to.sendPrepared(PreparedMessage.make(message)))
  },
  (driven, random) => driven.sendFragment(someBytes(random), random.chance(3)),
  (driven, random) => driven.send(driven.protocol.sends, (to) => to.ping(random.bytes(random.below(126)))),
  (driven, random) => driven.send(driven.protocol.sends, (to) => to.pong(random.bytes(random.below(126)))),
  (driven, random) => {
    if (!random.chance(4)) return
    driven.send(driven.protocol.sends, (to) => to.close({ code: someCode(random), reason: "é" }))
  },
  ({ protocol }) => protocol.answerClose(),
  ({ protocol }) => protocol.holdPongs(),
  ({ protocol }) => protocol.releasePongs(),
  ({ protocol }) => protocol.refuseOversized(),
  (driven, random) => {
    if (random.chance(8)) driven.protocol.receiveEnd()
  },
  (driven) => driven.take(),
  (driven) => driven.stream(),
  (driven) => driven.stream(),
  (driven, random) => {
    if (random.chance(4)) driven.drop()
  }
]

const someMessage = (random: Random): Message.Message => {
  if (random.chance(2)) return Message.text(someText(random))
  const bytes = someBytes(random)
  return Message.fromPieces(Frame.Binary, random.cut(bytes, 3), bytes.length, portable)
}
