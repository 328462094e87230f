/**
 * What a peer can do wrong after the opening handshake, one tag for each rule.
 *
 * A fault is a plain object: no input makes the codec throw. It carries the close code that answers it (RFC 6455 7.4.1)
 * and a message of at most 123 bytes, so that it fits into the Close frame as it stands.
 *
 * @since 0.1.0
 */
import * as CloseCode from "./CloseCode.ts"

/**
 * Says which rule of the protocol the peer broke.
 *
 * @since 0.1.0
 * @category models
 */
export type ProtocolFault =
  | ReservedOpcode
  | ReservedBits
  | UnmaskedFrame
  | MaskedFrame
  | NonMinimalLength
  | LengthOutOfRange
  | FragmentedControlFrame
  | ControlFrameTooLong
  | ExpectedContinuation
  | UnexpectedContinuation
  | InvalidUtf8
  | InvalidCompressedData
  | ClosePayloadTooShort
  | InvalidCloseCode
  | InvalidCloseReason

/**
 * Says that a message is larger than this endpoint takes. The peer broke no rule: the limit is ours.
 *
 * @since 0.1.0
 * @category models
 */
export interface MessageTooBig extends Described<"MessageTooBig", typeof CloseCode.MessageTooBig> {
  /** The largest size of a message, in bytes of payload. */
  readonly limit: number
  /** The size that was announced or received when the message was refused, in bytes of payload. */
  readonly size: number
}

/**
 * What all faults have in common.
 *
 * @since 0.1.0
 * @category models
 */
export interface Described<Tag extends string, Code extends number = typeof CloseCode.ProtocolError> {
  /** The discriminator: the name of the rule. */
  readonly _tag: Tag
  /** The code of the Close frame that answers. */
  readonly closeCode: Code
  /** The section of RFC 6455 that has the rule. */
  readonly section: string
  /** What happened, in at most 123 bytes, with the section. */
  readonly message: string
}

/**
 * 5.2: opcodes 3 to 7 and 11 to 15 are reserved.
 *
 * @since 0.1.0
 * @category models
 */
export interface ReservedOpcode extends Described<"ReservedOpcode"> {
  /** The opcode that came. */
  readonly opcode: number
}

/**
 * 5.2: RSV1 to RSV3 are 0 unless an extension gives them a meaning.
 *
 * @since 0.1.0
 * @category models
 */
export interface ReservedBits extends Described<"ReservedBits"> {
  /** The three bits as a number, RSV1 the highest. */
  readonly bits: number
}

/**
 * 5.1: a server refuses frames that are not masked.
 *
 * @since 0.1.0
 * @category models
 */
export interface UnmaskedFrame extends Described<"UnmaskedFrame"> {}

/**
 * 5.1: a client refuses frames that are masked.
 *
 * @since 0.1.0
 * @category models
 */
export interface MaskedFrame extends Described<"MaskedFrame"> {}

/**
 * 5.2: the length takes the fewest bytes that hold it.
 *
 * @since 0.1.0
 * @category models
 */
export interface NonMinimalLength extends Described<"NonMinimalLength"> {
  /** The length that was encoded in too many bytes. */
  readonly length: number
}

/**
 * 5.2: the highest bit of a 64-bit length is 0.
 *
 * @since 0.1.0
 * @category models
 */
export interface LengthOutOfRange extends Described<"LengthOutOfRange"> {}

/**
 * 5.5: control frames are not fragmented.
 *
 * @since 0.1.0
 * @category models
 */
export interface FragmentedControlFrame extends Described<"FragmentedControlFrame"> {
  /** The opcode of the control frame. */
  readonly opcode: number
}

/**
 * 5.5: control frames have a payload of at most 125 bytes.
 *
 * @since 0.1.0
 * @category models
 */
export interface ControlFrameTooLong extends Described<"ControlFrameTooLong"> {
  /** The opcode of the control frame. */
  readonly opcode: number
}

/**
 * 5.4: a message ends before the next one begins.
 *
 * @since 0.1.0
 * @category models
 */
export interface ExpectedContinuation extends Described<"ExpectedContinuation"> {
  /** The opcode that came in place of a continuation. */
  readonly opcode: number
}

/**
 * 5.4: a continuation belongs to a message that has begun.
 *
 * @since 0.1.0
 * @category models
 */
export interface UnexpectedContinuation extends Described<"UnexpectedContinuation"> {}

/**
 * 8.1: a text message is UTF-8.
 *
 * @since 0.1.0
 * @category models
 */
export interface InvalidUtf8 extends Described<"InvalidUtf8", typeof CloseCode.InvalidPayload> {}

/**
 * RFC 7692 7.2.2: what permessage-deflate has compressed is DEFLATE.
 *
 * @since 0.1.0
 * @category models
 */
export interface InvalidCompressedData extends Described<"InvalidCompressedData", typeof CloseCode.InvalidPayload> {}

/**
 * 5.5.1: the payload of a Close frame is empty or begins with a code of two bytes.
 *
 * @since 0.1.0
 * @category models
 */
export interface ClosePayloadTooShort extends Described<"ClosePayloadTooShort"> {}

/**
 * 7.4: some codes never stand in a Close frame.
 *
 * @since 0.1.0
 * @category models
 */
export interface InvalidCloseCode extends Described<"InvalidCloseCode"> {
  /** The code that came. */
  readonly code: number
}

/**
 * 5.5.1, 8.1: the text of a Close frame is UTF-8.
 *
 * @since 0.1.0
 * @category models
 */
export interface InvalidCloseReason extends Described<"InvalidCloseReason", typeof CloseCode.InvalidPayload> {}

/**
 * Makes a `ReservedOpcode`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const reservedOpcode = (opcode: number): ReservedOpcode => ({
  ...violation("ReservedOpcode", "5.2", `Opcode ${opcode} is reserved`),
  opcode
})

/**
 * Makes a `ReservedBits` from the three bits, RSV1 the highest.
 *
 * @since 0.1.0
 * @category constructors
 */
export const reservedBits = (bits: number): ReservedBits => ({
  ...violation(
    "ReservedBits",
    "5.2",
    `Reserved bits are set that no extension uses: ${bits.toString(2).padStart(3, "0")}`
  ),
  bits
})

/**
 * Makes an `UnmaskedFrame`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const unmaskedFrame = (): UnmaskedFrame =>
  violation("UnmaskedFrame", "5.1", "A frame of the client is not masked")

/**
 * Makes a `MaskedFrame`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const maskedFrame = (): MaskedFrame => violation("MaskedFrame", "5.1", "A frame of the server is masked")

/**
 * Makes a `NonMinimalLength`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const nonMinimalLength = (length: number): NonMinimalLength => ({
  ...violation("NonMinimalLength", "5.2", `Length ${length} is not encoded in the fewest bytes`),
  length
})

/**
 * Makes a `LengthOutOfRange`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const lengthOutOfRange = (): LengthOutOfRange =>
  violation("LengthOutOfRange", "5.2", "The highest bit of a 64-bit length is set")

/**
 * Makes a `FragmentedControlFrame`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fragmentedControlFrame = (opcode: number): FragmentedControlFrame => ({
  ...violation("FragmentedControlFrame", "5.5", `A control frame (opcode ${opcode}) is fragmented`),
  opcode
})

/**
 * Makes a `ControlFrameTooLong`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const controlFrameTooLong = (opcode: number): ControlFrameTooLong => ({
  ...violation("ControlFrameTooLong", "5.5", `A control frame (opcode ${opcode}) is longer than 125 bytes`),
  opcode
})

/**
 * Makes an `ExpectedContinuation`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const expectedContinuation = (opcode: number): ExpectedContinuation => ({
  ...violation("ExpectedContinuation", "5.4", `A message begins (opcode ${opcode}) inside another one`),
  opcode
})

/**
 * Makes an `UnexpectedContinuation`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const unexpectedContinuation = (): UnexpectedContinuation =>
  violation("UnexpectedContinuation", "5.4", "A continuation frame came without a message to continue")

/**
 * Makes an `InvalidUtf8`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const invalidUtf8 = (): InvalidUtf8 =>
  described("InvalidUtf8", CloseCode.InvalidPayload, "8.1", "A text message is not UTF-8")

/**
 * Makes an `InvalidCompressedData`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const invalidCompressedData = (): InvalidCompressedData => ({
  _tag: "InvalidCompressedData",
  closeCode: CloseCode.InvalidPayload,
  section: "7.2.2",
  message: "A compressed message can't be decompressed (RFC 7692 7.2.2)"
})

/**
 * Makes a `ClosePayloadTooShort`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const closePayloadTooShort = (): ClosePayloadTooShort =>
  violation("ClosePayloadTooShort", "5.5.1", "The payload of a Close frame is a single byte")

/**
 * Makes an `InvalidCloseCode`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const invalidCloseCode = (code: number): InvalidCloseCode => ({
  ...violation("InvalidCloseCode", "7.4", `Close code ${code} must not be sent`),
  code
})

/**
 * Makes an `InvalidCloseReason`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const invalidCloseReason = (): InvalidCloseReason =>
  described("InvalidCloseReason", CloseCode.InvalidPayload, "8.1", "The reason in a Close frame is not UTF-8")

/**
 * Makes a `MessageTooBig`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const messageTooBig = (size: number, limit: number): MessageTooBig => ({
  ...described(
    "MessageTooBig",
    CloseCode.MessageTooBig,
    "7.4.1",
    `A message of ${size} bytes is over the limit of ${limit}`
  ),
  size,
  limit
})

const described = <Tag extends string, Code extends number>(
  tag: Tag,
  closeCode: Code,
  section: string,
  what: string
): Described<Tag, Code> => ({ _tag: tag, closeCode, section, message: `${what} (RFC 6455 ${section})` })

const violation = <Tag extends string>(tag: Tag, section: string, what: string): Described<Tag> =>
  described(tag, CloseCode.ProtocolError, section, what)
