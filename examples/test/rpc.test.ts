import * as Net from "node:net"
import { once } from "node:events"
import { assert, describe, it } from "vitest"
import * as Program from "./support/Program.ts"

const call = async (url: string, ...args: ReadonlyArray<string>) => {
  await using client = Program.start("rpc-client", [url, ...args])
  const { code } = await client.exit
  return { code, lines: client.lines, stderr: client.stderr }
}

describe("rpc-server and rpc-client", () => {
  it("client gets the answer of a call, and a stream element by element", async () => {
    await using server = Program.start("rpc-server")
    const url = `ws://${await server.address()}`
    assert.deepStrictEqual(await call(url, "factor", "360"), {
      code: 0,
      lines: ["360 = 2 * 2 * 2 * 3 * 3 * 5"],
      stderr: ""
    })
    assert.deepStrictEqual((await call(url, "primes", "20")).lines, ["2", "3", "5", "7", "11", "13", "17", "19"])
  })

  it("client says what the server doesn't take, call or stream", async () => {
    await using server = Program.start("rpc-server")
    const url = `ws://${await server.address()}`
    for (const command of ["factor", "primes"]) {
      assert.deepStrictEqual(await call(url, command, "1000001"), {
        code: 1,
        lines: [],
        stderr: "the server takes numbers up to 1000000\n"
      })
    }
  })

  it("client says why it can't connect: another path, and nobody there", async () => {
    await using server = Program.start("rpc-server")
    const address = await server.address()
    const elsewhere = await call(`ws://${address}/more`, "factor", "1")
    assert.strictEqual(elsewhere.code, 1)
    assert.match(elsewhere.stderr, /the server declined with status 404/)
    const listener = Net.createServer().listen(0, "127.0.0.1")
    await once(listener, "listening")
    const { port } = listener.address() as Net.AddressInfo
    listener.close()
    await once(listener, "close")
    const nobody = await call(`ws://127.0.0.1:${port}`, "factor", "1")
    assert.strictEqual(nobody.code, 1)
    assert.match(nobody.stderr, /ECONNREFUSED/)
  })

  it("client says how it is called", async () => {
    for (const args of [[], ["factor"], ["factor", "0"], ["sum", "1"]]) {
      const { code, stderr } = await call("ws://127.0.0.1:1", ...args)
      assert.deepStrictEqual({ code, stderr }, { code: 1, stderr: "usage: rpc-client URL factor|primes NUMBER\n" })
    }
  })

  it("server exits with 0 when it is interrupted, and says in one line that its port is taken", async () => {
    await using first = Program.start("rpc-server")
    const [, port] = /:(\d+)/.exec(await first.address())!
    await using second = Program.start("rpc-server", ["--port", port!])
    assert.strictEqual((await second.exit).code, 1)
    assert.strictEqual(second.stderr, `Port ${port} of 127.0.0.1 is already in use\n`)
    first.signal("SIGINT")
    assert.deepStrictEqual(await first.exit, { code: 0, signal: null })
    assert.strictEqual(first.stderr, "")
  })
})
