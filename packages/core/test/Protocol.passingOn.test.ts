/** Messages that are passed on as they came: a large one goes out with its header in front of it, in the memory it came in. */
import { assert, describe, it } from "vitest"
import { portable } from "../src/ByteOps.ts"
import type { Message } from "../src/Message.ts"
import { CountingByteOps } from "./support/CountingByteOps.ts"
import { endpoint, framesOf, lend, outputOf, peerOfRole, roles } from "./support/Endpoints.ts"
import { concat, sequence } from "./support/Hex.ts"
import { readFrames } from "./support/Wire.ts"

const messagesOf = (events: ReadonlyArray<{ readonly _tag: string }>): Array<Message> =>
  events.filter(({ _tag }) => _tag === "Text" || _tag === "Binary") as unknown as Array<Message>

describe.each(roles)("5.2 a message that a %s has received", (role) => {
  const peer = peerOfRole(role)

  for (const size of [4097, 65535, 65536]) {
    const payload = sequence(size)

    it(`server passes on ${size} bytes in one piece, without a copy, and as often as it likes`, () => {
      const from = endpoint(role, portable)
      const chunk = concat([peer.binary(sequence(7)), peer.binary(payload), peer.binary(sequence(9))])
      from.receive(chunk)
      const messages = messagesOf(from.takeEvents())
      const to = [endpoint("server", portable), endpoint("server", portable)]
      const outputs = to.map((server) => {
        server.sendMessage(messages[1]!)
        return server.takeOutput()
      })
      for (const output of outputs) {
        assert.strictEqual(output.length, 1)
        assert.strictEqual(output[0]!.buffer, chunk.buffer)
      }
      for (const message of messages) to[0]!.sendMessage(message)
      assert.deepStrictEqual(
        framesOf(to[0]!).map((frame) => frame.payload),
        [sequence(7), payload, sequence(9)]
      )
      const [first, second] = outputs
      assert.deepStrictEqual(first, second)
      assert.deepStrictEqual(
        messages.map(({ bytes }) => bytes),
        [sequence(7), payload, sequence(9)]
      )
    })

    it(`client sends a masked copy of ${size} bytes and leaves them as they are`, () => {
      const from = endpoint(role, portable)
      from.receive(peer.binary(payload))
      const [message] = messagesOf(from.takeEvents())
      const client = endpoint("client", portable)
      client.sendMessage(message!)
      assert.deepStrictEqual(framesOf(client)[0]!.payload, payload)
      assert.deepStrictEqual(message!.bytes, payload)
    })
  }

  it.each([
    [2048, 1],
    [100, 2]
  ])(
    "server passes on fragments of one chunk, the first of %i bytes, in %i pieces, and harms no other",
    (size, count) => {
      const from = endpoint(role, portable)
      const payload = sequence(9000)
      const parts = [payload.slice(0, size), payload.slice(size, 5000), payload.slice(5000)]
      const fragments = parts.map((part, at) =>
        at === 0 ? peer.binary(part, false) : peer.frame({ fin: at === 2, opcode: 0, payload: part })
      )
      from.receive(concat([peer.binary(sequence(7)), ...fragments, peer.binary(sequence(9))]))
      const messages = messagesOf(from.takeEvents())
      const server = endpoint("server", portable)
      server.sendMessage(messages[1]!)
      const output = server.takeOutput()
      assert.strictEqual(output.length, count)
      assert.deepStrictEqual(concat(output).slice(4), payload)
      assert.deepStrictEqual(
        messages.map(({ bytes }) => bytes),
        [sequence(7), payload, sequence(9)]
      )
    }
  )

  it("server passes on what was only lent, with other frames between, and harms no neighbour", () => {
    for (const gap of [1, 2, 3, 5]) {
      const from = endpoint(role, portable)
      const payloads = [sequence(10), sequence(70), sequence(200), sequence(33), sequence(1)]
      const chunk = concat(payloads.flatMap((payload) => [peer.binary(payload), peer.ping("p".repeat(gap))]))
      lend(from, chunk)
      const messages = messagesOf(from.takeEvents())
      const server = endpoint("server", portable)
      for (const message of [...messages, ...messages]) server.sendMessage(message)
      // Alone each of them goes out with its header in front of it.
      for (const message of messages) {
        const alone = endpoint("server", portable)
        alone.sendMessage(message)
        alone.takeOutput()
      }
      const expected = [...payloads, ...payloads]
      assert.deepStrictEqual(
        framesOf(server).map(({ payload }) => payload),
        expected
      )
      assert.deepStrictEqual(
        messages.map(({ bytes }) => bytes),
        payloads
      )
    }
  })

  it("server passes on messages in another order than they lie in no more pieces than copies make", () => {
    const from = endpoint(role, portable)
    const payloads = [sequence(2000), sequence(2001), sequence(2002)]
    lend(from, concat(payloads.map((payload) => peer.binary(payload))))
    const server = endpoint("server", new CountingByteOps(portable))
    for (const message of messagesOf(from.takeEvents()).reverse()) server.sendMessage(message)
    const output = server.takeOutput()
    assert.isAtMost(output.length, 2)
    assert.deepStrictEqual(
      readFrames(concat(output)).map(({ payload }) => payload),
      [...payloads].reverse()
    )
  })

  it("server passes on what came behind a header that was torn at any offset", () => {
    const payload = sequence(5000)
    const bytes = peer.binary(payload)
    for (let offset = 0; offset <= bytes.length - 5000; offset++) {
      const from = endpoint(role, portable)
      from.receive(bytes.slice(0, offset))
      from.receive(bytes.slice(offset))
      const server = endpoint("server", portable)
      const [message] = messagesOf(from.takeEvents())
      server.sendMessage(message!)
      const output = outputOf(server)
      assert.deepStrictEqual(output.slice(0, 4), Uint8Array.of(0x82, 126, 5000 >> 8, 5000 & 0xff), `at ${offset}`)
      assert.deepStrictEqual(output.slice(4), payload, `at ${offset}`)
      assert.deepStrictEqual(message!.bytes, payload, `at ${offset}`)
    }
  })
})
