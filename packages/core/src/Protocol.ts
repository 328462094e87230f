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
import * as Frame from "./Frame.ts"
import * as FrameDecoder from "./FrameDecoder.ts"
import { FrameEncoder, type MaskingKeys } from "./FrameEncoder.ts"
import { MessageAssembler } from "./internal/MessageAssembler.ts"
import type { Message } from "./Message.ts"
import * as ProtocolFault from "./ProtocolFault.ts"
import * as ProtocolState from "./ProtocolState.ts"
import type { Role } from "./Role.ts"
import * as Utf8 from "./Utf8.ts"

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
   * Whether the Close frame that answers the peer, or tells it of a fault, waits for `answerClose`, so that the replies to
   * messages in front of it can go first (5.5.1). By default it is in the output at once.
   */
  readonly deferClose?: boolean | undefined
}

/**
 * What the peer did: a message came, a control frame, or a fault that has failed the connection.
 *
 * @since 0.1.0
 * @category models
 */
export type Event = Message | PingReceived | PongReceived | CloseReceived | Failed

/**
 * A Ping came. The Pong that answers it is in the output already.
 *
 * @since 0.1.0
 * @category models
 */
export interface PingReceived {
  /** The discriminator. */
  readonly _tag: "Ping"
  /** The application data, at most 125 bytes. */
  readonly payload: Uint8Array
}

/**
 * A Pong came, asked for or not.
 *
 * @since 0.1.0
 * @category models
 */
export interface PongReceived {
  /** The discriminator. */
  readonly _tag: "Pong"
  /** The application data, at most 125 bytes. */
  readonly payload: Uint8Array
}

/**
 * A Close frame came. If it was the first one, the Close frame that answers it is in the output already, or owed when
 * `deferClose` says so.
 *
 * @since 0.1.0
 * @category models
 */
export interface CloseReceived {
  /** The discriminator. */
  readonly _tag: "Close"
  /** What the peer said. */
  readonly reason: CloseReason.CloseReason
}

/**
 * The connection has failed (7.1.7). A Close frame that says so is in the output, or owed when `deferClose` says so,
 * unless one was sent before.
 *
 * @since 0.1.0
 * @category models
 */
export interface Failed {
  /** The discriminator. */
  readonly _tag: "Failed"
  /** What the peer did wrong. */
  readonly fault: ProtocolFault.ProtocolFault | ProtocolFault.MessageTooBig
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
  private readonly maxMessageSize: number
  private readonly deferClose: boolean
  private readonly decoder: FrameDecoder.FrameDecoder
  private readonly encoder: FrameEncoder
  private readonly assembler: MessageAssembler
  private readonly utf8: Utf8.Utf8Validator
  private events: Array<Event> = []
  private control: Array<number> | undefined = undefined
  private pongsHeld = false
  private heldPong: Uint8Array | undefined = undefined
  private answer: CloseReason.CloseReason = CloseReason.none

  /** Makes the protocol of an open connection; see `make`. */
  constructor(options: Options) {
    validate(options)
    this.role = options.role
    this.byteOps = options.byteOps ?? portable
    this.maxMessageSize = options.maxMessageSize ?? defaultMaxMessageSize
    this.deferClose = options.deferClose ?? false
    this.decoder = new FrameDecoder.FrameDecoder(this.role, this.byteOps)
    this.encoder = new FrameEncoder(this.byteOps, options.maskingKeys)
    this.assembler = new MessageAssembler(this.byteOps)
    this.utf8 = Utf8.makeValidator(this.byteOps)
  }

  /**
   * Takes bytes from the peer, cut anywhere. The chunk is unmasked in place, and messages may keep views of it, so it must
   * not be used for anything else afterwards.
   */
  receive(chunk: Uint8Array): void {
    if (!this.receives) return
    const decoder = this.decoder
    decoder.push(chunk)
    while (this.receives) {
      const step = decoder.next()
      if (step === FrameDecoder.NeedMore) return
      if (step === FrameDecoder.Fault) this.fail(decoder.fault!)
      else if (decoder.opcode < Frame.Close) this.receiveData(chunk)
      else this.receiveControl(chunk)
    }
    this.release()
  }

  /** Takes note that the transport has ended: the state is `Closed` from here on. */
  receiveEnd(): void {
    this.move("TransportEnd")
    this.release()
  }

  /** Hands out the events since the last call, in order. */
  takeEvents(): ReadonlyArray<Event> {
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

  /** Sends a text. Lone surrogates become U+FFFD. Returns whether the state allowed it. */
  sendText(text: string): boolean {
    if (!this.sends) return false
    this.encoder.encodeText(text)
    return true
  }

  /** Sends bytes as a binary message. They are copied. Returns whether the state allowed it. */
  sendBinary(bytes: Uint8Array): boolean {
    if (!this.sends) return false
    this.encoder.encode(true, Frame.Binary, bytes)
    return true
  }

  /** Sends a message, without a copy where it is large and needs no mask. Returns whether the state allowed it. */
  sendMessage(message: Message): boolean {
    if (!this.sends) return false
    const opcode = message._tag === "Text" ? Frame.Text : Frame.Binary
    this.encoder.encodeImmutable(true, opcode, message.pieces, message.byteLength)
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
    const decoder = this.decoder
    const assembler = this.assembler
    if (decoder.begins) {
      const before = decoder.opcode === Frame.Continuation ? assembler.size : 0
      // 7.4.1, 10.4: a size that is announced over the limit is refused before anything of it is kept.
      const size = before + decoder.payloadLength
      if (size > this.maxMessageSize) return this.fail(ProtocolFault.messageTooBig(size, this.maxMessageSize))
      if (decoder.opcode !== Frame.Continuation) {
        const opcode = decoder.opcode as typeof Frame.Text | typeof Frame.Binary
        if (decoder.ends && decoder.fin) return this.receiveWhole(opcode, chunk)
        assembler.begin(opcode)
        this.utf8.reset()
      }
    }
    this.receivePiece(chunk)
  }

  // The common case: a message of one frame that lies in one chunk.
  private receiveWhole(opcode: typeof Frame.Text | typeof Frame.Binary, chunk: Uint8Array): void {
    const { start, end } = this.decoder
    if (opcode === Frame.Text && !this.byteOps.isUtf8(chunk, start, end)) return this.fail(ProtocolFault.invalidUtf8())
    this.events.push(this.assembler.whole(opcode, chunk, start, end))
  }

  private receivePiece(chunk: Uint8Array): void {
    const { end, ends, fin, start } = this.decoder
    const isText = this.assembler.opcode === Frame.Text
    // 8.1: text is refused at the first byte that can't be part of it, in the middle of a frame too.
    if (isText && !this.utf8.push(chunk, start, end)) return this.fail(ProtocolFault.invalidUtf8())
    if (start < end) this.assembler.append(chunk, start, end)
    if (!ends || !fin) return
    if (isText && !this.utf8.isComplete()) return this.fail(ProtocolFault.invalidUtf8())
    this.events.push(this.assembler.finish())
  }

  private receiveControl(chunk: Uint8Array): void {
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
    this.assembler.discard()
    this.control = undefined
  }

  private move(transition: ProtocolState.Transition): void {
    this.state = ProtocolState.next(this.state, transition) ?? this.state
  }
}

const noEvents: ReadonlyArray<Event> = []

const validate = (options: Options): void => {
  if ((options.role === "client") !== (options.maskingKeys !== undefined)) {
    throw new RangeError("Protocol.make: a client needs maskingKeys, a server must not have them (RFC 6455 5.1)")
  }
  const limit = options.maxMessageSize ?? defaultMaxMessageSize
  if (!Number.isSafeInteger(limit) || limit < 1) {
    throw new RangeError(`Protocol.make: maxMessageSize must be a positive integer of bytes, and is ${limit}`)
  }
}
