/** Many connections of `ws` at once, whose bytes our server reads into the same memory. */
import type { Message } from "@effect-ws/core/Message"
import * as WebSocket from "@effect-ws/api/WebSocket"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fc from "fast-check"
import type { WebSocket as Ws } from "ws"
import { openWs } from "../support/peers.ts"
import { listeners, serve } from "../support/serving.ts"

const clients = 6
const perClient = 150

interface Sent {
  readonly bytes: Buffer
  readonly binary: boolean
  /** Where it is cut into fragments. */
  readonly cut: number | undefined
}

const sizes = fc.oneof(fc.nat(130), fc.nat(3000), fc.integer({ min: 1000, max: 1100 }), fc.nat(70_000))
const parts = fc.constantFrom("ascii ", "é", "€", "😀", "0123456789 ".repeat(10))

const messages: fc.Arbitrary<Sent> = fc
  .tuple(sizes, parts, fc.boolean(), fc.option(fc.nat(), { nil: undefined }), fc.nat(255))
  .map(([size, part, binary, cut, value]) => {
    const text = part.repeat(Math.ceil(size / part.length))
    const bytes = binary ? Buffer.alloc(size, value) : Buffer.from(text)
    return { bytes, binary, cut: cut === undefined ? undefined : cut % (bytes.length + 1) }
  })

const sendTo = (socket: Ws, { binary, bytes, cut }: Sent): void => {
  if (cut === undefined) return socket.send(bytes, { binary })
  socket.send(bytes.subarray(0, cut), { binary, fin: false })
  socket.ping("between")
  socket.send(bytes.subarray(cut), { binary, fin: true })
}

/** Sends all that is to be sent, and compares each echo. */
const exchange = (socket: Ws, sent: ReadonlyArray<Sent>) =>
  Effect.async<void>((resume) => {
    let received = 0
    socket.on("message", (data: Buffer, isBinary: boolean) => {
      const { binary, bytes } = sent[received++]!
      if (isBinary !== binary || Buffer.compare(data, bytes) !== 0) resume(Effect.die(`message ${received} differs`))
      else if (received === sent.length) resume(Effect.void)
    })
    for (const one of sent) sendTo(socket, one)
  })

/** Answers in one of the ways there are, and keeps some with what was in them. */
const answering = (kept: Array<readonly [Message, Buffer]>) => {
  let count = 0
  return (socket: WebSocket.WebSocket) =>
    WebSocket.run(socket, (message) => {
      count++
      if (count % 7 === 0) kept.push([message, Buffer.from(message.bytes)])
      if (count % 5 === 0) return Effect.zipRight(Effect.yieldNow(), socket.send(message))
      if (count % 3 === 0) return socket.send(message._tag === "Text" ? message.text : message.bytes)
      return socket.send(message)
    })
}

for (const [listener, layer] of Object.entries(listeners)) {
  describe(`server ${listener}, many of ws as the clients`, () => {
    it.scopedLive("server gives each its own bytes back, however they come, and alters none that were kept", () =>
      Effect.gen(function* () {
        const kept: Array<readonly [Message, Buffer]> = []
        const answer = answering(kept)
        const server = yield* serve(layer(), (exchange) => Effect.flatMap(WebSocket.accept(exchange), answer))
        const exchanges = fc.sample(fc.array(messages, { minLength: perClient, maxLength: perClient }), {
          numRuns: clients,
          seed: 6455
        })
        const peers = yield* Effect.forEach(exchanges, () => openWs(server.url))
        yield* Effect.forEach(exchanges, (sent, i) => exchange(peers[i]!.socket, sent), { concurrency: "unbounded" })
        assert.isAtLeast(kept.length, (clients * perClient) / 7 - 1)
        for (const [message, bytes] of kept) assert.strictEqual(Buffer.compare(message.bytes, bytes), 0)
      })
    )
  })
}
