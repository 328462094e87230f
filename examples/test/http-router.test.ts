import { assert, describe, it } from "vitest"
import { WebSocket } from "ws"
import { Peer } from "./support/Peer.ts"
import * as Program from "./support/Program.ts"

/** What a request is answered with, in place of a connection. */
const refusal = (url: string): Promise<number | undefined> =>
  new Promise((resolve) => {
    const socket = new WebSocket(url)
    socket.on("unexpected-response", (request, { statusCode }) => {
      request.destroy()
      resolve(statusCode)
    })
  })

const get = async (url: string): Promise<readonly [status: number, body: string]> => {
  const response = await fetch(url, { headers: { connection: "close" } })
  return [response.status, await response.text()]
}

describe("http-router", () => {
  it("visitors see a counter on a page, and in a connection when another one moves it", async () => {
    await using server = Program.start("http-router")
    const address = await server.address()
    assert.deepStrictEqual(await get(`http://${address}/`), [200, "the counter is at 0\n"])
    const watcher = await Peer.connect(`ws://${address}/watch`)
    assert.strictEqual(await watcher.next(), "0")
    const mover = await Peer.connect(`ws://${address}/move`, ["steps"])
    assert.strictEqual(mover.socket.protocol, "steps")
    mover.send("3")
    assert.strictEqual(await watcher.next(), "3")
    mover.send("-5")
    assert.strictEqual(await watcher.next(), "-2")
    assert.deepStrictEqual(await get(`http://${address}/`), [200, "the counter is at -2\n"])
    mover.send("many")
    assert.deepStrictEqual(await mover.closed, { code: 1003, reason: "a step is a whole number" })
    assert.deepStrictEqual(await watcher.close(1000), { code: 1000, reason: "" })
  })

  it("server refuses who doesn't speak the subprotocol, asks for no upgrade, or for nothing there is", async () => {
    await using server = Program.start("http-router")
    const address = await server.address()
    assert.strictEqual(await refusal(`ws://${address}/move`), 400)
    assert.strictEqual(await refusal(`ws://${address}/nowhere`), 404)
    const [status, body] = await get(`http://${address}/move`)
    assert.strictEqual(status, 426)
    assert.match(body, /RFC 6455/)
  })

  it("server closes with 1001 and exits with 0 when it is interrupted", async () => {
    await using server = Program.start("http-router")
    const peer = await Peer.connect(`ws://${await server.address()}/watch`)
    server.signal("SIGINT")
    assert.strictEqual((await peer.closed).code, 1001)
    assert.deepStrictEqual(await server.exit, { code: 0, signal: null })
    assert.strictEqual(server.stderr, "")
  })

  it("server says in one line that its port is taken", async () => {
    await using first = Program.start("http-router")
    const [, port] = /:(\d+)/.exec(await first.address())!
    await using second = Program.start("http-router", ["--port", port!])
    assert.strictEqual((await second.exit).code, 1)
    assert.strictEqual(second.stderr, `listen EADDRINUSE: address already in use 127.0.0.1:${port}\n`)
  })
})
