/** RFC 6455 4.1, 7.1: the table of states, held against what an endpoint does. */
import { assert, describe, it } from "vitest"
import type { ByteOps } from "../../../src/ByteOps.ts"
import type * as Protocol from "../../../src/Protocol.ts"
import * as ProtocolFault from "../../../src/ProtocolFault.ts"
import * as ProtocolState from "../../../src/ProtocolState.ts"
import { peerOf, type Role } from "../../../src/Role.ts"
import { endpoint, eventsOf, framesOf, peerOfRole, roles, sentBy } from "../Endpoints.ts"
import { hex } from "../Hex.ts"
import { Wire } from "../Wire.ts"

type Drive = (protocol: Protocol.Protocol, peer: Wire) => void

const reason = { code: 4000, reason: "" }

/** How to bring an endpoint that has just begun into each state; what it owes waits to be told, so that all of them last. */
const drives: { readonly [S in ProtocolState.ProtocolState]: Drive } = {
  Open: () => {},
  CloseSent: (protocol) => void protocol.close(reason),
  CloseReceived: (protocol, peer) => protocol.receive(peer.close(1000)),
  CloseExchanged: (protocol, peer) => {
    protocol.receive(peer.close(1000))
    protocol.answerClose()
  },
  Failing: (protocol) => protocol.fail(ProtocolFault.invalidUtf8()),
  Failed: (protocol) => {
    protocol.fail(ProtocolFault.invalidUtf8())
    protocol.answerClose()
  },
  Closed: (protocol) => protocol.receiveEnd()
}

/** The code of the Close frame that an endpoint owes where it owes one. */
const owed: { readonly [S in ProtocolState.ProtocolState]?: number } = { CloseReceived: 1000, Failing: 1007 }

const codesSentBy = (protocol: Protocol.Protocol): Array<number> =>
  framesOf(protocol).map(({ opcode, payload }) => {
    assert.strictEqual(opcode, 8)
    return (payload[0]! << 8) | payload[1]!
  })

const states = Object.keys(ProtocolState.table) as Array<ProtocolState.ProtocolState>

/** What each frame leaves behind where it is received at all. */
const frames: ReadonlyArray<readonly [title: string, write: (peer: Wire) => Uint8Array, event: string]> = [
  ["a text message", (peer) => peer.text("a"), "Text a"],
  ["a binary message", (peer) => peer.binary(hex("01")), "Binary 01"],
  ["a Pong", (peer) => peer.pong("b"), "Pong 62"]
]

const commands: ReadonlyArray<readonly [title: string, run: (protocol: Protocol.Protocol) => boolean, sent: string]> = [
  ["sendText", (protocol) => protocol.sendText("a"), "1 61"],
  ["sendBinary", (protocol) => protocol.sendBinary(hex("01")), "2 01"],
  ["ping", (protocol) => protocol.ping(hex("02")), "9 02"],
  ["pong", (protocol) => protocol.pong(hex("03")), "10 03"]
]

export const stateTable = (byteOps: ByteOps): void => {
  const inState = (role: Role, state: ProtocolState.ProtocolState): Protocol.Protocol => {
    const protocol = endpoint(role, byteOps, { deferClose: true })
    drives[state](protocol, new Wire(peerOf(role)))
    assert.strictEqual(protocol.state, state)
    protocol.takeOutput()
    protocol.takeEvents()
    return protocol
  }

  describe("7.1 the table of states", () => {
    for (const role of roles) {
      for (const state of states) {
        const rules = ProtocolState.table[state]
        const peer = peerOfRole(role)
        const after = (transition: ProtocolState.Transition): string => rules.transitions[transition] ?? state

        it(`${role} that is ${state} says whether it sends and receives`, () => {
          const protocol = inState(role, state)
          assert.deepStrictEqual([protocol.sends, protocol.receives], [rules.sends, rules.receives])
        })

        for (const [title, write, event] of frames) {
          it(`${role} that is ${state} ${rules.receives ? "delivers" : "ignores"} ${title}`, () => {
            const protocol = inState(role, state)
            protocol.receive(write(peer))
            assert.deepStrictEqual(eventsOf(protocol), rules.receives ? [event] : [])
            assert.deepStrictEqual(sentBy(protocol), [])
            assert.strictEqual(protocol.state, state)
          })
        }

        it(`${role} that is ${state} ${rules.answersPing ? "answers" : "doesn't answer"} a Ping`, () => {
          const protocol = inState(role, state)
          protocol.receive(peer.ping("x"))
          assert.deepStrictEqual(eventsOf(protocol), rules.receives ? ["Ping 78"] : [])
          assert.deepStrictEqual(sentBy(protocol), rules.answersPing ? ["10 78"] : [])
          assert.strictEqual(protocol.state, state)
        })

        it(`${role} that is ${state} ${rules.receives ? "takes" : "ignores"} a Close frame`, () => {
          const protocol = inState(role, state)
          const { closeReceived, closeSent } = protocol
          protocol.receive(peer.close(4001, "x"))
          assert.deepStrictEqual(eventsOf(protocol), rules.receives ? ["Close 4001 x"] : [])
          assert.deepStrictEqual(sentBy(protocol), [])
          assert.strictEqual(protocol.state, after("ReceiveClose"))
          assert.deepStrictEqual(protocol.closeReceived, rules.receives ? { code: 4001, reason: "x" } : closeReceived)
          assert.deepStrictEqual(protocol.closeSent, closeSent)
        })

        it(`${role} that is ${state} ${owed[state] === undefined ? "owes no Close frame" : "sends the Close frame it owes"}`, () => {
          const protocol = inState(role, state)
          assert.strictEqual(protocol.owesClose, owed[state] !== undefined)
          protocol.answerClose()
          assert.deepStrictEqual(codesSentBy(protocol), owed[state] === undefined ? [] : [owed[state]])
          assert.strictEqual(protocol.state, owed[state] === undefined ? state : after("SendClose"))
        })

        it(`${role} that is ${state} ${rules.receives ? "fails for" : "ignores"} a fault of the peer`, () => {
          const protocol = inState(role, state)
          protocol.receive(hex("83 00"))
          assert.deepStrictEqual(eventsOf(protocol), rules.receives ? ["Failed ReservedOpcode"] : [])
          assert.deepStrictEqual(sentBy(protocol), [])
          assert.strictEqual(protocol.state, after("Fail"))
        })

        it(`${role} that is ${state} ${rules.receives ? "can" : "can't"} be failed from outside`, () => {
          const protocol = inState(role, state)
          protocol.fail(ProtocolFault.messageTooBig(11, 10))
          assert.deepStrictEqual(eventsOf(protocol), rules.receives ? ["Failed MessageTooBig"] : [])
          assert.deepStrictEqual(sentBy(protocol), [])
          assert.strictEqual(protocol.state, after("Fail"))
        })

        it(`${role} that is ${state} is ${after("TransportEnd")} after the end of the transport`, () => {
          const protocol = inState(role, state)
          protocol.receiveEnd()
          assert.strictEqual(protocol.state, after("TransportEnd"))
          assert.deepStrictEqual([eventsOf(protocol), sentBy(protocol)], [[], []])
        })

        for (const [title, run, sent] of commands) {
          it(`${role} that is ${state} ${rules.sends ? "obeys" : "declines"} ${title}`, () => {
            const protocol = inState(role, state)
            assert.strictEqual(run(protocol), rules.sends)
            assert.deepStrictEqual(sentBy(protocol), rules.sends ? [sent] : [])
            assert.deepStrictEqual([eventsOf(protocol), protocol.state], [[], state])
          })
        }

        it(`${role} that is ${state} ${rules.sends ? "obeys" : "declines"} close`, () => {
          const protocol = inState(role, state)
          const { closeSent } = protocol
          const code = state === "Failing" ? 1007 : 4002
          assert.strictEqual(protocol.close({ code: 4002, reason: "" }), rules.sends)
          assert.deepStrictEqual(codesSentBy(protocol), rules.sends ? [code] : [])
          assert.strictEqual(protocol.state, rules.sends ? after("SendClose") : state)
          assert.strictEqual(protocol.closeSent?.code, rules.sends ? code : closeSent?.code)
        })
      }

      it(`${role} lets go of a message that was begun before the connection ended`, () => {
        for (const state of ["CloseExchanged", "Failed", "Closed"] as const) {
          const peer = peerOfRole(role)
          const protocol = endpoint(role, byteOps)
          protocol.receive(peer.text("begun", false))
          drives[state](protocol, peer)
          protocol.takeEvents()
          protocol.receive(peer.continuation("ended"))
          assert.deepStrictEqual(eventsOf(protocol), [])
        }
      })
    }
  })
}
