import { assert, describe, it } from "vitest"
import { Peer } from "./support/Peer.ts"
import * as Program from "./support/Program.ts"

const openRoom = async (): Promise<{ readonly program: Program.Program; readonly url: string }> => {
  const program = Program.start("chat")
  return { program, url: `ws://${await program.address()}/chat` }
}

describe("chat", () => {
  it("members hear what the others say, and who comes and goes", async () => {
    const { program, url } = await openRoom()
    await using _ = program
    const anna = await Peer.connect(`${url}?name=anna`)
    assert.strictEqual(await anna.next(), "* anna joined")
    assert.strictEqual(await anna.next(), "* here: anna")
    const bob = await Peer.connect(`${url}?name=bob`)
    assert.strictEqual(await bob.next(), "* bob joined")
    assert.strictEqual(await bob.next(), "* here: anna, bob")
    assert.strictEqual(await anna.next(), "* bob joined")
    anna.send("hello\nbob")
    assert.strictEqual(await anna.next(), "anna: hello bob")
    assert.strictEqual(await bob.next(), "anna: hello bob")
    assert.deepStrictEqual(await bob.close(1000), { code: 1000, reason: "" })
    assert.strictEqual(await anna.next(), "* bob left")
  })

  it("server closes with a code and a reason on a member it can't let in", async () => {
    const { program, url } = await openRoom()
    await using _ = program
    const anna = await Peer.connect(`${url}?name=anna`)
    await anna.next()
    const second = await Peer.connect(`${url}?name=anna`)
    assert.deepStrictEqual(await second.closed, { code: 4409, reason: "somebody is called anna already" })
    const nameless = await Peer.connect(url)
    assert.deepStrictEqual(await nameless.closed, { code: 4400, reason: "a name has 1 to 20 letters, digits, - and _" })
    assert.strictEqual(anna.socket.readyState, anna.socket.OPEN)
  })

  it("server closes with 1003 on bytes and with 1009 on a message that is too big, and the name is free again", async () => {
    const { program, url } = await openRoom()
    await using _ = program
    const first = await Peer.connect(`${url}?name=anna`)
    first.send(Uint8Array.of(1))
    assert.deepStrictEqual(await first.closed, { code: 1003, reason: "the room takes text only" })
    const second = await Peer.connect(`${url}?name=anna`)
    assert.strictEqual(await second.next(), "* anna joined")
    second.send("x".repeat(1025))
    assert.strictEqual((await second.closed).code, 1009)
    assert.strictEqual(program.stderr, "")
  })

  it("a member who doesn't read is sent away and stalls nobody", async () => {
    const { program, url } = await openRoom()
    await using _ = program
    const slow = await Peer.connect(`${url}?name=slow`)
    slow.socket.pause()
    const anna = await Peer.connect(`${url}?name=anna`)
    const line = "x".repeat(1000)
    let heard = await anna.next()
    while (heard !== "* slow left") {
      if (heard === `anna: ${line}` || heard === "* here: anna, slow") anna.send(line)
      heard = await anna.next()
    }
    anna.send("done")
    while (heard !== "anna: done") heard = await anna.next()
    slow.socket.resume()
    slow.socket.terminate()
  })

  it("client of the examples takes part, and every member gets 1001 when the server is interrupted", async () => {
    const { program, url } = await openRoom()
    await using _ = program
    const anna = await Peer.connect(`${url}?name=anna`)
    await using bob = Program.start("client", [`${url}?name=bob`])
    await bob.line(/^< \* here: anna, bob$/)
    bob.write("hi\n")
    await bob.line(/^< bob: hi$/)
    program.signal("SIGINT")
    assert.strictEqual((await anna.closed).code, 1001)
    assert.strictEqual((await bob.exit).code, 0)
    assert.deepStrictEqual(await program.exit, { code: 0, signal: null })
    assert.strictEqual(program.stderr, "")
  })
})
