import type { Socket } from "node:net"
import { assert, describe, it } from "vitest"
import { Peer } from "./support/Peer.ts"
import * as Program from "./support/Program.ts"

describe("echo-server", () => {
  it("server echoes text and bytes of a ws client and answers its Close frame", async () => {
    await using server = Program.start("echo-server", ["--port", "0"])
    const peer = await Peer.connect(`ws://${await server.address()}`)
    peer.send("Grüße")
    assert.strictEqual(await peer.next(), "Grüße")
    peer.send(Uint8Array.of(0, 1, 255))
    assert.deepStrictEqual(await peer.next(), Buffer.from([0, 1, 255]))
    assert.deepStrictEqual(await peer.close(4001, "done"), { code: 4001, reason: "" })
  })

  it("server compresses what it echoes when it is told to, and otherwise doesn't", async () => {
    for (const [args, extensions] of [
      [[], ""],
      [["--permessage-deflate"], "permessage-deflate"]
    ] as const) {
      await using server = Program.start("echo-server", args)
      const peer = await Peer.connect(`ws://${await server.address()}`)
      assert.strictEqual(peer.socket.extensions, extensions)
      const received = { bytes: 0 }
      const { _socket: transport } = peer.socket as unknown as { readonly _socket: Socket }
      transport.on("data", (chunk: Buffer) => (received.bytes += chunk.length))
      const text = "to be compressed, ".repeat(1000)
      for (let i = 0; i < 2; i++) {
        peer.send(text)
        assert.strictEqual(await peer.next(), text)
      }
      assert.strictEqual(received.bytes < text.length / 10, extensions !== "")
      await peer.close(1000)
    }
  })

  it("server closes with 1001 and exits with 0 when it is interrupted", async () => {
    await using server = Program.start("echo-server", ["--port", "0"])
    const peer = await Peer.connect(`ws://${await server.address()}`)
    server.signal("SIGINT")
    assert.strictEqual((await peer.closed).code, 1001)
    assert.deepStrictEqual(await server.exit, { code: 0, signal: null })
    assert.strictEqual(server.stderr, "")
  })

  it("server says in one line that its port is taken and exits with 1", async () => {
    await using first = Program.start("echo-server")
    const port = (await first.address()).split(":")[1]!
    await using second = Program.start("echo-server", ["--port", port])
    assert.strictEqual((await second.exit).code, 1)
    assert.strictEqual(second.stderr, `Port ${port} of 127.0.0.1 is already in use\n`)
  })

  it("server says how it is called when an argument is unknown", async () => {
    await using server = Program.start("echo-server", ["--prot", "1"])
    assert.strictEqual((await server.exit).code, 1)
    assert.match(server.stderr, /--prot[^]*\nusage: echo-server/)
    assert.deepStrictEqual(server.lines, [])
  })

  it("server says what a port is", async () => {
    await using server = Program.start("echo-server", ["--port", "http"])
    assert.strictEqual((await server.exit).code, 1)
    assert.strictEqual(server.stderr, 'a port is a number from 0 to 65535, and not "http"\n')
  })
})
