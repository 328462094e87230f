/** The stages of a connection on its way, one by one: what they tell, and which listeners they leave on a socket. */
import type { Endpoint } from "@effect-ws/api/Connector"
import { TransportError } from "@effect-ws/api/TransportError"
import * as NodeTransport from "@effect-ws/platform-node/NodeTransport"
import type * as Proxy from "@effect-ws/platform-node/Proxy"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Net from "node:net"
import { ConnectionAttempt, connecting, type ToError } from "../../src/internal/connectionAttempt.ts"
import * as ProxyTunnel from "../../src/internal/proxyTunnel.ts"
import { withoutLeaks } from "../support/leaks.ts"
import { endpoint, proxyAt } from "../support/proxied.ts"
import { scriptedProxy } from "../support/proxies.ts"
import { socketPair, until } from "../support/sockets.ts"

/** How many listeners there are for each event that a connection on its way listens to. */
const listenersOn = (socket: Net.Socket): Record<string, number> =>
  Object.fromEntries(
    ["lookup", "connect", "secureConnect", "data", "readable", "end", "error", "close", "drain", "timeout"].map(
      (name) => [name, socket.listenerCount(name)]
    )
  )

/** Tells whether the socket has closed: `closed` is true before its listeners know. */
const watchClose = (socket: Net.Socket): (() => boolean) => {
  let hasClosed = false
  socket.on("close", () => (hasClosed = true))
  return () => hasClosed
}

describe("proxyTunnel", () => {
  const granted = Buffer.of(5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0)
  const cases: Record<
    string,
    readonly [url: string, to: Partial<Endpoint>, act: (far: Net.Socket, near: Net.Socket) => void, told: string]
  > = {
    "is let through": ["http://a", {}, (far) => far.write("HTTP/1.1 200 OK\r\n\r\n"), "done"],
    "is let through by SOCKS": ["socks5h://a", {}, (far) => far.write(granted), "done"],
    "is refused": ["http://a", {}, (far) => far.write("HTTP/1.1 407 No\r\n\r\n"), "Refused"],
    "is refused by SOCKS": ["socks5h://a", {}, (far) => far.write(Buffer.of(5, 255)), "NoAcceptableMethod"],
    "can't read the answer": ["http://a", {}, (far) => far.write("nonsense\r\n"), "InvalidAnswer"],
    "can't ask": ["http://a", { hostname: "a b" }, () => {}, "InvalidRequest"],
    "is left": ["http://a", {}, (far) => far.end(), "Closed"],
    "loses its socket": ["http://a", {}, (_, near) => near.destroy(), "Closed"]
  }

  for (const [title, [url, to, act, expected]] of Object.entries(cases)) {
    it.scopedLive(`stage that ${title} tells it once, and has taken its listeners off the socket by then`, () =>
      Effect.gen(function* () {
        const { far, near } = yield* socketPair()
        const hasClosed = watchClose(near)
        const before = listenersOn(near)
        const told: Array<readonly [what: string, listeners: object]> = []
        ProxyTunnel.make(proxyAt(url), endpoint(to))(near, {
          done: (socket) => {
            assert.strictEqual(socket, near)
            told.push(["done", listenersOn(near)])
          },
          failed: ({ cause }) => void told.push([(cause as Proxy.ProxyError).reason._tag, listenersOn(near)])
        })
        act(far, near)
        yield* until(() => told.length > 0)
        near.destroy()
        yield* until(hasClosed)
        assert.deepStrictEqual(told, [[expected, before]])
      }).pipe(Effect.scoped, withoutLeaks)
    )
  }

  it.scopedLive("stage that is stopped tells nothing, and leaves no listener", () =>
    Effect.gen(function* () {
      const { far, near } = yield* socketPair()
      const hasClosed = watchClose(near)
      const before = listenersOn(near)
      const fail = () => assert.fail("It has told something")
      const stop = ProxyTunnel.make(proxyAt("http://a"), endpoint({}))(near, { done: fail, failed: fail })
      assert.notDeepEqual(listenersOn(near), before)
      stop()
      assert.deepStrictEqual(listenersOn(near), before)
      far.end("HTTP/1.1 200 OK\r\n\r\n")
      yield* until(() => near.bytesRead > 0)
      stop()
      near.destroy()
      yield* until(hasClosed)
      assert.deepStrictEqual(listenersOn(near), before)
    }).pipe(Effect.scoped, withoutLeaks)
  )
})

const toError: ToError = (operation, cause) => new TransportError({ operation, address: "a", cause })

/** An attempt to get through a proxy, on a socket that somebody else watches. */
const attemptOn = (socket: Net.Socket, onTop: (top: Net.Socket) => void = () => {}): ConnectionAttempt =>
  new ConnectionAttempt(
    socket,
    [connecting("connect", false, toError), ProxyTunnel.make(proxyAt("http://a"), endpoint({}))],
    (top) => {
      onTop(top)
      return NodeTransport.make(top)
    }
  )

describe("connectionAttempt", () => {
  const answers: ReadonlyArray<readonly [title: string, answer: string, isThrough: boolean]> = [
    ["gets through", "HTTP/1.1 200 OK\r\n\r\n", true],
    ["doesn't get through", "HTTP/1.1 502 No\r\n\r\n", false]
  ]
  for (const [title, answer, isThrough] of answers) {
    it.scopedLive(`attempt that ${title} leaves no listener of its own on the socket`, () =>
      Effect.gen(function* () {
        const { port } = yield* scriptedProxy(answer)
        const socket = Net.connect(port, "127.0.0.1")
        const hasClosed = watchClose(socket)
        const before = listenersOn(socket)
        const handedOver: Array<object> = []
        const attempt = attemptOn(socket, (top) => handedOver.push(listenersOn(top)))
        const exit = yield* Effect.exit(attempt.outcome)
        assert.strictEqual(Exit.isSuccess(exit), isThrough)
        assert.deepStrictEqual(handedOver, isThrough ? [before] : [])
        attempt.destroy()
        yield* until(hasClosed)
        assert.deepStrictEqual(listenersOn(socket), before)
      }).pipe(Effect.scoped, withoutLeaks)
    )
  }

  it.scopedLive(
    "attempt that is destroyed listens to nothing any more, and survives errors until the socket closes",
    () =>
      Effect.gen(function* () {
        const proxy = yield* scriptedProxy()
        const socket = Net.connect(proxy.port, "127.0.0.1")
        const hasClosed = watchClose(socket)
        const before = listenersOn(socket)
        const attempt = attemptOn(socket)
        yield* until(() => proxy.chunks.length === 1)
        attempt.destroy()
        assert.deepStrictEqual(listenersOn(socket), { ...before, error: 1, close: before.close! + 1 })
        // As one that the system had found before.
        assert.doesNotThrow(() => socket.emit("error", new Error("late")))
        yield* until(hasClosed)
        assert.deepStrictEqual(listenersOn(socket), before)
      }).pipe(Effect.scoped, withoutLeaks)
  )

  it.scopedLive("attempt fails when the socket is closed before it is connected", () =>
    Effect.gen(function* () {
      const socket = new Net.Socket()
      const attempt = attemptOn(socket)
      socket.destroy()
      const error = yield* Effect.flip(attempt.outcome)
      assert.deepInclude(error, { operation: "connect", address: "a" })
      assert.match(error.message, /the connection was closed$/)
    }).pipe(Effect.scoped, withoutLeaks)
  )
})
