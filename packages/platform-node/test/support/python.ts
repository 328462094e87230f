/**
 * The `websockets` library of Python in both roles. A process of its own is behind each client and each server.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as ChildProcess from "node:child_process"
import { fileURLToPath } from "node:url"
import type { ConnectOptions, Peer, PeerEvent } from "./peers.ts"
import { type Program, type Running, start } from "./programs.ts"

// Other interfaces of the library came later than what the systems in use bring.
const hasLibrary = (command: string): boolean =>
  ChildProcess.spawnSync(command, ["-B", "-c", "import websockets.legacy.server"]).status === 0

const findPython = (): Program => {
  const command = ["python3", "/usr/bin/python3"].find(hasLibrary)
  const problem = command === undefined ? "no python3 with websockets is installed" : undefined
  return { name: "python's websockets", command: command ?? "python3", problem }
}

export const python = findPython()

/** What a program tells, as the events of any peer; `Open` has the fields that came with it besides. */
export type PythonEvent = PeerEvent & { readonly headers?: Readonly<Record<string, string>> }

export interface PythonPeer extends Peer {
  readonly next: Effect.Effect<PythonEvent>
  /** Sends a Ping; the next `Pong` is the answer to it. */
  readonly ping: (payload: string) => void
}

/** What it offers for permessage-deflate, in its own words. */
export interface PythonConnectOptions extends ConnectOptions {
  readonly deflate?: Readonly<Record<string, boolean | number>>
}

/** `websockets` as a client, with its own defaults unless it is told otherwise: it offers permessage-deflate. */
export const connectPython = (
  url: string,
  { deflate, headers = {}, subprotocols = [] }: PythonConnectOptions = {}
): Effect.Effect<PythonPeer, never, Scope.Scope> =>
  Effect.map(startProgram("client.py", JSON.stringify({ url, headers, subprotocols, deflate })), toPeer)

export interface PythonServer extends PythonPeer {
  readonly url: string
}

/** `websockets` as a server: a peer of one client after the other. Its subprotocols are chat.v2 and chat.v1. */
export const servePython: Effect.Effect<PythonServer, never, Scope.Scope> = Effect.gen(function* () {
  const running = yield* startProgram("server.py")
  const { port } = JSON.parse(yield* running.nextLine) as { readonly port: number }
  return { ...toPeer(running), url: `ws://127.0.0.1:${port}` }
})

// "-B" writes no compiled files beside the programs; text is UTF-8 whatever the locale of the machine.
const startProgram = (file: string, ...args: ReadonlyArray<string>) =>
  start(python, ["-B", "-X", "utf8", fileURLToPath(new URL(`python/${file}`, import.meta.url)), ...args])

const toPeer = ({ nextLine, write }: Running): PythonPeer => {
  const tell = (command: Readonly<Record<string, unknown>>) => write(JSON.stringify(command))
  return {
    next: Effect.map(nextLine, (line) => toEvent(JSON.parse(line))),
    send: (data) =>
      tell(typeof data === "string" ? { _tag: "Text", text: data } : { _tag: "Binary", base64: toBase64(data) }),
    close: (code, reason = "") => tell({ _tag: "Close", code, reason }),
    ping: (payload) => tell({ _tag: "Ping", payload })
  }
}

const toEvent = (told: PythonEvent | { readonly _tag: "Binary"; readonly base64: string }): PythonEvent =>
  "base64" in told ? { _tag: "Binary", bytes: new Uint8Array(Buffer.from(told.base64, "base64")) } : told

const toBase64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64")
