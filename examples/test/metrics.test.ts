import { assert, describe, it } from "vitest"
import { Peer } from "./support/Peer.ts"
import * as Program from "./support/Program.ts"

describe("metrics", () => {
  it("server shows what its connections have done so far", async () => {
    await using server = Program.start("metrics", ["--port", "0"])
    const address = await server.address()
    const peer = await Peer.connect(`ws://${address}`)
    peer.send("Grüße")
    assert.strictEqual(await peer.next(), "Grüße")
    const page = async () => (await (await fetch(`http://${address}/metrics`)).text()).split("\n")
    assert.includeMembers(await page(), [
      "# TYPE websocket_connections gauge",
      'websocket_connections{role="server"} 1',
      'websocket_handshakes{role="server",outcome="accepted"} 1',
      'websocket_messages{role="server",direction="received"} 1',
      'websocket_messages{role="server",direction="sent"} 1',
      'websocket_bytes{role="server",direction="received"} 13',
      'websocket_bytes{role="server",direction="sent"} 9'
    ])
    await peer.close(4001, "done")
    // The peer knows of the end before the server does: nobody says which of two connections the server looks at first.
    let after = await page()
    while (!after.includes('websocket_connections{role="server"} 0')) after = await page()
    assert.includeMembers(after, [
      'websocket_closes{role="server",direction="received",code="4xxx"} 1',
      'websocket_closes{role="server",direction="sent",code="4001"} 1'
    ])
  })

  it("server says where the metrics are to those who ask for something else", async () => {
    await using server = Program.start("metrics")
    const answer = await fetch(`http://${await server.address()}/`)
    assert.deepStrictEqual([answer.status, await answer.text()], [404, "the metrics are at /metrics\n"])
  })

  it("server exits with 0 when it is interrupted, and says in one line that its port is taken", async () => {
    await using first = Program.start("metrics")
    const [, port] = /:(\d+)/.exec(await first.address())!
    await using second = Program.start("metrics", ["--port", port!])
    assert.strictEqual((await second.exit).code, 1)
    assert.strictEqual(second.stderr, `Port ${port} of 127.0.0.1 is already in use\n`)
    first.signal("SIGINT")
    assert.deepStrictEqual(await first.exit, { code: 0, signal: null })
    assert.strictEqual(first.stderr, "")
  })

  it("server says how it is called when an argument is unknown", async () => {
    await using server = Program.start("metrics", ["--prot", "1"])
    assert.strictEqual((await server.exit).code, 1)
    assert.match(server.stderr, /--prot[^]*\nusage: metrics/)
  })
})
