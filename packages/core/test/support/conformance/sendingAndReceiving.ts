/** RFC 6455 6: sending and receiving data. */
import { assert, describe, it } from "vitest"
import { portable } from "../../../src/ByteOps.ts"
import type * as Protocol from "../../../src/Protocol.ts"
import { endpoint, outputOf, roles } from "../Endpoints.ts"
import { hex, toHex, utf8 } from "../Hex.ts"
import { rule } from "./Case.ts"

/** What is sent, and the bytes on the wire; those of a client are masked with the key of the samples. */
const sent: ReadonlyArray<
  readonly [what: string, send: (protocol: Protocol.Protocol) => void, server: string, client: string]
> = [
  ["an empty text", (to) => to.sendText(""), "81 00", "81 80 37 fa 21 3d"],
  ["a text", (to) => to.sendText("hé"), "81 03 68 c3 a9", "81 83 37 fa 21 3d 5f 39 88"],
  ["an empty binary message", (to) => to.sendBinary(hex("")), "82 00", "82 80 37 fa 21 3d"],
  ["a binary message", (to) => to.sendBinary(hex("00 ff")), "82 02 00 ff", "82 82 37 fa 21 3d 37 05"],
  ["a Ping", (to) => to.ping(hex("01")), "89 01 01", "89 81 37 fa 21 3d 36"],
  ["a Pong", (to) => to.pong(hex("")), "8a 00", "8a 80 37 fa 21 3d"],
  ["a Close frame", (to) => to.close({ code: 1000, reason: "a" }), "88 03 03 e8 61", "88 83 37 fa 21 3d 34 12 40"],
  ["a Close frame without a code", (to) => to.close({ code: 1005, reason: "" }), "88 00", "88 80 37 fa 21 3d"],
  [
    "a message in two fragments",
    (to) => {
      to.sendFragment("Text", utf8("h"), false)
      to.sendFragment("Text", utf8("i"), true)
    },
    "01 01 68 80 01 69",
    "01 81 37 fa 21 3d 5f 80 81 37 fa 21 3d 5e"
  ],
  [
    "126 bytes",
    (to) => to.sendBinary(new Uint8Array(126)),
    `82 7e 00 7e ${"00 ".repeat(126)}`.trim(),
    `82 fe 00 7e 37 fa 21 3d ${"37 fa 21 3d ".repeat(31)}37 fa`
  ]
]

export const sendingAndReceiving = (): void => {
  describe("RFC 6455 6.1: the endpoint MUST encapsulate the data in a WebSocket frame; a client MUST mask it", () => {
    for (const role of roles) {
      for (const [what, send, server, client] of sent) {
        it(`${role} sends ${what}`, () => {
          const keys = role === "client" ? { maskingKeys: () => 0x37fa213d } : {}
          const protocol = endpoint(role, portable, keys)
          send(protocol)
          assert.strictEqual(toHex(outputOf(protocol)), role === "client" ? client : server)
        })
      }

      it(`${role} sends no data once it has sent a Close frame`, () => {
        const protocol = endpoint(role, portable)
        protocol.close({ code: 1000, reason: "" })
        protocol.takeOutput()
        for (const [, send] of sent) send(protocol)
        assert.strictEqual(protocol.pendingOutput, 0)
      })
    }
  })

  rule(
    "6.2",
    "when the last fragment has been received, a WebSocket message has been received with its type and data",
    [
      {
        does: "delivers a message when its last byte has come, not before",
        receives: "81 02 | 68 69 \n 02 01 | 01 \n 80 02 | 02",
        events: ["Text hi"]
      },
      {
        does: "parses incoming bytes as frames, whichever message or control frame they hold",
        receives: "81 01 | 61 \n 8a 00 \n 02 00 \n 80 01 | 62 \n 89 00 \n 82 00 \n 81 00",
        events: ["Text a", "Pong", "Binary 62", "Ping", "Binary", "Text "],
        sends: ["10"]
      }
    ]
  )
}
