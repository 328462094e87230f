/** RFC 7692 7.1.1: what is taken over from message to message, and how long memory is held for it. */
import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import type { ByteOps } from "../../../src/ByteOps.ts"
import * as CloseReason from "../../../src/CloseReason.ts"
import * as Frame from "../../../src/Frame.ts"
import type * as Protocol from "../../../src/Protocol.ts"
import { peerOf, type Role } from "../../../src/Role.ts"
import { chunksOf, eventsOf, outputOf, peerOfRole, roles } from "../Endpoints.ts"
import { concat, hex, sequence, toHex, utf8 } from "../Hex.ts"
import { readFrames } from "../Wire.ts"
import { agreements, compressedFrame, compressing, deflated, takeover } from "./Compressed.ts"
import { ZlibCodec } from "./ZlibCodec.ts"

export const contexts = (byteOps: ByteOps): void => {
  describe("7.1.1 context takeover", () => {
    for (const serverNoContextTakeover of [false, true]) {
      for (const clientNoContextTakeover of [false, true]) {
        const parameters = { ...takeover, serverNoContextTakeover, clientNoContextTakeover }
        for (const role of roles) {
          const forgets = role === "server" ? serverNoContextTakeover : clientNoContextTakeover
          const title = `server ${serverNoContextTakeover ? "forgets" : "remembers"}, client ${clientNoContextTakeover ? "forgets" : "remembers"}`

          it(`${role} ${forgets ? "compresses each message alike" : "compresses the second message better"}: ${title}`, () => {
            const sender = compressing(role, byteOps, { parameters })
            const receiver = compressing(peerOf(role), byteOps, { parameters })
            const text = "takeover takes over what was said, and compresses the better"
            for (let count = 0; count < 4; count++) sender.sendText(text)
            const bytes = outputOf(sender)
            const sizes = readFrames(bytes).map(({ payload }) => payload.length)
            if (forgets) assert.strictEqual(new Set(sizes).size, 1)
            else for (const size of sizes.slice(1)) assert.isBelow(size * 4, sizes[0]!)
            for (const chunk of chunksOf(bytes, 7)) receiver.receive(chunk)
            assert.deepStrictEqual(
              eventsOf(receiver),
              Array.from({ length: 4 }, () => `Text ${text}`)
            )
          })
        }

        it(`client and server receive what the other one sent, however it is cut: both ways, ${parametersTold(parameters)}`, () => {
          fc.assert(
            fc.property(
              fc.array(fc.tuple(fc.constantFrom(...roles), anyMessage), { maxLength: 8 }),
              fc.integer({ min: 1, max: 400 }),
              (messages, size) => {
                const pair = {
                  client: compressing("client", byteOps, { parameters, threshold: 3 }),
                  server: compressing("server", byteOps, { parameters, threshold: 3 })
                }
                const received: Record<Role, Array<string>> = { client: [], server: [] }
                for (const [role, fragments] of messages) {
                  if (fragments.length === 1) pair[role].sendBinary(fragments[0]!)
                  else
                    for (const [index, part] of fragments.entries())
                      pair[role].sendFragment("Binary", part, index === fragments.length - 1)
                  for (const chunk of chunksOf(outputOf(pair[role]), size)) pair[peerOf(role)].receive(chunk)
                  received[role].push(...eventsOf(pair[peerOf(role)]))
                }
                for (const role of roles) {
                  const sent = messages.flatMap(([sender, parts]) =>
                    sender === role ? [`Binary ${toHex(concat(parts))}`.trim()] : []
                  )
                  assert.deepStrictEqual(received[role], sent)
                }
              }
            ),
            { numRuns: 60 }
          )
        })
      }
    }
  })

  describe("7.1.1 memory", () => {
    for (const role of roles) {
      const peer = peerOfRole(role)
      const text = (payload: string | Uint8Array, fin = true) =>
        compressedFrame(role, { fin, opcode: Frame.Text, payload: deflated(payload) })

      for (const [agreement, parameters] of agreements) {
        const begin = (options: Partial<Protocol.Options> = {}) => {
          const codec = new ZlibCodec()
          const protocol = compressing(role, byteOps, { ...options, codec, parameters } as never)
          return { codec, protocol }
        }
        const remembers = parameters === takeover ? 1 : 0

        it(`${role} ${agreement} holds ${remembers === 1 ? "one of each" : "nothing"} after messages both ways`, () => {
          const { codec, protocol } = begin()
          for (let count = 0; count < 3; count++) {
            protocol.sendText("out")
            protocol.receive(text("in"))
          }
          assert.deepStrictEqual([codec.deflaters, codec.inflaters], [remembers, remembers])
          protocol.sendFragment("Text", utf8("a"), false)
          assert.strictEqual(codec.deflaters, 1, "a message in progress is compressed with memory of its own")
          protocol.sendFragment("Text", utf8("b"), true)
          assert.strictEqual(codec.deflaters, remembers)
        })

        it(`${role} ${agreement} holds a decompressor for a large message until it ends`, () => {
          const { codec, protocol } = begin()
          const bytes = sequence(300_000)
          const chunks = chunksOf(
            compressedFrame(role, { opcode: Frame.Binary, payload: deflated(bytes, { level: 0 }) }),
            16_384
          )
          const alive = chunks.map((chunk) => {
            protocol.receive(chunk)
            return codec.inflaters
          })
          assert.deepStrictEqual(eventsOf(protocol), [`Binary ${toHex(bytes)}`])
          assert.strictEqual(alive[2], remembers, "what is small is gathered")
          assert.strictEqual(alive[8], 1)
          assert.strictEqual(alive.at(-1), remembers)
          protocol.receive(text("next"))
          assert.deepStrictEqual(eventsOf(protocol), ["Text next"])
        })

        const endings: ReadonlyArray<readonly [title: string, end: (protocol: Protocol.Protocol) => void]> = [
          ["the transport ends", (protocol) => protocol.receiveEnd()],
          ["the peer breaks a rule", (protocol) => protocol.receive(peer.frame({ opcode: 3 }))],
          ["the peer closes", (protocol) => protocol.receive(peer.close(1000))],
          [
            "both close",
            (protocol) => {
              protocol.close(CloseReason.normal)
              protocol.receive(peer.close(1000))
            }
          ],
          [
            "data is corrupt",
            (protocol) => protocol.receive(compressedFrame(role, { opcode: Frame.Binary, payload: hex("06") }))
          ],
          ["text is wrong", (protocol) => protocol.receive(text(hex("ff")))],
          ["a message is too big", (protocol) => protocol.receive(text("a".repeat(1001)))]
        ]
        for (const [title, end] of endings) {
          it(`${role} ${agreement} lets go of everything when ${title}`, () => {
            for (const isMidMessage of [false, true]) {
              const { codec, protocol } = begin({ maxMessageSize: 1000 })
              protocol.sendText("out")
              protocol.receive(text("in"))
              if (isMidMessage) {
                protocol.sendFragment("Text", utf8("out"), false)
                if (!["data is corrupt", "text is wrong", "a message is too big"].includes(title))
                  protocol.receive(text("in", false))
              }
              end(protocol)
              assert.deepStrictEqual([codec.deflaters, codec.inflaters], [0, 0])
              protocol.receive(text("more"))
              protocol.receiveEnd()
              assert.isFalse(protocol.sendText("more") || protocol.sendFragment("Text", utf8("more"), true))
              assert.deepStrictEqual([codec.deflaters, codec.inflaters], [0, 0])
            }
          })
        }

        it(`${role} ${agreement} lets go in the middle of a large message`, () => {
          const { codec, protocol } = begin()
          const frame = compressedFrame(role, {
            opcode: Frame.Binary,
            payload: deflated(sequence(300_000), { level: 0 })
          })
          protocol.receive(frame.slice(0, 200_000))
          assert.strictEqual(codec.inflaters, 1)
          protocol.receiveEnd()
          assert.strictEqual(codec.inflaters, 0)
        })

        it(`${role} ${agreement} lets go of its compressor with its own Close frame, and decompresses until the peer's`, () => {
          const { codec, protocol } = begin()
          protocol.sendText("out")
          protocol.close(CloseReason.normal)
          assert.strictEqual(codec.deflaters, 0)
          protocol.receive(text("in"))
          assert.deepStrictEqual(eventsOf(protocol), ["Text in"])
          protocol.receive(peer.close(1000))
          assert.strictEqual(codec.inflaters, 0)
        })

        it(`${role} ${agreement} compresses replies after the Close frame of the peer, and lets go with its own`, () => {
          const { codec, protocol } = begin({ deferClose: true })
          const reader = compressing(peerOf(role), byteOps, { parameters })
          const reply = "reply ".repeat(20)
          protocol.sendText(reply)
          protocol.receive(concat([text("in"), peer.close(1000)]))
          assert.deepStrictEqual([codec.deflaters, codec.inflaters], [remembers, 0])
          assert.isTrue(protocol.sendText(reply))
          protocol.sendFragment("Text", utf8("in parts"), false)
          assert.strictEqual(codec.deflaters, 1)
          protocol.answerClose()
          assert.strictEqual(codec.deflaters, 0)
          const bytes = outputOf(protocol)
          assert.deepStrictEqual(
            readFrames(bytes).map(({ opcode, rsv }) => [opcode, rsv]),
            [
              [Frame.Text, 4],
              [Frame.Text, 4],
              [Frame.Text, 4],
              [Frame.Close, 0]
            ]
          )
          reader.receive(bytes)
          assert.deepStrictEqual(eventsOf(reader), [`Text ${reply}`, `Text ${reply}`, "Close 1000"])
        })
      }

      it(`${role} with takeover takes the room for its decompressor at once, so that it is counted`, () => {
        const codec = new ZlibCodec()
        const protocol = compressing(role, byteOps, { codec, parameters: takeover })
        assert.deepStrictEqual(codec.asked, ["inflater 15 takeover"])
        protocol.receiveEnd()
        assert.strictEqual(codec.inflaters, 0)
      })
    }
  })
}

const anyMessage = fc.array(
  fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc.integer({ min: 0, max: 3000 }).map((length) => sequence(length)),
    fc.integer({ min: 0, max: 3000 }).map((length) => new Uint8Array(length))
  ),
  { minLength: 1, maxLength: 4 }
)

const parametersTold = ({ clientNoContextTakeover, serverNoContextTakeover }: typeof takeover): string =>
  `${serverNoContextTakeover ? "no " : ""}takeover of the server, ${clientNoContextTakeover ? "no " : ""}takeover of the client`
