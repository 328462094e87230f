import { assert, describe, it } from "vitest"
import { type Case, FuzzingServer } from "./support/FuzzingServer.ts"
import * as Program from "./support/Program.ts"

const bytes = (hex: string): Buffer => Buffer.from(hex.replace(/ /g, ""), "hex")

/** Sends something, writes down the echo, and closes. */
const echo =
  (data: string | Buffer): Case =>
  (socket, _, tell) => {
    socket.on("message", (reply: Buffer, isBinary) => {
      tell(`${isBinary ? "binary" : "text"} ${reply.length} ${reply.equals(Buffer.from(data))}`)
      socket.close()
    })
    socket.on("close", (code) => tell(`closed ${code}`))
    socket.send(data)
  }

/** Sends bytes that no good server sends, and writes down the code that the client closes with. */
const misbehave =
  (hex: string): Case =>
  (socket, raw, tell) => {
    socket.on("close", (code) => tell(`closed ${code}`))
    raw.write(bytes(hex))
  }

/** A text in two fragments, with a Ping between them. */
const fragments: Case = (socket, raw, tell) => {
  socket.on("pong", (payload) => tell(`pong ${payload.toString()}`))
  socket.on("message", (reply: Buffer) => {
    tell(`text ${reply.toString()}`)
    socket.close()
  })
  raw.write(bytes("01 03 48 65 6c 89 02 68 69 80 02 6c 6f"))
}

const abrupt: Case = (_, raw) => raw.destroy()

const halfAFrame: Case = (_, raw) => raw.end(bytes("81 05 48 65"))

const serverError: Case = (socket) => socket.close(1011, "boom")

describe("conformance-client", () => {
  it("client echoes by type, survives whatever ends a case, and has the reports updated", async () => {
    const large = Buffer.alloc(1024 * 1024, 7)
    await using server = await FuzzingServer.listen([
      echo("Grüße"),
      echo(Buffer.from([0, 255])),
      echo(large),
      fragments,
      misbehave("83 00"),
      misbehave("81 02 c3 28"),
      abrupt,
      halfAFrame,
      "refuse",
      serverError,
      echo("last")
    ])
    await using client = Program.start("conformance-client", ["--url", server.url, "--agent", "effect-ws & co"])
    assert.deepStrictEqual(await client.exit, { code: 0, signal: null })
    assert.deepStrictEqual(server.notes, [
      "case 1: text 7 true",
      "case 1: closed 1005",
      "case 2: binary 2 true",
      "case 2: closed 1005",
      "case 3: binary 1048576 true",
      "case 3: closed 1005",
      "case 4: pong hi",
      "case 4: text Hello",
      "case 5: closed 1002",
      "case 6: closed 1007",
      "case 11: text 4 true",
      "case 11: closed 1005"
    ])
    assert.deepStrictEqual(server.reports, ["effect-ws & co"])
    const [ready, ...progress] = client.lines
    assert.strictEqual(ready, `running 11 cases of ${server.url} as effect-ws & co`)
    assert.deepStrictEqual(
      progress.slice(0, -1).map((line) => /^case (\d+ of 11: \w+)/.exec(line)?.[1]),
      [
        "1 of 11: ConnectionClosed",
        "2 of 11: ConnectionClosed",
        "3 of 11: ConnectionClosed",
        "4 of 11: ConnectionClosed",
        "5 of 11: ProtocolError",
        "6 of 11: ProtocolError",
        "7 of 11: ConnectionClosed",
        "8 of 11: ConnectionClosed",
        "9 of 11: HandshakeError",
        "10 of 11: ConnectionClosed",
        "11 of 11: ConnectionClosed"
      ]
    )
    assert.strictEqual(progress.at(-1), "the reports are updated")
    assert.strictEqual(client.stderr, "")
  })

  it("client runs no case when there is none", async () => {
    await using server = await FuzzingServer.listen([])
    await using client = Program.start("conformance-client", ["--url", `${server.url}/`, "--agent", "a"])
    assert.strictEqual((await client.exit).code, 0)
    assert.deepStrictEqual(client.lines, [`running 0 cases of ${server.url} as a`, "the reports are updated"])
    assert.deepStrictEqual(server.reports, ["a"])
  })

  it("client fails in one line when the count is no number", async () => {
    await using server = await FuzzingServer.listen([], "many")
    await using client = Program.start("conformance-client", ["--url", server.url, "--agent", "a"])
    assert.strictEqual((await client.exit).code, 1)
    assert.strictEqual(client.stderr, "the server didn't answer /getCaseCount with a number\n")
  })

  it("client says how it is called when an argument is missing", async () => {
    await using client = Program.start("conformance-client", ["--agent", "a"])
    assert.strictEqual((await client.exit).code, 1)
    assert.strictEqual(client.stderr, "usage: conformance-client --url ws://HOST:PORT --agent NAME\n")
  })
})
