import { once } from "node:events"
import { request } from "node:http"
import type { AddressInfo } from "node:net"
import * as Net from "node:net"
import { assert, describe, it } from "vitest"
import { Peer } from "./support/Peer.ts"
import * as Program from "./support/Program.ts"

const start = (): Program.Program => Program.start("start", [], { PORT: "0" })

/** Asks the HTTP server, with the method and the target as they are. */
const ask = async (address: string, method: string, path: string): Promise<{ status: number; body: string }> => {
  const [host, port] = address.split(":")
  const asked = request({ host, port, method, path, agent: false }).end()
  const [response] = await once(asked, "response")
  let body = ""
  for await (const chunk of response.setEncoding("utf8")) body += chunk
  return { status: response.statusCode, body }
}

describe("start", () => {
  it("demo shows both heads, every frame, the close codes and the typed results", async () => {
    await using demo = start()
    const address = await demo.address()
    const output = demo.lines
      .join("\n")
      .replace(/(-Key|-Accept): \S+/g, "$1: ...")
      .replace(/[\d.]+ ms/, "... ms")
    assert.strictEqual(output, expected.replaceAll("ADDRESS", address))
  })

  it("demo closes its connections with 1001 and exits with 0 when it is interrupted", async () => {
    await using demo = start()
    const address = await demo.address()
    const echo = await Peer.connect(`ws://${address}/echo`, ["echo.v1"])
    const member = await Peer.connect(`ws://${address}/chat?name=anna`)
    const watcher = await Peer.connect(`ws://${address}/watch?id=1`)
    assert.strictEqual(echo.socket.protocol, "echo.v1")
    echo.send("still there")
    assert.strictEqual(await echo.next(), "still there")
    demo.signal("SIGINT")
    const codes = await Promise.all([echo, member, watcher].map((peer) => peer.closed))
    assert.deepStrictEqual(
      codes.map(({ code }) => code),
      [1001, 1001, 1001]
    )
    assert.deepStrictEqual(await demo.exit, { code: 0, signal: null })
    assert.strictEqual(demo.stderr, "")
  })

  it("demo exits with 0 when it is interrupted and a peer doesn't answer", async () => {
    await using demo = start()
    const address = await demo.address()
    const silent = await Peer.connect(`ws://${address}/echo`)
    silent.socket.pause()
    demo.signal("SIGTERM")
    assert.deepStrictEqual(await demo.exit, { code: 0, signal: null })
    silent.socket.terminate()
  })

  it("demo says in one line that the port is taken and exits with 1", async () => {
    const other = Net.createServer().listen(0, "127.0.0.1")
    await once(other, "listening")
    const { port } = other.address() as AddressInfo
    await using demo = Program.start("start", [], { PORT: `${port}` })
    assert.deepStrictEqual(await demo.exit, { code: 1, signal: null })
    assert.strictEqual(demo.stderr, `port ${port} of 127.0.0.1 is taken: choose another one, PORT=8081 npm start\n`)
    assert.deepStrictEqual(demo.lines, [])
    other.close()
  })

  it("demo says in one line that PORT is none", async () => {
    await using demo = Program.start("start", [], { PORT: "http" })
    assert.deepStrictEqual(await demo.exit, { code: 1, signal: null })
    assert.strictEqual(demo.stderr, 'a port is a number from 0 to 65535, and not "http"\n')
  })

  it("server serves the page and nothing else", async () => {
    await using demo = start()
    const address = await demo.address()
    assert.match((await ask(address, "GET", "/")).body, /<title>effect-ws<\/title>/)
    assert.strictEqual((await ask(address, "HEAD", "/style.css?x")).status, 200)
    assert.strictEqual((await ask(address, "GET", "/../package.json")).status, 404)
    assert.strictEqual((await ask(address, "GET", "/toString")).status, 404)
    assert.strictEqual((await ask(address, "POST", "/")).status, 405)
  })

  it("server tells a watcher what it sees of a connection, and closes it when it is asked to", async () => {
    await using demo = start()
    const address = await demo.address()
    const watcher = await Peer.connect(`ws://${address}/watch?id=42`)
    const echo = await Peer.connect(`ws://${address}/echo?id=42`)
    assert.match(`${await watcher.next()}`, /^accepted 127\.0\.0\.1:\d+, no subprotocol$/)
    watcher.send("what?")
    assert.strictEqual(await watcher.next(), "can't close: that was no { code, reason }")
    watcher.send('{ "code": 1005, "reason": "x" }')
    assert.match(`${await watcher.next()}`, /^can't close: Close code 1005 can't be sent/)
    watcher.send('{ "code": 4000, "reason": "you asked for it" }')
    assert.deepStrictEqual(await echo.closed, { code: 4000, reason: "you asked for it" })
    assert.strictEqual(
      await watcher.next(),
      'ConnectionClosed { sent: 4000 "you asked for it", received: 4000 "you asked for it", initiator: local, clean: true, discarded: 0 }'
    )
  })
})

const expected = `\
A server listens on ws://ADDRESS, and a client visits it.

Opening handshake
  → GET /echo HTTP/1.1
  → Host: ADDRESS
  → Upgrade: websocket
  → Connection: Upgrade
  → Sec-WebSocket-Key: ...
  → Sec-WebSocket-Version: 13
  → Sec-WebSocket-Protocol: echo.v2, echo.v1
  ← HTTP/1.1 101 Switching Protocols
  ← Upgrade: websocket
  ← Connection: Upgrade
  ← Sec-WebSocket-Accept: ...
  ← Sec-WebSocket-Protocol: echo.v2
  ← Server: effect-ws
  = WebSocket { role: client, subprotocol: echo.v2 }

Text
  → 0x1 Text          fin  masked      29 bytes  "Hello, wire! Grüße, 世界."
  ← 0x1 Text          fin              29 bytes  "Hello, wire! Grüße, 世界."
  = Text "Hello, wire! Grüße, 世界."

Binary
  → 0x2 Binary        fin  masked       4 bytes  de ad be ef
  ← 0x2 Binary        fin               4 bytes  de ad be ef
  = Binary 4 bytes: de ad be ef

Ping
  → 0x9 Ping          fin  masked      14 bytes  "are you there?"
  ← 0xa Pong          fin              14 bytes  "are you there?"
  = ... ms to the Pong

Closing handshake
  → 0x8 Close         fin  masked      18 bytes  1000 "the tour is over"
  ← 0x8 Close         fin               2 bytes  1000
  = ConnectionClosed { sent: 1000 "the tour is over", received: 1000, initiator: local, clean: true, discarded: 0 }

A handshake that is refused
  → GET /nowhere HTTP/1.1
  → Host: ADDRESS
  → Upgrade: websocket
  → Connection: Upgrade
  → Sec-WebSocket-Key: ...
  → Sec-WebSocket-Version: 13
  → Sec-WebSocket-Protocol: echo.v2, echo.v1
  ← HTTP/1.1 404 Not Found
  ← Server: effect-ws
  ← Content-Type: text/plain; charset=utf-8
  ← Content-Length: 33
  ← Connection: close
  ← "there is /echo, /chat and /watch\\n"
  = HandshakeError { reason: Declined, message: "The opening handshake failed: the server declined with status 404 (RFC 6455 4.1)" }

open http://ADDRESS  (Ctrl-C to end)`
