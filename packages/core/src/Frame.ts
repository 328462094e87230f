/**
 * The frame, the unit on the wire (RFC 6455 5.2).
 *
 * @see https://www.rfc-editor.org/rfc/rfc6455#section-5.2
 * @since 0.1.0
 */

/**
 * Opcode 0: continues the message that an earlier frame began.
 *
 * @since 0.1.0
 * @category opcodes
 */
export const Continuation = 0x0

/**
 * Opcode 1: begins a message of text.
 *
 * @since 0.1.0
 * @category opcodes
 */
export const Text = 0x1

/**
 * Opcode 2: begins a message of bytes.
 *
 * @since 0.1.0
 * @category opcodes
 */
export const Binary = 0x2

/**
 * Opcode 8: ends the connection, or answers that.
 *
 * @since 0.1.0
 * @category opcodes
 */
export const Close = 0x8

/**
 * Opcode 9: asks for a Pong.
 *
 * @since 0.1.0
 * @category opcodes
 */
export const Ping = 0x9

/**
 * Opcode 10: answers a Ping, or comes unasked.
 *
 * @since 0.1.0
 * @category opcodes
 */
export const Pong = 0xa

/**
 * One of the six opcodes that have a meaning.
 *
 * @since 0.1.0
 * @category opcodes
 */
export type Opcode = typeof Continuation | typeof Text | typeof Binary | typeof Close | typeof Ping | typeof Pong

/**
 * RSV1 in the place it has beside an opcode: the message that begins here is compressed (RFC 7692 7.2).
 *
 * @since 0.1.0
 * @category constants
 */
export const Compressed = 0x40

/**
 * The largest payload of a control frame, in bytes (5.5).
 *
 * @since 0.1.0
 * @category constants
 */
export const maxControlPayload = 125

/**
 * The largest header: two bytes, a length of eight, a masking key of four.
 *
 * @since 0.1.0
 * @category constants
 */
export const maxHeaderSize = 14

/**
 * Returns whether the opcode is one of a control frame, known or reserved (5.5).
 *
 * @since 0.1.0
 * @category predicates
 */
export const isControl = (opcode: number): boolean => (opcode & 0x8) !== 0

/**
 * Returns whether the opcode is reserved (5.2).
 *
 * @since 0.1.0
 * @category predicates
 */
export const isReserved = (opcode: number): boolean => (opcode & 0x7) > 2

/**
 * Counts the bytes of a header for a payload of `length` bytes, with or without a masking key.
 *
 * @since 0.1.0
 * @category conversions
 */
export const headerSize = (length: number, masked: boolean): number =>
  (length <= 125 ? 2 : length <= 0xffff ? 4 : 10) + (masked ? 4 : 0)
