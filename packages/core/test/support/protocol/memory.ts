/** RFC 6455 10.4: what a peer can make an endpoint hold, and how much work it can cause. */
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { assert, describe, it } from "vitest"
import type { ByteOps } from "../../../src/ByteOps.ts"
import * as Frame from "../../../src/Frame.ts"
import type * as Message from "../../../src/Message.ts"
import type * as Protocol from "../../../src/Protocol.ts"
import * as ProtocolFault from "../../../src/ProtocolFault.ts"
import { CountingByteOps } from "../CountingByteOps.ts"
import { chunksOf, eachByte, endpoint, peerOfRole, roles } from "../Endpoints.ts"
import { concat, hex, sequence } from "../Hex.ts"

const messagesOf = (protocol: Protocol.Protocol): Array<Message.Message> =>
  protocol.takeEvents().filter((event): event is Message.Message => event._tag === "Text" || event._tag === "Binary")

/** Counts the bytes of all memory that pieces keep alive. */
const heldBy = (pieces: ReadonlyArray<Uint8Array>): number =>
  [...new Set(pieces.map((piece) => piece.buffer))].reduce((sum, buffer) => sum + buffer.byteLength, 0)

/** Gives an endpoint a chunk that nothing else holds. */
const receiveOnce = (protocol: Protocol.Protocol, bytes: Uint8Array): WeakRef<ArrayBufferLike> => {
  const chunk = new Uint8Array(bytes)
  protocol.receive(chunk)
  return new WeakRef(chunk.buffer)
}

const collectGarbage = (): void => {
  setFlagsFromString("--expose-gc")
  ;(runInNewContext("gc") as () => void)()
}

const readBufferSize = 64 * 1024

/** Cuts bytes into views of read buffers, as a socket that reuses none of them delivers: each view pins 64 KiB. */
function* readInto(bytes: Uint8Array, size: number): Iterable<Uint8Array> {
  for (const chunk of chunksOf(bytes, size)) {
    const view = Buffer.from(new ArrayBuffer(readBufferSize)).subarray(100, 100 + chunk.length)
    view.set(chunk)
    yield view
  }
}

export const memory = (byteOps: ByteOps): void => {
  describe("10.4 what a message holds", () => {
    for (const role of roles) {
      const peer = peerOfRole(role)

      it(`${role} lets no message keep more alive than 4 KiB, a common chunk that it is a sixteenth of, or four times its size`, () => {
        const sizes = [0, 1, 10, 125, 126, 1000, 4000, 4096, 5000, 16_000, 20_000, 40_000, 60_000]
        for (const size of [1, 100, 1460, 4096, 16_384, 65_000]) {
          // Each chunk costs 64 KiB: small ones only carry small messages.
          const frames = sizes
            .filter((length) => length <= 100 * size)
            .flatMap((length) => [
              peer.binary(sequence(length)),
              peer.text("x".repeat(length)),
              peer.ping("p"),
              peer.binary(sequence(length), false),
              peer.continuation(sequence(length))
            ])
          const protocol = endpoint(role, byteOps)
          for (const chunk of readInto(concat(frames), size)) protocol.receive(chunk)
          const messages = messagesOf(protocol)
          assert.isAtLeast(messages.length, 9)
          for (const message of messages) {
            const common = Math.min(16 * 1024 + 256, 16 * (message.byteLength + 10))
            const limit = Math.max(4096, common, 4 * message.byteLength)
            assert.isAtMost(heldBy(message.pieces), limit, `${message.byteLength} bytes in chunks of ${size}`)
            assert.isAtMost(message.bytes.buffer.byteLength, limit, "joined")
          }
        }
      })

      it(`${role} delivers plain Uint8Arrays, also from the Buffers of Node`, () => {
        const protocol = endpoint(role, byteOps)
        const frames = [peer.binary(sequence(40_000)), peer.binary(sequence(5)), peer.binary(sequence(5000), false)]
        const bytes = concat([...frames, peer.continuation(sequence(50)), peer.ping("x"), peer.pong("y")])
        protocol.receive(Buffer.from(new Uint8Array(bytes).buffer))
        for (const event of protocol.takeEvents()) {
          const payload = event._tag === "Ping" || event._tag === "Pong" ? event.payload : undefined
          const held = payload === undefined ? [...(event as Message.Message).pieces] : [payload]
          if (payload === undefined) held.push((event as Message.Message).bytes)
          for (const piece of held) assert.isFalse(Buffer.isBuffer(piece), event._tag)
        }
      })

      it(`${role} holds 4 MiB in fragments of 64 bytes in few pieces of little memory`, () => {
        const size = 4 * 1024 * 1024
        const fragment = peer.continuation(sequence(64), false)
        const many = concat(Array.from({ length: 1024 }, () => fragment))
        for (const chunkSize of [1000, many.length]) {
          const protocol = endpoint(role, byteOps)
          protocol.receive(peer.binary(new Uint8Array(0), false))
          for (let count = 0; count < size / 64; count += 1024) {
            for (const chunk of chunksOf(many, chunkSize)) protocol.receive(chunk)
          }
          protocol.receive(peer.continuation(""))
          const [message] = messagesOf(protocol)
          assert.strictEqual(message!.byteLength, size)
          assert.isAtMost(message!.pieces.length, 100)
          assert.isAtMost(heldBy(message!.pieces), 2 * size + 4096)
        }
      })

      it(`${role} wastes no memory on large and tiny fragments in turn`, () => {
        const protocol = endpoint(role, byteOps)
        const rounds = 500
        protocol.receive(peer.binary(new Uint8Array(0), false))
        for (let round = 0; round < rounds; round++) {
          protocol.receive(concat([peer.continuation(sequence(4096), false), peer.continuation(sequence(1), false)]))
        }
        protocol.receive(peer.continuation(""))
        const [message] = messagesOf(protocol)
        assert.strictEqual(message!.byteLength, rounds * 4097)
        assert.isAtMost(heldBy(message!.pieces), 2 * message!.byteLength)
        assert.deepStrictEqual(
          message!.bytes,
          concat(Array.from({ length: rounds }, () => concat([sequence(4096), sequence(1)])))
        )
      })

      it(`${role} holds nothing for fragments without a payload`, () => {
        const counting = new CountingByteOps(byteOps)
        const protocol = endpoint(role, counting)
        const before = counting.allocatedBytes
        protocol.receive(peer.text("", false))
        const many = concat(Array.from({ length: 1000 }, () => peer.continuation("", false)))
        for (let round = 0; round < 100; round++) protocol.receive(many.slice())
        assert.strictEqual(counting.allocatedBytes, before)
        assert.strictEqual(protocol.state, "Open")
      })

      const ends: ReadonlyArray<readonly [title: string, rest: Uint8Array, end?: (of: Protocol.Protocol) => void]> = [
        ["waits for more", concat([peer.continuation("ab"), peer.text("a", false)])],
        ["has received a Close frame", peer.close(1000)],
        ["has met a fault of the framing", hex("ff ff")],
        ["has met a fault of the text", concat([peer.continuation("ab"), peer.text(hex("ff"))])],
        ["was failed from outside", hex(""), (protocol) => protocol.fail(ProtocolFault.messageTooBig(2, 1))],
        ["has met the end of the transport", hex(""), (protocol) => protocol.receiveEnd()]
      ]
      for (const [title, rest, end] of ends) {
        it(`${role} that ${title} holds nothing of the last chunk`, async () => {
          const protocol = endpoint(role, byteOps)
          const chunk = receiveOnce(protocol, concat([peer.binary(sequence(40_000), false), rest]))
          end?.(protocol)
          protocol.takeEvents()
          protocol.takeOutput()
          // What a WeakRef was made for lives until the end of the turn.
          await new Promise((resolve) => setImmediate(resolve))
          collectGarbage()
          assert.isUndefined(chunk.deref())
          assert.strictEqual(protocol.role, role)
        })
      }

      it(`${role} reserves nothing for what is announced`, () => {
        const counting = new CountingByteOps(byteOps)
        const protocol = endpoint(role, counting)
        const before = counting.allocatedBytes
        protocol.receive(peer.header(Frame.Binary, 64, 16n * 1024n * 1024n))
        assert.strictEqual(counting.allocatedBytes, before)
        for (const byte of eachByte(sequence(1000))) protocol.receive(byte)
        assert.isAtMost(counting.allocatedBytes - before, 2 * 1000 + 128)
      })

      it(`${role} never changes a message when it receives more`, () => {
        const protocol = endpoint(role, byteOps)
        const chunk = concat([peer.text("first"), peer.binary(sequence(50), false)])
        protocol.receive(chunk)
        const [first] = messagesOf(protocol)
        protocol.receive(concat([peer.continuation(sequence(50)), peer.text("other")]))
        const [second] = messagesOf(protocol)
        protocol.receive(concat([peer.binary(new Uint8Array(100), false), peer.continuation(new Uint8Array(100))]))
        assert.strictEqual((first as Message.TextMessage).text, "first")
        assert.deepStrictEqual(second!.bytes, concat([sequence(50), sequence(50)]))
      })
    }
  })

  describe("10.4 what a message costs", () => {
    for (const role of roles) {
      const peer = peerOfRole(role)

      it(`${role} works in proportion to the bytes of a frame that comes byte by byte`, () => {
        const size = 200_000
        for (const opcode of [Frame.Text, Frame.Binary]) {
          const counting = new CountingByteOps(byteOps)
          const protocol = endpoint(role, counting)
          const before = counting.allocations
          for (const byte of eachByte(peer.frame({ opcode, payload: new Uint8Array(size).fill(0x61) }))) {
            protocol.receive(byte)
          }
          assert.strictEqual(messagesOf(protocol)[0]!.byteLength, size)
          assert.isAtMost(counting.allocations - before, 20)
          assert.isAtMost(counting.allocatedBytes, 2 * size + 128 + 16 * 1024)
          assert.isAtMost(counting.checkedBytes, opcode === Frame.Text ? size : 0)
          assert.strictEqual(counting.maskedBytes, role === "server" ? size : 0)
        }
      })

      it(`${role} checks and unmasks each byte once`, () => {
        const counting = new CountingByteOps(byteOps)
        const protocol = endpoint(role, counting)
        const parts = Array.from({ length: 100 }, () => peer.continuation("é".repeat(51), false))
        const bytes = concat([peer.text("a".repeat(100)), peer.text("", false), ...parts, peer.continuation("")])
        for (const chunk of chunksOf(bytes, 1001)) protocol.receive(chunk)
        const payload = 100 + 100 * 102
        assert.isAtMost(counting.checkedBytes, payload)
        assert.strictEqual(counting.maskedBytes, role === "server" ? payload : 0)
      })
    }
  })
}
