import { assert, describe, it } from "vitest"
import * as ProtocolState from "../src/ProtocolState.ts"

const states = Object.keys(ProtocolState.table) as Array<ProtocolState.ProtocolState>
const transitions: ReadonlyArray<ProtocolState.Transition> = ["SendClose", "ReceiveClose", "Fail", "TransportEnd"]

// Written out once more, so that a change of the table is meant.
const expected: {
  readonly [S in ProtocolState.ProtocolState]: ReadonlyArray<ProtocolState.ProtocolState | undefined>
} = {
  Open: ["CloseSent", "CloseReceived", "Failing", "Closed"],
  CloseSent: [undefined, "CloseExchanged", "Failed", "Closed"],
  CloseReceived: ["CloseExchanged", undefined, undefined, "Closed"],
  CloseExchanged: [undefined, undefined, undefined, "Closed"],
  Failing: ["Failed", undefined, undefined, "Closed"],
  Failed: [undefined, undefined, undefined, "Closed"],
  Closed: [undefined, undefined, undefined, undefined]
}

describe("7.1 the life of a connection", () => {
  for (const state of states) {
    it(`client and server leave ${state} as the RFC has it`, () => {
      assert.deepStrictEqual(
        transitions.map((transition) => ProtocolState.next(state, transition)),
        expected[state]
      )
    })
  }

  it("client and server send in three states, and receive in two", () => {
    const where = (rule: "sends" | "receives" | "answersPing") =>
      states.filter((state) => ProtocolState.table[state][rule])
    assert.deepStrictEqual(where("sends"), ["Open", "CloseReceived", "Failing"])
    assert.deepStrictEqual(where("receives"), ["Open", "CloseSent"])
    assert.deepStrictEqual(where("answersPing"), ["Open"])
  })

  it("client and server come from Open to every other state, and from every state to Closed", () => {
    const reached = new Set<ProtocolState.ProtocolState>(["Open"])
    for (const state of reached) {
      for (const transition of transitions) {
        const next = ProtocolState.next(state, transition)
        if (next !== undefined) reached.add(next)
      }
    }
    assert.sameMembers([...reached], states)
    for (const state of states.filter((state) => state !== "Closed")) {
      assert.strictEqual(ProtocolState.next(state, "TransportEnd"), "Closed")
    }
  })
})
