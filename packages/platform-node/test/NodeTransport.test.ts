import * as MemoryTransport from "@effect-ws/api/testing/MemoryTransport"
import * as NodeTransport from "@effect-ws/platform-node/NodeTransport"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Net from "node:net"
import { Duplex, PassThrough } from "node:stream"
import * as Tls from "node:tls"
import { makeCertificate } from "./support/certificate.ts"
import { bytes, event, leavesNothing, record, recordOn, socketPair, turn, until } from "./support/sockets.ts"

const ours = ["data", "drain", "error", "finish"]
const countListeners = (duplex: Duplex) => ours.map((name) => duplex.listenerCount(name))

const closedCount = (events: ReadonlyArray<string>) => events.filter((name) => name.startsWith("closed")).length

const transportPair = Effect.map(socketPair(), ({ far, near }) => ({
  near: NodeTransport.make(near),
  far: NodeTransport.make(far),
  sockets: { near, far }
}))

describe("NodeTransport: bytes", () => {
  it.scoped("transport delivers bytes both ways", () =>
    Effect.gen(function* () {
      const { far, near } = yield* transportPair
      const left = MemoryTransport.wire(near)
      const right = MemoryTransport.wire(far)
      left.send("01 02 03")
      right.send("04")
      assert.deepStrictEqual(yield* right.awaitBytes(3), bytes(1, 2, 3))
      assert.deepStrictEqual(yield* left.awaitBytes(1), bytes(4))
    })
  )

  it.effect("transport gives chunks whose memory nobody can transfer, for several messages may lie in one", () =>
    Effect.gen(function* () {
      const loop = new PassThrough()
      const chunks: Array<Uint8Array> = []
      const transport = NodeTransport.make(loop)
      transport.start({ ...record(), chunk: (chunk) => void chunks.push(chunk) })
      transport.resume()
      const { port1, port2 } = new MessageChannel()
      loop.write(new Uint8Array(4096))
      yield* until(() => chunks.length === 1)
      const [{ buffer }] = chunks as [Uint8Array]
      // Some versions of Node refuse it, others send a copy.
      Either.try(() => port1.postMessage(buffer, [buffer as ArrayBuffer]))
      assert.strictEqual(chunks[0]!.length, 4096)
      port1.close()
      port2.close()
      transport.destroy()
    })
  )

  it.scoped("transport loses nothing that came before the start", () =>
    Effect.gen(function* () {
      const { sockets, ...pair } = yield* transportPair
      for (const [from, to] of [
        [sockets.near, pair.far],
        [sockets.far, pair.near]
      ] as const) {
        from.write(bytes(1, 2))
        from.end(bytes(3))
        yield* event(from, "finish")
        yield* Effect.repeatN(turn, 5)
        const wire = MemoryTransport.wire(to)
        yield* wire.awaitEnd
        assert.deepStrictEqual(wire.received(), bytes(1, 2, 3))
      }
    })
  )

  it.effect("transport writes one chunk as it is and several in one go", () =>
    Effect.gen(function* () {
      const calls: Array<string> = []
      const duplex = new Duplex({
        read: () => {},
        write: (chunk: Buffer, _, done) => {
          calls.push(`write ${chunk.length}`)
          done()
        },
        writev: (chunks, done) => {
          calls.push(`writev ${chunks.map(({ chunk }) => (chunk as Buffer).length).join(" ")}`)
          done()
        }
      })
      const transport = NodeTransport.make(duplex)
      assert.isTrue(transport.write([bytes(1)]))
      assert.isTrue(transport.write([bytes(1, 2), bytes(3)]))
      assert.isTrue(transport.write([]))
      assert.deepStrictEqual(calls, ["write 1", "writev 2 1"])
      yield* turn
    })
  )

  it.effect("transport runs no callback inside the call that caused it", () =>
    Effect.gen(function* () {
      const loop = new PassThrough()
      const transport = NodeTransport.make(loop)
      const sink = record()
      let isCalling = false
      const guarded = (use: () => void) => {
        isCalling = true
        use()
        isCalling = false
      }
      const told = (name: keyof typeof sink, tell: () => void) => {
        assert.isFalse(isCalling, `${name} came inside a call`)
        tell()
      }
      guarded(() =>
        transport.start({
          chunk: (chunk) => {
            told("chunk", () => sink.chunk(chunk))
            if (chunk.length === 1) guarded(() => transport.write([bytes(1, 2)]))
          },
          end: () => told("end", sink.end),
          drained: () => told("drained", sink.drained),
          closed: (error) => told("closed", () => sink.closed(error))
        })
      )
      yield* turn
      guarded(() => transport.write([bytes(1)]))
      guarded(() => transport.write([bytes(1, 2, 3), bytes(4)]))
      yield* turn
      guarded(() => transport.end())
      yield* event(loop, "close")
      assert.deepStrictEqual(sink.events, ["chunk 1", "chunk 3", "chunk 1", "chunk 2", "chunk 2", "end", "closed"])
    })
  )

  it.effect("transport keeps the order when bytes come between a call and the turn after it", () =>
    Effect.gen(function* () {
      const loop = new PassThrough()
      const transport = NodeTransport.make(loop)
      const events = recordOn(transport)
      yield* turn
      transport.write([bytes(1)])
      loop.write(bytes(1, 2))
      assert.deepStrictEqual(events, [])
      yield* turn
      assert.deepStrictEqual(events, ["chunk 1", "chunk 2"])
      transport.destroy()
      yield* event(loop, "close")
    })
  )

  it.effect("transport loses nothing of a stream that flows already", () =>
    Effect.gen(function* () {
      const stream = new PassThrough()
      stream.resume()
      const transport = NodeTransport.make(stream)
      stream.end(bytes(1))
      yield* Effect.repeatN(turn, 3)
      const events = recordOn(transport)
      yield* Effect.repeatN(turn, 3)
      assert.deepStrictEqual(events, ["chunk 1", "end", "closed"])
    })
  )

  it.scoped("transport sends small writes at once", () =>
    Effect.gen(function* () {
      const { near } = yield* socketPair()
      const delays: Array<boolean | undefined> = []
      near.setNoDelay = (noDelay) => {
        delays.push(noDelay)
        return near
      }
      NodeTransport.make(near)
      assert.deepStrictEqual(delays, [true])
    })
  )

  it.scoped("transport hands delivery over to the next sink", () =>
    Effect.gen(function* () {
      const { far, near } = yield* transportPair
      const first = record()
      const second = record()
      far.start({
        ...first,
        chunk: (chunk) => {
          first.chunk(chunk)
          far.start(second)
        }
      })
      near.start(record())
      near.write([bytes(1)])
      yield* until(() => first.events.length > 0)
      near.write([bytes(1, 2)])
      near.end()
      yield* until(() => second.events.length > 1)
      assert.deepStrictEqual([first.events, second.events], [["chunk 1"], ["chunk 2", "end"]])
    })
  )
})

describe("NodeTransport: backpressure", () => {
  it.scoped("transport holds back a fast writer while the peer is paused, and loses nothing", () =>
    Effect.gen(function* () {
      const { far, near } = yield* transportPair
      const chunk = new Uint8Array(65536).fill(7)
      const events = recordOn(near)
      let received = 0
      far.start({ ...record(), chunk: (bytes) => void (received += bytes.length) })
      far.pause()
      let written = 0
      do {
        while (near.write([chunk])) written += chunk.length
        written += chunk.length
        yield* turn
      } while (events.includes("drained") && events.splice(0))
      assert.isAbove(near.writable, 0)
      assert.deepStrictEqual(events, [])
      far.resume()
      yield* until(() => events.length > 0 && received === written)
      assert.deepStrictEqual(events, ["drained"])
      assert.strictEqual(near.writable, 0)
    })
  )

  it.scoped("transport that was paused before the start reads nothing until it is resumed", () =>
    Effect.gen(function* () {
      const { sockets, ...pair } = yield* transportPair
      pair.near.pause()
      const events = recordOn(pair.near)
      sockets.far.end(bytes(1))
      yield* event(sockets.far, "finish")
      yield* Effect.repeatN(turn, 5)
      assert.deepStrictEqual(events, [])
      pair.near.resume()
      yield* until(() => events.length === 2)
      assert.deepStrictEqual(events, ["chunk 1", "end"])
    })
  )

  it.effect("transport tells that room is back also when it was ended meanwhile, and to a sink that came later", () =>
    Effect.gen(function* () {
      const taken: Array<() => void> = []
      const duplex = new Duplex({
        writableHighWaterMark: 2,
        read: () => {},
        write: (_, __, done) => void taken.push(done)
      })
      const transport = NodeTransport.make(duplex)
      assert.isFalse(transport.write([bytes(1, 2)]))
      taken.pop()!()
      yield* turn
      const events = recordOn(transport)
      assert.deepStrictEqual(events, [])
      yield* turn
      assert.deepStrictEqual(events, ["drained"])
      assert.isFalse(transport.write([bytes(1, 2)]))
      transport.end()
      taken.pop()!()
      yield* turn
      assert.deepStrictEqual(events, ["drained", "drained"])
      transport.destroy()
      yield* event(duplex, "close")
    })
  )
})

describe("NodeTransport: the end", () => {
  it.scoped("transport goes on writing after the peer has ended, whatever the socket was made as", () =>
    Effect.gen(function* () {
      const { sockets, ...pair } = yield* transportPair
      const left = MemoryTransport.wire(pair.near)
      const right = MemoryTransport.wire(pair.far)
      right.end()
      yield* left.awaitEnd
      left.send("01")
      yield* right.awaitBytes(1)
      assert.isFalse(left.isClosed() || right.isClosed())
      left.end()
      assert.isUndefined(yield* left.awaitClosed)
      assert.isUndefined(yield* right.awaitClosed)
      assert.isTrue(right.hasEnded())
      assert.deepStrictEqual(countListeners(sockets.far), [0, 0, 0, 0])
      assert.deepStrictEqual(countListeners(sockets.near), [0, 0, 0, 0])
    }).pipe(Effect.scoped, leavesNothing)
  )

  it.scoped("transport drops what is written after the end, silently", () =>
    Effect.gen(function* () {
      const { far, near } = yield* transportPair
      const left = MemoryTransport.wire(near)
      const right = MemoryTransport.wire(far)
      near.end()
      near.end()
      assert.isTrue(near.write([bytes(1)]))
      yield* right.awaitEnd
      assert.strictEqual(right.received().length, 0)
      near.destroy()
      assert.isTrue(near.write([bytes(1)]))
      assert.isUndefined(yield* left.awaitClosed)
      assert.isTrue(near.write([bytes(1)]))
      near.pause()
      near.resume()
      near.end()
      near.destroy()
    })
  )

  it.scoped("transport that is destroyed tells it once, later, and lets the peer see the end", () =>
    Effect.gen(function* () {
      const { sockets, ...pair } = yield* transportPair
      const events = recordOn(pair.near)
      const peer = MemoryTransport.wire(pair.far)
      pair.near.destroy()
      pair.near.destroy()
      assert.deepStrictEqual(events, [])
      yield* event(sockets.near, "close")
      yield* peer.awaitEnd
      assert.deepStrictEqual(events, ["closed"])
      assert.deepStrictEqual(countListeners(sockets.near), [0, 0, 0, 0])
    }).pipe(Effect.scoped, leavesNothing)
  )

  it.scoped("transport survives a reset before the start and tells it then", () =>
    Effect.gen(function* () {
      const { sockets, ...pair } = yield* transportPair
      sockets.far.resetAndDestroy()
      yield* event(sockets.near, "close")
      const events = recordOn(pair.near)
      assert.deepStrictEqual(events, [])
      yield* turn
      assert.deepStrictEqual(events, ["closed by read"])
      assert.deepStrictEqual(countListeners(sockets.near), [0, 0, 0, 0])
    }).pipe(Effect.scoped, leavesNothing)
  )

  it.scoped("transport that did not read yet meets the reset once it does", () =>
    Effect.gen(function* () {
      const { sockets, ...pair } = yield* transportPair
      sockets.near.resetAndDestroy()
      yield* event(sockets.near, "close")
      const wire = MemoryTransport.wire(pair.far)
      const error = yield* wire.awaitClosed
      assert.strictEqual(error?.operation, "read")
      assert.deepInclude(error?.cause, { code: "ECONNRESET" })
      assert.strictEqual(error?.address, `127.0.0.1:${(pair.far.info.remoteAddress as { readonly port: number }).port}`)
    })
  )

  it.scoped("transport that writes to a peer that is gone fails", () =>
    Effect.gen(function* () {
      const { far, near } = yield* transportPair
      const wire = MemoryTransport.wire(near)
      far.destroy()
      yield* wire.awaitEnd
      while (!wire.isClosed()) {
        wire.send(new Uint8Array(1000))
        yield* turn
      }
      assert.include(["read", "write"], (yield* wire.awaitClosed)?.operation)
    })
  )

  it.scoped("transport tells `closed` exactly once and last, however it ends", () =>
    Effect.gen(function* () {
      const endings: Array<
        (transport: ReturnType<typeof NodeTransport.make>, peer: Net.Socket, own: Net.Socket) => void
      > = [
        (transport, peer) => (peer.resetAndDestroy(), transport.destroy()),
        (transport, peer) => (transport.destroy(), peer.resetAndDestroy()),
        (transport, _, own) => (own.destroy(new Error("first")), transport.destroy()),
        (transport, _, own) => (transport.destroy(), own.destroy(new Error("late"))),
        (transport, _, own) => (transport.write([bytes(1)]), own.emit("error", new Error("stray")), transport.end()),
        (transport, peer) => (transport.write([new Uint8Array(1 << 20)]), peer.resetAndDestroy()),
        (transport, peer) => (transport.end(), peer.end()),
        (transport, peer) => (peer.destroy(), transport.end())
      ]
      for (const finish of endings) {
        const { sockets, ...pair } = yield* transportPair
        const events = recordOn(pair.near)
        MemoryTransport.wire(pair.far)
        finish(pair.near, sockets.far, sockets.near)
        assert.deepStrictEqual(events, [])
        yield* until(() => closedCount(events) > 0)
        yield* Effect.repeatN(turn, 3)
        assert.strictEqual(closedCount(events), 1)
        assert.match(events.at(-1)!, /^closed/)
        assert.deepStrictEqual(countListeners(sockets.near), [0, 0, 0, 0])
      }
    }).pipe(Effect.scoped, leavesNothing)
  )

  it.scoped("transport tells each new sink what happened before, in order and once", () =>
    Effect.gen(function* () {
      const { sockets, ...pair } = yield* transportPair
      const events = recordOn(pair.near)
      sockets.far.end()
      yield* until(() => events.length === 1)
      const second = recordOn(pair.near)
      pair.near.end()
      yield* until(() => second.includes("closed"))
      yield* turn
      assert.deepStrictEqual(second, ["end", "closed"])
      const third = recordOn(pair.near)
      yield* turn
      assert.deepStrictEqual([events, third], [["end"], ["end", "closed"]])
      const late = recordOn(NodeTransport.make(sockets.near))
      yield* turn
      assert.deepStrictEqual(late, ["end", "closed"])
    })
  )

  it.scoped("transport that is over tells a sink once, also when it is handed over meanwhile", () =>
    Effect.gen(function* () {
      const { sockets, ...pair } = yield* transportPair
      const events = recordOn(pair.near)
      sockets.far.end()
      yield* until(() => events.length === 1)
      pair.near.end()
      yield* until(() => events.length === 2)
      const replaced = recordOn(pair.near)
      const second = recordOn(pair.near)
      yield* Effect.repeatN(turn, 2)
      assert.deepStrictEqual([replaced, second], [[], ["end", "closed"]])
      const [third, fourth] = [record(), record()]
      pair.near.start({
        ...third,
        end: () => {
          third.end()
          pair.near.start(fourth)
        }
      })
      yield* Effect.repeatN(turn, 2)
      assert.deepStrictEqual([third.events, fourth.events], [["end"], ["end", "closed"]])
    })
  )
})

describe("NodeTransport: facts", () => {
  it.scoped("transport tells both addresses, and one IPv4 peer by one name", () =>
    Effect.gen(function* () {
      const { sockets, ...pair } = yield* transportPair
      const near = { _tag: "TcpAddress", hostname: "127.0.0.1", port: sockets.near.localPort }
      const far = { _tag: "TcpAddress", hostname: "127.0.0.1", port: sockets.far.localPort }
      assert.deepStrictEqual<unknown>(pair.near.info, { localAddress: near, remoteAddress: far, tls: undefined })
      assert.deepStrictEqual<unknown>(pair.far.info, { localAddress: far, remoteAddress: near, tls: undefined })
      Object.defineProperty(sockets.far, "remoteAddress", { value: "::ffff:127.0.0.1" })
      assert.deepStrictEqual<unknown>(NodeTransport.make(sockets.far).info.remoteAddress, near)
    })
  )

  it.effect("transport takes the facts that its stream doesn't know", () =>
    Effect.gen(function* () {
      const duplex = new PassThrough()
      const remoteAddress = { _tag: "UnixAddress", path: "/run/a" } as const
      const transport = NodeTransport.make(duplex, { info: { remoteAddress } })
      assert.deepStrictEqual(transport.info, { localAddress: undefined, remoteAddress, tls: undefined })
      const wire = MemoryTransport.wire(transport)
      duplex.destroy(new Error("gone"))
      assert.strictEqual((yield* wire.awaitClosed)?.message, "The transport failed to read from /run/a: gone")
    })
  )

  it.scoped("transport over TLS tells what was agreed on, half-closes, and leaves nothing", () =>
    Effect.gen(function* () {
      const certificate = yield* makeCertificate(["localhost"])
      const { far, near } = yield* socketPair({ pauseOnConnect: false })
      const server = new Tls.TLSSocket(far, { isServer: true, ...certificate, ALPNProtocols: ["http/1.1"] })
      const client = Tls.connect({
        socket: near,
        ca: certificate.cert,
        servername: "localhost",
        ALPNProtocols: ["http/1.1"]
      })
      yield* event(client, "secureConnect")
      const connected = NodeTransport.make(client)
      const left = MemoryTransport.wire(connected)
      const accepted = NodeTransport.make(server)
      const right = MemoryTransport.wire(accepted)
      left.send(new Uint8Array(100_000))
      yield* right.awaitBytes(100_000)
      assert.deepInclude(connected.info.tls, {
        protocol: "TLSv1.3",
        alpnProtocol: "http/1.1",
        authorized: true
      })
      assert.deepInclude(accepted.info.tls, { serverName: "localhost", authorized: false })
      assert.match(accepted.info.tls!.cipher!, /^TLS_/)
      left.end()
      yield* right.awaitEnd
      right.send("01")
      yield* left.awaitBytes(1)
      right.end()
      assert.isUndefined(yield* left.awaitClosed)
      assert.isUndefined(yield* right.awaitClosed)
    }).pipe(Effect.scoped, leavesNothing)
  )
})
