/** permessage-deflate with peers that are not ours: every combination of its parameters, and what is on the wire. */
import type * as PermessageDeflate from "@effect-ws/api/PermessageDeflate"
import type * as WebSocket from "@effect-ws/api/WebSocket"
import * as NodeDeflate from "@effect-ws/platform-node/NodeDeflate"
import * as NodeWebSocketServer from "@effect-ws/platform-node/NodeWebSocketServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Net from "node:net"
import { decode, type Frame } from "../../../api/test/support/frames.ts"
import { describeChromium } from "../support/chromium.ts"
import { withoutLeaks } from "../support/leaks.ts"
import { connectUndici, connectWs, opened, openWs, type Peer, type PeerEvent, serveWs, text } from "../support/peers.ts"
import { describeWith } from "../support/programs.ts"
import { connectPython, python, servePython } from "../support/python.ts"
import { connect, listeners, serveSockets } from "../support/serving.ts"

const json = JSON.stringify(
  Array.from({ length: 12 }, (_, id) => ({ id, name: `item ${id}`, price: id * 1.5, tags: ["a", "b"] }))
)

const messages: ReadonlyArray<string | Uint8Array> = [
  "Hello",
  "Hello",
  "",
  json,
  json.repeat(400),
  "é€😀\u0000漢字".repeat(100),
  Uint8Array.from({ length: 5000 }, (_, i) => (i * i) >> 4),
  new Uint8Array(0),
  "Hello"
]

interface Parameters {
  readonly serverContextTakeover: boolean
  readonly clientContextTakeover: boolean
  readonly serverMaxWindowBits: number
  readonly clientMaxWindowBits: number
}

const permissive: PermessageDeflate.Options = { threshold: 0, serverContextTakeover: true, clientContextTakeover: true }

const bits = [9, 12, 15]

/** All windows for a choice of what is taken over. */
const combinations = (serverContextTakeover: boolean, clientContextTakeover: boolean): ReadonlyArray<Parameters> =>
  bits.flatMap((serverMaxWindowBits) =>
    bits.map((clientMaxWindowBits) => ({
      serverContextTakeover,
      clientContextTakeover,
      serverMaxWindowBits,
      clientMaxWindowBits
    }))
  )

const takeovers = [
  [true, true],
  [true, false],
  [false, true],
  [false, false]
] as const

const describeTakeover = (server: boolean, client: boolean): string =>
  `with ${server && client ? "both" : server ? "the server" : client ? "the client" : "nobody"} remembering`

/** The same, as `ws` says it. */
const asWs = (parameters: Parameters) => ({
  threshold: 0,
  serverNoContextTakeover: !parameters.serverContextTakeover,
  clientNoContextTakeover: !parameters.clientContextTakeover,
  serverMaxWindowBits: parameters.serverMaxWindowBits,
  clientMaxWindowBits: parameters.clientMaxWindowBits
})

/** What both sides have agreed on, as the answer of the server says it; a window that it doesn't speak of is the largest. */
const agreed = (socket: WebSocket.WebSocket): Parameters => {
  const [extension, ...others] = socket.response.extensions
  assert.strictEqual(extension?.name, "permessage-deflate")
  assert.lengthOf(others, 0)
  const values = new Map(extension!.parameters.map(({ name, value }) => [name, value]))
  return {
    serverContextTakeover: !values.has("server_no_context_takeover"),
    clientContextTakeover: !values.has("client_no_context_takeover"),
    serverMaxWindowBits: Number(values.get("server_max_window_bits") ?? 15),
    clientMaxWindowBits: Number(values.get("client_max_window_bits") ?? 15)
  }
}

/** All that comes out of a socket from here on, as frames. */
const watch = (socket: Net.Socket): (() => ReadonlyArray<Frame>) => {
  const chunks: Array<Buffer> = []
  socket.on("data", (chunk: Buffer) => chunks.push(Buffer.from(chunk)))
  return () => decode(Buffer.concat(chunks)).frames
}

const eventOf = (data: string | Uint8Array): PeerEvent =>
  typeof data === "string" ? text(data) : { _tag: "Binary", bytes: data }

/** Sends every message both ways, and asserts that it arrives as it is. */
const exchange = (socket: WebSocket.WebSocket, peer: Peer) =>
  Effect.gen(function* () {
    for (const data of messages) {
      yield* socket.send(data)
      assertSame(yield* peer.next, eventOf(data))
      peer.send(data)
      const message = yield* socket.receive
      assertSame(message._tag === "Text" ? text(message.text) : { _tag: "Binary", bytes: message.bytes }, eventOf(data))
    }
  })

// Of a long message a difference is told in short.
const assertSame = (actual: PeerEvent, expected: PeerEvent): void => {
  assert.strictEqual(actual._tag, expected._tag)
  if (actual._tag === "Text" && expected._tag === "Text") {
    assert.isTrue(actual.text === expected.text, `${actual.text.slice(0, 50)} of ${actual.text.length}`)
  }
  if (actual._tag === "Binary" && expected._tag === "Binary") {
    assert.isTrue(Buffer.from(actual.bytes).equals(expected.bytes), `${actual.bytes.length} other bytes`)
  }
}

/** RSV1 is on the first frame of each message that was compressed: all, or those that get shorter where nothing is taken over. */
const assertCompressed = (frames: ReadonlyArray<Frame>, takeover: boolean): void => {
  const first = frames.filter(({ opcode }) => opcode === 1 || opcode === 2)
  assert.deepStrictEqual(
    first.map(({ rsv }) => rsv),
    messages.map(({ length }) => (takeover || length > 100 ? 4 : 0))
  )
  for (const { opcode, rsv } of frames) if (opcode === 0 || opcode > 2) assert.strictEqual(rsv, 0)
  const sent = frames.reduce((size, { payload }) => size + payload.length, 0)
  assert.isBelow(sent, messages.reduce((size, { length }) => size + length, 0) / 3)
}

for (const [listener, layer] of Object.entries(listeners)) {
  describe(`server ${listener}, permessage-deflate with ws as the client`, () => {
    for (const [ofServer, ofClient] of takeovers) {
      it.scopedLive(`server takes what ws offers in all windows, ${describeTakeover(ofServer, ofClient)}`, () =>
        Effect.gen(function* () {
          const server = yield* serveSockets(layer({ permessageDeflate: permissive }))
          for (const parameters of combinations(ofServer, ofClient)) {
            const peer = yield* openWs(server.url, { perMessageDeflate: asWs(parameters) })
            const socket = yield* server.nextSocket
            assert.deepStrictEqual(agreed(socket), parameters)
            const frames = watch(socketOf(peer.socket))
            yield* exchange(socket, peer)
            assertCompressed(frames(), ofServer)
            peer.close(1000)
          }
        })
      )

      it.scopedLive(`server tells ws what it wants in all windows, ${describeTakeover(ofServer, ofClient)}`, () =>
        Effect.gen(function* () {
          for (const parameters of combinations(ofServer, ofClient)) {
            const server = yield* serveSockets(layer({ permessageDeflate: { threshold: 0, ...parameters } }))
            const peer = yield* openWs(server.url, { perMessageDeflate: { threshold: 0 } })
            const socket = yield* server.nextSocket
            assert.deepStrictEqual(agreed(socket), parameters)
            yield* exchange(socket, peer)
            peer.close(1000)
          }
        })
      )
    }

    it.scopedLive("server that compresses leaves nothing behind, and by default without takeover", () =>
      Effect.gen(function* () {
        const server = yield* serveSockets(layer({ permessageDeflate: true }))
        const peer = yield* connectWs(server.url)
        assert.deepStrictEqual(yield* peer.next, opened("", "permessage-deflate"))
        const socket = yield* server.nextSocket
        assert.deepInclude(agreed(socket), { serverContextTakeover: false, clientContextTakeover: false })
        yield* exchange(socket, peer)
      }).pipe(Effect.scoped, withoutLeaks)
    )
  })
}

describe("server, permessage-deflate with a codec that is given", () => {
  it.scopedLive("server tells the next client to forget when nobody more may remember", () =>
    Effect.gen(function* () {
      const layer = NodeWebSocketServer.layer({ permessageDeflate: permissive })
      const server = yield* serveSockets(Layer.provide(layer, NodeDeflate.layer({ maxContexts: 1 })))
      const connected = Effect.gen(function* () {
        const peer = yield* openWs(server.url)
        return { peer, socket: yield* server.nextSocket }
      })
      const [first, second] = [yield* connected, yield* connected]
      assert.deepInclude(agreed(first.socket), { serverContextTakeover: true, clientContextTakeover: true })
      assert.deepInclude(agreed(second.socket), { serverContextTakeover: true, clientContextTakeover: false })
      // Both remember what they have sent, and there is room for one.
      for (const { peer, socket } of [first, second, first]) yield* exchange(socket, peer)
      first.peer.close(1000)
      yield* first.socket.closed
      assert.deepInclude(agreed((yield* connected).socket), { clientContextTakeover: true })
    }).pipe(Effect.scoped, withoutLeaks)
  )
})

describe("client, permessage-deflate with ws as the server", () => {
  for (const [ofServer, ofClient] of takeovers) {
    it.scopedLive(`client offers ws all windows, ${describeTakeover(ofServer, ofClient)}`, () =>
      Effect.gen(function* () {
        const server = yield* serveWs({ perMessageDeflate: { threshold: 0 } })
        for (const parameters of combinations(ofServer, ofClient)) {
          const socket = yield* connect(server.url, { permessageDeflate: { threshold: 0, ...parameters } })
          const [peer, request] = yield* server.next
          assert.deepStrictEqual(agreed(socket), parameters)
          const frames = watch(request.socket)
          yield* exchange(socket, peer)
          assertCompressed(frames(), ofClient)
          yield* socket.close()
        }
      })
    )

    it.scopedLive(`client takes what ws answers in all windows, ${describeTakeover(ofServer, ofClient)}`, () =>
      Effect.gen(function* () {
        for (const parameters of combinations(ofServer, ofClient)) {
          const server = yield* serveWs({ perMessageDeflate: asWs(parameters) })
          const socket = yield* connect(server.url, { permessageDeflate: permissive })
          const [peer, request] = yield* server.next
          assert.deepStrictEqual(agreed(socket), parameters)
          const frames = watch(request.socket)
          yield* exchange(socket, peer)
          assertCompressed(frames(), ofClient)
          yield* socket.close()
        }
      })
    )
  }

  it.scopedLive("client goes without when ws doesn't speak of it", () =>
    Effect.gen(function* () {
      const server = yield* serveWs()
      const socket = yield* connect(server.url, { permessageDeflate: permissive })
      const [peer, request] = yield* server.next
      assert.deepStrictEqual(socket.response.extensions, [])
      const frames = watch(request.socket)
      yield* exchange(socket, peer)
      assert.isTrue(frames().every(({ rsv }) => rsv === 0))
    }).pipe(Effect.scoped, withoutLeaks)
  )
})

const socketOf = (socket: object): Net.Socket => (socket as { readonly _socket: Net.Socket })._socket

describeWith(python, "permessage-deflate with python's websockets", () => {
  for (const [ofServer, ofClient] of takeovers) {
    it.scopedLive(
      `server takes what python's websockets offer, ${describeTakeover(ofServer, ofClient)}`,
      () =>
        Effect.gen(function* () {
          const layer = listeners["with its own listener"]!
          const server = yield* serveSockets(layer({ permessageDeflate: permissive, maxMessageSize: 1024 * 1024 }))
          for (const parameters of combinations(ofServer, ofClient)) {
            const peer = yield* connectPython(server.url, { deflate: asPython(parameters) })
            const open = yield* peer.next
            assert.deepInclude(open, { _tag: "Open", extensions: "permessage-deflate" })
            const socket = yield* server.nextSocket
            assert.deepStrictEqual(agreed(socket), parameters)
            yield* exchange(socket, peer)
            peer.close(1000)
          }
        }).pipe(Effect.scoped, withoutLeaks),
      60_000
    )

    it.scopedLive(
      `client offers python's websockets all windows, ${describeTakeover(ofServer, ofClient)}`,
      () =>
        Effect.gen(function* () {
          const server = yield* servePython
          for (const parameters of combinations(ofServer, ofClient)) {
            const socket = yield* connect(server.url, { permessageDeflate: { threshold: 0, ...parameters } })
            assert.deepInclude(yield* server.next, { _tag: "Open", extensions: "permessage-deflate" })
            // It wants a window of its own, of 12 bits, of both where it may.
            const { clientMaxWindowBits, serverMaxWindowBits, ...takeover } = agreed(socket)
            assert.deepStrictEqual(takeover, {
              serverContextTakeover: ofServer,
              clientContextTakeover: ofClient
            })
            assert.isAtMost(serverMaxWindowBits, parameters.serverMaxWindowBits)
            assert.isAtMost(clientMaxWindowBits, parameters.clientMaxWindowBits)
            yield* exchange(socket, server)
            yield* socket.close()
            assert.deepInclude(yield* server.next, { _tag: "Close", code: 1000 })
          }
        }).pipe(Effect.scoped, withoutLeaks),
      60_000
    )
  }
})

/** The same, as the library of Python says it. */
const asPython = (parameters: Parameters) => ({
  server_no_context_takeover: !parameters.serverContextTakeover,
  client_no_context_takeover: !parameters.clientContextTakeover,
  server_max_window_bits: parameters.serverMaxWindowBits,
  client_max_window_bits: parameters.clientMaxWindowBits
})

describe("permessage-deflate with undici", () => {
  // It inflates, and never compresses; of the parameters it offers none but the window of the client.
  for (const [ofServer, ofClient] of takeovers) {
    it.scopedLive(`server compresses for undici in all windows, ${describeTakeover(ofServer, ofClient)}`, () =>
      Effect.gen(function* () {
        for (const parameters of combinations(ofServer, ofClient)) {
          const layer = listeners["with its own listener"]!
          const server = yield* serveSockets(layer({ permessageDeflate: { threshold: 0, ...parameters } }))
          const peer = yield* connectUndici(server.url)
          assert.strictEqual((yield* peer.next)._tag, "Open")
          const socket = yield* server.nextSocket
          assert.deepStrictEqual(agreed(socket), parameters)
          yield* exchange(socket, peer)
          yield* socket.close()
        }
      })
    )
  }
})

describeChromium("permessage-deflate with a page in Chromium as the client", (connectFrom) => {
  for (const [ofServer, ofClient] of takeovers) {
    it.scopedLive(`server and page send all messages, ${describeTakeover(ofServer, ofClient)}`, () =>
      Effect.gen(function* () {
        for (const windowBits of bits) {
          const layer = listeners["attached to node:http"]!
          const wishes = {
            threshold: 0,
            serverContextTakeover: ofServer,
            clientContextTakeover: ofClient,
            serverMaxWindowBits: windowBits,
            clientMaxWindowBits: windowBits
          }
          const server = yield* serveSockets(layer({ permessageDeflate: wishes }))
          const peer = yield* connectFrom()(server.url)
          const open = yield* peer.next
          assert.include(open._tag === "Open" ? open.extensions : "", "permessage-deflate")
          const socket = yield* server.nextSocket
          assert.deepInclude(agreed(socket), { serverMaxWindowBits: windowBits, clientMaxWindowBits: windowBits })
          yield* exchange(socket, peer)
          yield* socket.close()
        }
      }).pipe(Effect.scoped, withoutLeaks)
    )
  }
})
