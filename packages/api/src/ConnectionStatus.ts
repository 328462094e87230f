/**
 * What can be said of a connection at any time.
 *
 * @since 0.1.0
 */

/**
 * A connection in numbers, at one moment.
 *
 * @since 0.1.0
 * @category models
 */
export interface ConnectionStatus {
  /** Whether it is open, its end has begun, or its transport has ended. */
  readonly state: "open" | "closing" | "closed"
  /** What waits to be received, in bytes of payload and 128 for each message. */
  readonly incoming: number
  /** What waits to be sent, in bytes with headers. What waits for room isn't counted. */
  readonly outgoing: number
  /** How many messages were dropped because there was no room for them (option `whenFull`). */
  readonly dropped: number
  /** Whether reading is paused, because more waits to be received than may. */
  readonly isPaused: boolean
}
