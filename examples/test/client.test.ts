import { once } from "node:events"
import type { AddressInfo } from "node:net"
import * as Net from "node:net"
import { afterEach, assert, describe, it } from "vitest"
import { WebSocketServer, type WebSocket } from "ws"
import * as Program from "./support/Program.ts"

const open: Array<WebSocketServer | Net.Server> = []

afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => new Promise((resolve) => server.close(resolve))))
})

/** A server of the `ws` library. */
const listen = async (onConnection: (socket: WebSocket) => void): Promise<string> => {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0 })
  open.push(server)
  server.on("connection", onConnection)
  await once(server, "listening")
  return `ws://127.0.0.1:${(server.address() as AddressInfo).port}`
}

describe("client", () => {
  it("client sends lines to a ws server, prints the replies, and closes when stdin ends", async () => {
    const received: Array<string> = []
    let tellClosed: (code: number) => void
    const closed = new Promise<number>((resolve) => (tellClosed = resolve))
    const url = await listen((socket) => {
      socket.on("message", (data) => {
        received.push(data.toString())
        socket.send(data.toString().toUpperCase())
        socket.send(Buffer.alloc(12))
      })
      socket.on("close", (code) => tellClosed(code))
    })
    await using client = Program.start("client", [url])
    await client.line(/^connected to /)
    client.write("one\ntwo")
    client.endInput()
    assert.deepStrictEqual(await client.exit, { code: 0, signal: null })
    assert.deepStrictEqual(client.lines.slice(1), [
      "< ONE",
      "< 12 bytes",
      "< TWO",
      "< 12 bytes",
      "We closed, the peer answered with 1000"
    ])
    assert.deepStrictEqual(received, ["one", "two"])
    assert.strictEqual(await closed, 1000)
    assert.strictEqual(client.stderr, "")
  })

  it("client gets every reply of our echo server before it closes", async () => {
    await using server = Program.start("echo-server")
    await using client = Program.start("client", [`ws://${await server.address()}`])
    const lines = Array.from({ length: 50 }, (_, index) => `line ${index}`)
    client.write(lines.join("\n"))
    client.endInput()
    assert.strictEqual((await client.exit).code, 0)
    assert.deepStrictEqual(
      client.lines.slice(1, -1),
      lines.map((line) => `< ${line}`)
    )
    assert.strictEqual(client.lines.at(-1), "We closed, the peer answered with 1000")
  })

  it("client ends with 0 when the server closes cleanly while stdin is open", async () => {
    const url = await listen((socket) => socket.close(1001, "going home"))
    await using client = Program.start("client", [url])
    assert.deepStrictEqual(await client.exit, { code: 0, signal: null })
    assert.strictEqual(client.lines.at(-1), "The peer closed with 1001: going home")
  })

  it("client ends with 1 and says the close code when the server closes with an error", async () => {
    const url = await listen((socket) => socket.close(4004, "no"))
    await using client = Program.start("client", [url])
    assert.deepStrictEqual(await client.exit, { code: 1, signal: null })
    assert.strictEqual(client.stderr, "The peer closed with 4004: no\n")
  })

  it("client says the subprotocol that was agreed on", async () => {
    const url = await listen(() => {})
    await using client = Program.start("client", ["--subprotocol", "chat.v2", "--subprotocol", "chat.v1", url])
    assert.strictEqual((await client.line(/^connected.*/))[0], `connected to ${url}, speaking chat.v2`)
    client.signal("SIGINT")
    assert.deepStrictEqual(await client.exit, { code: 0, signal: null })
  })

  it("client says which rule the server broke, and the close code that it sent for it", async () => {
    const url = await listen((socket) => {
      ;(socket as unknown as { _socket: Net.Socket })._socket.write(Buffer.from([0xc1, 0x00]))
    })
    await using client = Program.start("client", [url])
    assert.strictEqual((await client.exit).code, 1)
    assert.match(client.stderr, /^The peer broke the protocol: .*closed with 1002\n$/)
  })

  it("client says in one line that nobody listens", async () => {
    const server = Net.createServer().listen(0, "127.0.0.1")
    await once(server, "listening")
    const { port } = server.address() as AddressInfo
    server.close()
    await once(server, "close")
    await using client = Program.start("client", [`ws://127.0.0.1:${port}`])
    assert.strictEqual((await client.exit).code, 1)
    assert.match(client.stderr, /^The opening handshake failed: .*ECONNREFUSED.*\n$/)
  })

  it("client says how it is called when the URL is missing", async () => {
    await using client = Program.start("client")
    assert.strictEqual((await client.exit).code, 1)
    assert.strictEqual(client.stderr, "usage: client [--subprotocol NAME] URL\n")
  })
})
