/**
 * The WebSocket Protocol after the opening handshake, for either role, as a calculator: bytes and commands go in, events
 * and bytes come out. It has no socket, no clock and no randomness, and no input makes it throw.
 *
 * **Details**
 *
 * The rule of use is: after every call of `receive`, or of a command, take the output and write it, then take the events.
 * Events come in the order of the wire; those in front of a fault are delivered before it.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6455
 * @since 0.1.0
 */
import { type ByteOps, portable } from "./ByteOps.ts"
import * as CloseReason from "./CloseReason.ts"
import type { DeflateCodec } from "./DeflateCodec.ts"
import * as Frame from "./Frame.ts"
import * as FrameDecoder from "./FrameDecoder.ts"
import { FrameEncoder, type MaskingKeys } from "./FrameEncoder.ts"
import { MessageDeflater } from "./internal/MessageDeflater.ts"
import { MessageInflater } from "./internal/MessageInflater.ts"
import { MessageReceiver } from "./internal/MessageReceiver.ts"
import { MessageSender } from "./internal/MessageSender.ts"
import type * as Message from "./Message.ts"
import type * as PermessageDeflate from "./PermessageDeflate.ts"
import type { PreparedMessage } from "./PreparedMessage.ts"
import type { MessageStart, ProtocolEvent } from "./ProtocolEvent.ts"
import type * as ProtocolFault from "./ProtocolFault.ts"
import * as ProtocolState from "./ProtocolState.ts"
import type { Role } from "./Role.ts"

/**
 * How a connection is to behave.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The role of this endpoint. */
  readonly role: Role
  /**
   * The source of masking keys: a client must have one (5.3), a server must have none (5.1).
   */
  readonly maskingKeys?: MaskingKeys | undefined
  /** What works on bytes; `ByteOps.portable` by default. */
  readonly byteOps?: ByteOps | undefined
  /**
   * The largest message that is taken, in bytes of payload; 16 MiB by default, since a peer that may send without a limit
   * may fill the memory. A larger one is answered with 1009.
   */
  readonly maxMessageSize?: number | undefined
  /**
   * The largest message that is taken piece by piece, in bytes of payload; as `maxMessageSize` by default. See
   * `Protocol.streamMessage`.
   */
  readonly maxStreamedSize?: number | undefined
  /** The largest payload of a frame that is sent, in bytes; by default a message is one frame. */
  readonly fragmentSize?: number | undefined
  /** Whether the text of the peer is checked to be UTF-8 (8.1). It is unless this is `false`, for a peer that is trusted. */
  readonly validateText?: boolean | undefined
  /** What permessage-deflate was agreed on, and what does it; none by default. */
  readonly deflate?: Deflate | undefined
  /**
   * Whether the Close frame that answers the peer, or tells it of a fault, waits for `answerClose`, so that the replies to
   * messages in front of it can go first (5.5.1). By default it is in the output at once.
   */
  readonly deferClose?: boolean | undefined
}

/**
 * How messages are compressed (RFC 7692).
 *
 * @since 0.1.0
 * @category models
 */
export interface Deflate {
  /** What compresses and decompresses. */
  readonly codec: DeflateCodec
  /** What both sides have agreed on. */
  readonly parameters: PermessageDeflate.Parameters
  /** From which size on a message is compressed, in bytes of payload. */
  readonly threshold: number
}

/**
 * The largest message that is taken by default: 16 MiB.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultMaxMessageSize: number = 16 * 1024 * 1024

/**
 * Makes the protocol of an open connection.
 *
 * Options that can't be meant, a client without masking keys or a limit that isn't a positive integer, throw a
 * `RangeError`: they are mistakes of the caller, not input.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Protocol => new Protocol(options)

/**
 * The state of one connection.
 *
 * @since 0.1.0
 * @category models
 */
export class Protocol {
  /** The role of this endpoint. */
  readonly role: Role
  /** Where the connection is. */
  state: ProtocolState.ProtocolState = "Open"
  /** What the Close frame said that was sent, or `undefined` when none was. */
  closeSent: CloseReason.CloseReason | undefined = undefined
  /** What the Close frame said that was received, or `undefined` when none was. */
  closeReceived: CloseReason.CloseReason | undefined = undefined

  private readonly byteOps: ByteOps
  private readonly deferClose: boolean
  private readonly decoder: FrameDecoder.FrameDecoder
  private readonly encoder: FrameEncoder
  private readonly receiver: MessageReceiver
  private readonly sender: MessageSender
  private readonly inflater: MessageInflater | undefined
  private readonly deflater: MessageDeflater | undefined
  private events: Array<ProtocolEvent> = []
  private control: Array<number> | undefined = undefined
  private pongsHeld = false
  private heldPong: Uint8Array | undefined = undefined
  private answer: CloseReason.CloseReason = CloseReason.none

  /** Makes the protocol of an open connection; see `make`. */
  constructor(options: Options) {
    validate(options)
    this.role = options.role
    this.byteOps = options.byteOps ?? portable
    this.deferClose = options.deferClose ?? false
    this.inflater = inflaterOf(this.byteOps, options)
    this.deflater = deflaterOf(options)
    this.decoder = new FrameDecoder.FrameDecoder(this.role, this.byteOps, options.deflate !== undefined, true)
    this.encoder = new FrameEncoder(this.byteOps, options.maskingKeys)
    const { maxMessageSize = defaultMaxMessageSize, validateText = true } = options
    const { maxStreamedSize = maxMessageSize } = options
    const limits = { maxMessageSize, maxStreamedSize, validateText }
    this.receiver = new MessageReceiver(this.byteOps, limits, this.inflater)
    const { fragmentSize = Infinity } = options
    this.sender = new MessageSender(this.encoder, this.byteOps, this.role === "client", fragmentSize, this.deflater)
  }

  /**
   * Takes bytes from the peer, cut anywhere. The chunk is altered in place, and messages may keep views of it, so it must not
   * be used for anything else afterwards; unless `isLent` says that it will be, then nothing of it is kept.
   */
  receive(chunk: Uint8Array, isLent = false): void {
    if (!this.receives) return
    this.receiver.isLent = isLent
    const decoder = this.decoder
    decoder.push(chunk)
    while (this.receives) {
      const step = decoder.next()
      if (step === FrameDecoder.NeedMore) return this.handOutPieces()
      if (step === FrameDecoder.Fault) this.fail(decoder.fault!)
      else if (decoder.opcode < Frame.Close) this.receiveData(chunk)
      else this.receiveControl(chunk)
    }
    this.release()
  }

  /** Whether a message has begun, not ended, and `streamMessage` would hand it out. */
  get hasMessageBegun(): boolean {
    return this.receiver.isGathering
  }

  /** Whether a message has begun and not ended. */
  get isInMessage(): boolean {
    return this.receiver.isInMessage
  }

  /** Says whether somebody waits for `streamMessage`: how large a compressed message gets isn't known before it has come. */
  awaitStream(isAwaited: boolean): void {
    this.receiver.isStreamAwaited = isAwaited
  }

  /**
   * Whether the message that has begun is too large to be taken as a whole: `streamMessage` has to take it, or
   * `refuseOversized` to refuse it.
   */
  get isOversized(): boolean {
    return this.receiver.isOversized
  }

  /**
   * Takes the message that has begun piece by piece: what has come of it now, the rest as `Pieces` among the events. Returns
   * `undefined` when there is none.
   */
  streamMessage(): MessageStart | undefined {
    return this.receiver.stream()
  }

  /** Drops what is still to come of the message that is taken piece by piece. It is checked all the same. */
  dropMessage(): void {
    this.receiver.drop()
  }

  /** Fails the connection because of the message that is too large to be taken as a whole, if there is one. */
  refuseOversized(): void {
    if (this.receiver.isOversized) this.fail(this.receiver.tooBig())
  }

  /** Takes note that the transport has ended: the state is `Closed` from here on. */
  receiveEnd(): void {
    this.move("TransportEnd")
    this.release()
  }

  /** Hands out the events since the last call, in order. */
  takeEvents(): ReadonlyArray<ProtocolEvent> {
    if (this.events.length === 0) return noEvents
    const events = this.events
    this.events = []
    return events
  }

  /** Hands out the bytes to write since the last call, in order. They never change again. */
  takeOutput(): ReadonlyArray<Uint8Array> {
    return this.encoder.take()
  }

  /** Counts the bytes that `takeOutput` would hand out. */
  get pendingOutput(): number {
    return this.encoder.pending
  }

  /** Whether a message, a Ping or a Pong may be sent. */
  get sends(): boolean {
    return this.state === "Open" || this.owesClose
  }

  /** Whether bytes from the peer are still looked at. */
  get receives(): boolean {
    return this.state === "Open" || this.state === "CloseSent"
  }

  /** Whether a message may be sent: not between the fragments of another one. */
  get sendsMessages(): boolean {
    return this.sends && !this.sender.isInMessage
  }

  /** Whether a message of `size` bytes would be compressed. */
  compresses(size: number): boolean {
    return this.sender.compresses(size)
  }

  /** Sends a text. Lone surrogates become U+FFFD. Returns whether the state allowed it. */
  sendText(text: string): boolean {
    if (!this.sendsMessages) return false
    this.sender.sendText(text)
    return true
  }

  /** Sends bytes as a binary message. They are copied. Returns whether the state allowed it. */
  sendBinary(bytes: Uint8Array): boolean {
    if (!this.sendsMessages) return false
    this.sender.sendBinary(bytes)
    return true
  }

  /** Sends a message, without a copy where it is large and needs no mask. Returns whether the state allowed it. */
  sendMessage(message: Message.Message): boolean {
    if (!this.sendsMessages) return false
    this.sender.sendMessage(message)
    return true
  }

  /**
   * Sends a message that was encoded before: without a copy by a server, which doesn't mask. Returns whether the state
   * allowed it.
   */
  sendPrepared(message: PreparedMessage): boolean {
    if (!this.sendsMessages) return false
    this.sender.sendPrepared(message)
    return true
  }

  /**
   * Sends a fragment of a message, and copies the bytes: the first one says of which type the message is, one that is final
   * ends it. One larger than `fragmentSize` leaves as several. No other message can be sent in between; control frames can
   * (5.4). Text has to be well-formed as a whole, which isn't checked. Returns whether the state allowed it.
   */
  sendFragment(type: Message.Message["_tag"], payload: Uint8Array, final: boolean): boolean {
    if (!this.sends) return false
    this.sender.sendFragment(type, payload, final)
    return true
  }

  /**
   * Sends a Ping with at most 125 bytes, which are copied; more throw a `RangeError`. Returns whether the state allowed it.
   */
  ping(payload: Uint8Array): boolean {
    return this.sendControl(Frame.Ping, payload)
  }

  /**
   * Sends an unsolicited Pong with at most 125 bytes, which are copied; more throw a `RangeError`. Returns whether the
   * state allowed it.
   */
  pong(payload: Uint8Array): boolean {
    return this.sendControl(Frame.Pong, payload)
  }

  /**
   * Begins the closing handshake, or answers the peer's, with a reason as `CloseReason.make` gives it; an invalid one
   * throws a `RangeError`. The Close frame that follows a fault has the fault's reason. Returns whether the state allowed it.
   */
  close(reason: CloseReason.CloseReason): boolean {
    const wrong = CloseReason.validate(reason)
    if (wrong !== undefined) throw new RangeError(`Protocol.close: ${wrong.message}`)
    if (!this.sends) return false
    this.writeClose(this.state === "Failing" ? this.answer : reason)
    return true
  }

  /** Whether the peer waits for a Close frame, which `answerClose` or `close` sends. */
  get owesClose(): boolean {
    return this.state === "CloseReceived" || this.state === "Failing"
  }

  /** Sends the Close frame that is owed, if one is: the code of the peer (5.5.1), or that of its fault (7.1.7). */
  answerClose(): void {
    if (this.owesClose) this.writeClose(this.answer)
  }

  /**
   * Fails the connection (7.1.7): a Close frame that says why, unless one was sent, and nothing more is received. Is
   * called by the protocol itself for what the peer does wrong.
   */
  fail(fault: ProtocolFault.ProtocolFault | ProtocolFault.MessageTooBig): void {
    if (!this.receives) return
    this.handOutPieces()
    this.move("Fail")
    this.release()
    this.owe({ code: fault.closeCode, reason: fault.message })
    this.events.push({ _tag: "Failed", fault })
  }

  /**
   * Holds back Pongs, because the transport is full: of those to send only the newest is kept, as 5.5.3 allows. So a peer
   * that pings and doesn't read costs a bounded memory.
   */
  holdPongs(): void {
    this.pongsHeld = true
  }

  /** Sends the newest Pong that was held back, and no longer holds back others. */
  releasePongs(): void {
    this.pongsHeld = false
    const payload = this.heldPong
    this.heldPong = undefined
    if (payload !== undefined) this.sendControl(Frame.Pong, payload)
  }

  private receiveData(chunk: Uint8Array): void {
    const event = this.receiver.receive(this.decoder, chunk)
    if (event !== undefined) this.events.push(event)
    else if (this.receiver.fault !== undefined) this.fail(this.receiver.fault)
  }

  // Before every other event, so that all come in the order of the wire.
  private handOutPieces(): void {
    const pieces = this.receiver.takePieces()
    if (pieces !== undefined) this.events.push(pieces)
  }

  private receiveControl(chunk: Uint8Array): void {
    this.decoder.unmask(chunk)
    const { begins, end, ends, opcode, start } = this.decoder
    if (begins && ends) return this.handleControl(opcode, new Uint8Array(chunk.subarray(start, end)))
    this.control ??= []
    for (let i = start; i < end; i++) this.control.push(chunk[i]!)
    if (!ends) return
    const payload = Uint8Array.from(this.control)
    this.control = undefined
    this.handleControl(opcode, payload)
  }

  private handleControl(opcode: number, payload: Uint8Array): void {
    this.handOutPieces()
    if (opcode === Frame.Ping) this.receivePing(payload)
    else if (opcode === Frame.Pong) this.events.push({ _tag: "Pong", payload })
    else this.receiveClose(payload)
  }

  // 5.5.2: a Ping is answered as soon as is practical. Stricter after our own Close frame, see `ProtocolState`.
  private receivePing(payload: Uint8Array): void {
    if (this.pongsHeld) this.heldPong = payload
    else this.sendControl(Frame.Pong, payload)
    this.events.push({ _tag: "Ping", payload })
  }

  private receiveClose(payload: Uint8Array): void {
    const reason = CloseReason.decode(payload, this.byteOps)
    if ("_tag" in reason) return this.fail(reason)
    this.closeReceived = reason
    this.move("ReceiveClose")
    // 5.5.1: a Close frame is answered with one, which echoes the code.
    this.owe({ code: reason.code, reason: "" })
    this.events.push({ _tag: "Close", reason })
  }

  private sendControl(opcode: typeof Frame.Ping | typeof Frame.Pong, payload: Uint8Array): boolean {
    if (payload.length > Frame.maxControlPayload) {
      throw new RangeError(`A control frame holds at most 125 bytes, and these are ${payload.length} (RFC 6455 5.5)`)
    }
    if (!this.sends) return false
    this.encoder.encode(true, opcode, payload)
    return true
  }

  // An empty payload is one frame as well.
  private owe(answer: CloseReason.CloseReason): void {
    this.answer = answer
    if (!this.deferClose) this.answerClose()
  }

  private writeClose(reason: CloseReason.CloseReason): void {
    this.closeSent = reason
    this.encoder.encode(true, Frame.Close, CloseReason.encode(reason, this.byteOps))
    this.move("SendClose")
  }

  // What was begun will never end: nothing of it is held any longer.
  private release(): void {
    this.decoder.stop()
    this.receiver.discard()
    this.inflater?.release()
    this.control = undefined
  }

  private move(transition: ProtocolState.Transition): void {
    this.state = ProtocolState.next(this.state, transition) ?? this.state
    if (!this.sends) this.deflater?.release()
  }
}

const noEvents: ReadonlyArray<ProtocolEvent> = []

// Each side compresses with its own window and remembers as was agreed (RFC 7692 7.1).
const inflaterOf = (byteOps: ByteOps, { deflate, role }: Options): MessageInflater | undefined => {
  if (deflate === undefined) return undefined
  const { codec, parameters } = deflate
  return role === "server"
    ? new MessageInflater(byteOps, codec, parameters.clientMaxWindowBits, !parameters.clientNoContextTakeover)
    : new MessageInflater(byteOps, codec, parameters.serverMaxWindowBits, !parameters.serverNoContextTakeover)
}

const deflaterOf = ({ deflate, role }: Options): MessageDeflater | undefined => {
  if (deflate === undefined) return undefined
  const { codec, parameters, threshold } = deflate
  const isServer = role === "server"
  const windowBits = isServer ? parameters.serverMaxWindowBits : parameters.clientMaxWindowBits
  const forgets = isServer ? parameters.serverNoContextTakeover : parameters.clientNoContextTakeover
  // A window of 8 bits is too small for what compresses: messages go without, which is always allowed (RFC 7692 6).
  return windowBits === 8 ? undefined : new MessageDeflater(codec, windowBits, !forgets, threshold)
}

const validate = (options: Options): void => {
  if ((options.role === "client") !== (options.maskingKeys !== undefined)) {
    throw new RangeError("Protocol.make: a client needs maskingKeys, a server must not have them (RFC 6455 5.1)")
  }
  const { fragmentSize = 1, maxMessageSize = defaultMaxMessageSize } = options
  checkSize("maxMessageSize", maxMessageSize, 1)
  checkSize("maxStreamedSize", options.maxStreamedSize ?? maxMessageSize, maxMessageSize)
  checkSize("fragmentSize", fragmentSize, 1)
}

const checkSize = (option: string, size: number, least: number): void => {
  if (Number.isSafeInteger(size) && size >= least) return
  throw new RangeError(`Protocol.make: ${option} must be an integer of bytes from ${least} on, and is ${size}`)
}
