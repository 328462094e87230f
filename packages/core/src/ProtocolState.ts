/**
 * The life of a connection after its opening handshake, as one table for both roles (RFC 6455 4.1, 5.5.1, 7.1).
 *
 * `Protocol` looks up every transition here. What a state allows on the way of a frame is written in the table too, and a
 * test holds the code against it.
 *
 * @since 0.1.0
 */

/**
 * Where a connection is.
 *
 * - `Open`: messages go both ways.
 * - `CloseSent`: this endpoint has sent a Close frame; the peer may still finish what it had to say.
 * - `CloseReceived`: the peer has sent a Close frame, which is to be answered; what was being said may be finished first.
 * - `CloseExchanged`: both have sent one; the transport is about to end.
 * - `Failing`: the peer has broken a rule, and is to be told with a Close frame; what was being said may be finished first.
 * - `Failed`: this endpoint has failed the connection (7.1.7), and ignores what comes.
 * - `Closed`: the transport has ended.
 *
 * @since 0.1.0
 * @category models
 */
export type ProtocolState = "Open" | "CloseSent" | "CloseReceived" | "CloseExchanged" | "Failing" | "Failed" | "Closed"

/**
 * What moves a connection from one state to another.
 *
 * @since 0.1.0
 * @category models
 */
export type Transition = "SendClose" | "ReceiveClose" | "Fail" | "TransportEnd"

/**
 * What a state allows, and where it leads.
 *
 * @since 0.1.0
 * @category models
 */
export interface Rules {
  /** Whether this endpoint may begin a message, a Ping or a Pong. */
  readonly sends: boolean
  /** Whether what comes from the peer is decoded. Where it is not, it is dropped unread. */
  readonly receives: boolean
  /** Whether a Ping is answered with a Pong. */
  readonly answersPing: boolean
  /** The legal transitions, each with the state that follows. */
  readonly transitions: { readonly [T in Transition]?: ProtocolState }
}

/**
 * All states with their rules: the single place that knows them.
 *
 * @since 0.1.0
 * @category tables
 */
export const table: { readonly [S in ProtocolState]: Rules } = {
  Open: {
    sends: true,
    receives: true,
    answersPing: true,
    transitions: { SendClose: "CloseSent", ReceiveClose: "CloseReceived", Fail: "Failing", TransportEnd: "Closed" }
  },
  CloseSent: {
    // 5.5.1: no data after a Close frame. Stricter than 5.5.2, which has Pings answered until the peer's Close frame
    // came: nothing but the end is awaited, and a peer can't keep this endpoint writing.
    sends: false,
    receives: true,
    answersPing: false,
    transitions: { ReceiveClose: "CloseExchanged", Fail: "Failed", TransportEnd: "Closed" }
  },
  CloseReceived: {
    // 5.5.1: an endpoint may delay its Close frame until its current message is sent.
    sends: true,
    receives: false,
    answersPing: false,
    transitions: { SendClose: "CloseExchanged", TransportEnd: "Closed" }
  },
  CloseExchanged: {
    sends: false,
    receives: false,
    answersPing: false,
    transitions: { TransportEnd: "Closed" }
  },
  Failing: {
    sends: true,
    receives: false,
    answersPing: false,
    transitions: { SendClose: "Failed", TransportEnd: "Closed" }
  },
  Failed: {
    // 7.1.7: an endpoint must not go on to process data from the peer.
    sends: false,
    receives: false,
    answersPing: false,
    transitions: { TransportEnd: "Closed" }
  },
  Closed: {
    sends: false,
    receives: false,
    answersPing: false,
    transitions: {}
  }
}

/**
 * Returns the state that follows, or `undefined` when the transition isn't legal.
 *
 * @since 0.1.0
 * @category transitions
 */
export const next = (state: ProtocolState, transition: Transition): ProtocolState | undefined =>
  table[state].transitions[transition]
