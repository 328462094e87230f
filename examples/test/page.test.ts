import type { Browser, Page } from "playwright-core"
import { afterAll, afterEach, assert, beforeAll, beforeEach, describe, it } from "vitest"
import * as Chromium from "./support/Browser.ts"
import { Peer } from "./support/Peer.ts"
import * as Program from "./support/Program.ts"
import { reportSkip } from "./support/skips.ts"

let browser: Browser
let demo: Program.Program
let address: string
let page: Page
let problems: Array<string>

/** Waits until one end, the browser or the server, has reported this. */
const sees = (end: "browser" | "server", text: string | RegExp): Promise<void> =>
  page.locator(`#log li[data-end=${end}]`, { hasText: text }).first().waitFor()

const hears = (text: string): Promise<void> => page.locator("#chat-lines li", { hasText: text }).first().waitFor()

const click = (name: string): Promise<void> => page.getByRole("button", { name, exact: true }).click()

const connect = async (): Promise<void> => {
  await click("Connect")
  await sees("browser", "connected, subprotocol echo.v2")
  await sees("server", /^.*accepted 127\.0\.0\.1:\d+, echo\.v2$/)
}

const isMissing = !Chromium.isInstalled()

describe.skipIf(isMissing)("page", () => {
  beforeAll(async () => {
    demo = Program.start("start", [], { PORT: "0" })
    address = await demo.address()
    browser = await Chromium.launch()
  }, 60_000)

  afterAll(async () => {
    await browser.close()
    await demo[Symbol.asyncDispose]()
  })

  beforeEach(async () => {
    problems = []
    page = await browser.newPage()
    page.on("console", (message) => {
      if (message.type() === "error") problems.push(message.text())
    })
    page.on("pageerror", (error) => problems.push(error.message))
    page.on("request", (request) => {
      if (new URL(request.url()).host !== address && !request.url().startsWith("data:")) problems.push(request.url())
    })
    await page.goto(`http://${address}`)
  })

  afterEach(async () => {
    await page.close()
    assert.deepStrictEqual(problems, [])
  })

  it("browser exchanges text and bytes with the server", async () => {
    assert.match(await page.getByLabel("URL").inputValue(), new RegExp(`^ws://${address}/echo\\?id=\\w+$`))
    await connect()
    await page.getByLabel("Text").fill("Grüße")
    await click("Send text")
    await sees("server", 'received Text "Grüße"')
    await sees("browser", 'received Text "Grüße"')
    await page.getByLabel("Bytes").fill("00 ff 7f")
    await click("Send bytes")
    await sees("server", "received Binary 3 bytes: 00 ff 7f")
    await sees("browser", "received Binary 3 bytes: 00 ff 7f")
  })

  it("browser closes with a code and a reason, which the server sees", async () => {
    await connect()
    await page.getByLabel("Close code").fill("4321")
    await page.getByLabel("Reason").fill("that was all")
    await click("Close from here")
    await sees("server", 'received: 4321 "that was all", initiator: peer, clean: false')
    await sees("browser", 'closed { code: 4321, reason: "", wasClean: true }')
  })

  it("server closes with a code and a reason, which the browser sees", async () => {
    await connect()
    await page.getByLabel("Close code").fill("4000")
    await page.getByLabel("Reason").fill("you asked for it")
    await click("Let the server close")
    await sees("browser", 'closed { code: 4000, reason: "you asked for it", wasClean: true }')
    await sees("server", 'sent: 4000 "you asked for it", received: 4000')
    await connect()
  })

  it("page says what can't be sent", async () => {
    await connect()
    await page.getByLabel("Bytes").fill("abc")
    await click("Send bytes")
    await sees("browser", "bytes are pairs of hexadecimal digits")
    await page.getByLabel("Close code").fill("1005")
    await click("Let the server close")
    await sees("server", "can't close: Close code 1005 can't be sent")
    await click("Close from here")
    await sees("browser", /InvalidAccessError|close code/)
    assert.strictEqual(await page.locator("#state").textContent(), "connected")
  })

  it("browser takes part in the chat room with a ws client", async () => {
    await page.getByLabel("Your name").fill("anna")
    await click("Join")
    await hears("* here: anna")
    const bob = await Peer.connect(`ws://${address}/chat?name=bob`)
    await hears("* bob joined")
    bob.send("hello anna")
    await hears("bob: hello anna")
    await page.getByLabel("Say something").fill("hello bob")
    await click("Say")
    let line = await bob.next()
    while (line !== "anna: hello bob") line = await bob.next()
    await click("Leave")
    assert.strictEqual(await bob.next(), "* anna left")
    await hears("* you are out: 1000")
    await bob.close()
  })

  it("browser learns by the close reason why it can't be let in", async () => {
    const bob = await Peer.connect(`ws://${address}/chat?name=bob`)
    await bob.next()
    await page.getByLabel("Your name").fill("bob")
    await click("Join")
    await hears("* you are out: 4409, somebody is called bob already")
    await bob.close()
  })
})

if (isMissing) {
  it("reports that the page is not driven", () => {
    reportSkip("Chromium", `${Chromium.executablePath} is missing`, 6)
  })
}
