/**
 * Headless Chromium, the one that is installed on this machine, with the WebSocket of a page as a peer.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Fs from "node:fs"
import { chromium as playwright, type BrowserContext, type Page } from "playwright-core"
import { afterAll, beforeAll } from "vitest"
import type { Connect, ConnectOptions, Peer, PeerEvent } from "./peers.ts"
import { describeWith, type Program } from "./programs.ts"

const command = process.env["CHROMIUM_PATH"] ?? "/usr/bin/chromium"

/** `CHROMIUM_PATH` names another place. */
const chromium: Program = {
  name: "Chromium",
  command,
  problem: Fs.existsSync(command) ? undefined : `${command} is missing`
}

/** Opens a WebSocket in a page of the origin given, by default the one that is connected to. */
export type ConnectFrom = (origin?: string) => Connect

/** Declares tests with a browser of their own, which asks nothing of the network by itself; see `describeWith`. */
export const describeChromium = (title: string, tests: (connectFrom: ConnectFrom) => void): void =>
  describeWith(chromium, title, () => {
    const scope = Effect.runSync(Scope.make())
    let context: BrowserContext
    const start = Effect.map(Scope.extend(launch, scope), (launched) => {
      context = launched
    })
    beforeAll(() => Effect.runPromise(start), 60_000)
    afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))
    tests((origin) => (url, options) => connectIn(context, url, options, origin))
  })

const launch: Effect.Effect<BrowserContext, never, Scope.Scope> = Effect.acquireRelease(
  Effect.promise(() => playwright.launch({ executablePath: command, args: launchArguments })),
  (browser) => Effect.promise(() => browser.close())
).pipe(Effect.flatMap((browser) => Effect.promise(() => browser.newContext())))

const launchArguments = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run"
]

const connectIn = (
  context: BrowserContext,
  url: string,
  { subprotocols = [] }: ConnectOptions = {},
  origin: string = new URL(url.replace("ws", "http")).origin
): Effect.Effect<Peer, never, Scope.Scope> =>
  Effect.gen(function* () {
    const page = yield* Effect.acquireRelease(
      Effect.promise(() => context.newPage()),
      (page) => Effect.promise(() => page.close())
    )
    // Whatever the server answers, even a refusal, is a page of its origin.
    yield* Effect.promise(() => page.goto(origin))
    yield* Effect.promise(() => page.evaluate(`{${script}}\nconnect(${JSON.stringify([url, subprotocols])})`))
    return toPeer(page)
  })

const toPeer = (page: Page): Peer => {
  // One call at a time, in the order in which they were made.
  let calls: Promise<unknown> = Promise.resolve()
  const call = (name: string, argument: unknown): void => {
    calls = calls.then(() => page.evaluate(`${name}(${JSON.stringify(argument)})`))
  }
  return {
    next: Effect.promise(() => calls.then(() => page.evaluate("next()"))).pipe(Effect.map(toEvent)),
    send: (data) =>
      typeof data === "string" ? call("sendText", data) : call("sendBytes", Buffer.from(data).toString("base64")),
    close: (code, reason) => call("closeWith", code === undefined ? [] : [code, reason ?? ""])
  }
}

const toEvent = (told: unknown): PeerEvent => {
  const event = told as PeerEvent | { readonly _tag: "Binary"; readonly base64: string }
  return "base64" in event ? { _tag: "Binary", bytes: new Uint8Array(Buffer.from(event.base64, "base64")) } : event
}

// The listeners are there before the page goes on: nothing of what the server says can be missed.
const script = `
  const told = []
  let wake = () => {}
  const tell = (event) => { told.push(event); wake() }
  const toBase64 = (buffer) => {
    const bytes = new Uint8Array(buffer)
    let text = ""
    for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192))
    return btoa(text)
  }
  const fromBase64 = (base64) => {
    const text = atob(base64)
    const bytes = new Uint8Array(text.length)
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i)
    return bytes
  }
  window.connect = ([url, subprotocols]) => {
    const socket = new WebSocket(url, subprotocols)
    socket.binaryType = "arraybuffer"
    socket.onopen = () => tell({ _tag: "Open", subprotocol: socket.protocol, extensions: socket.extensions })
    socket.onmessage = ({ data }) =>
      tell(typeof data === "string" ? { _tag: "Text", text: data } : { _tag: "Binary", base64: toBase64(data) })
    socket.onerror = () => tell({ _tag: "Error", message: "" })
    socket.onclose = ({ code, reason }) => tell({ _tag: "Close", code, reason })
    window.sendText = (text) => socket.send(text)
    window.sendBytes = (base64) => socket.send(fromBase64(base64))
    window.closeWith = (reason) => socket.close(...reason)
  }
  window.next = async () => {
    while (told.length === 0) await new Promise((resolve) => (wake = resolve))
    return told.shift()
  }
`
