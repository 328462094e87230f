/**
 * Who is measured: the programs in `servers/` and `clients/`, and what they are called.
 */
import * as Fs from "node:fs"
import * as Path from "node:path"
import { root } from "../scripts/workspace.js"

/**
 * @typedef {object} Peer
 * @property {string} title
 * @property {string} program in `servers/`, without its ending
 * @property {Readonly<Record<string, string>>} [env]
 * @property {string} [runtime] in place of Node, `undefined` where it is Node
 * @property {number} rounds at most
 * @property {boolean} [isOurs]
 * @property {boolean} [isStock]
 */

// `ws` takes its native addons where they are installed, whoever uses it.
const withoutAddons = { WS_NO_BUFFER_UTIL: "1", WS_NO_UTF_8_VALIDATE: "1" }

/** @type {() => string | undefined} where Bun is, if it is there */
const findBun = () => {
  const name = process.platform === "win32" ? "bun.exe" : "bun"
  const folders = [Path.join(root, "node_modules/.bin"), ...(process.env.PATH ?? "").split(Path.delimiter)]
  return folders.map((folder) => Path.join(folder, name)).find((file) => Fs.existsSync(file))
}

export const bun = findBun()

// Those who only show where they stand get fewer rounds.
const few = 2

/** @type {Record<string, Peer>} */
export const peers = {
  floor: { title: "floor, `node:net`", program: "net", rounds: Infinity },
  ws: { title: "ws", program: "ws", env: withoutAddons, rounds: Infinity },
  "ws-addons": { title: "ws with its addons", program: "ws", rounds: few },
  stock: {
    title: "stock Effect, `NodeSocketServer`",
    program: "stock",
    env: withoutAddons,
    rounds: Infinity,
    isStock: true
  },
  "stock-http": {
    title: "stock Effect, `upgrade`",
    program: "stock-http",
    env: withoutAddons,
    rounds: few,
    isStock: true
  },
  websocket: { title: "websocket", program: "websocket", rounds: few },
  faye: { title: "faye-websocket", program: "faye-websocket", rounds: few },
  bun: { title: "Bun", program: "bun", rounds: few, ...(bun === undefined ? {} : { runtime: bun }) },
  ours: { title: "effect-ws", program: "effect-ws", rounds: Infinity, isOurs: true },
  streams: { title: "effect-ws, Streams", program: "effect-ws-streams", rounds: Infinity, isOurs: true },
  serve: { title: "effect-ws, `serve`", program: "effect-ws-serve", rounds: Infinity, isOurs: true },
  "floor-client": { title: "floor, `node:net`", program: "../clients/net", rounds: Infinity },
  "ws-client": { title: "ws", program: "../clients/ws", env: withoutAddons, rounds: Infinity },
  "undici-client": { title: "undici", program: "../clients/undici", rounds: Infinity },
  "stock-client": {
    title: "stock Effect, `makeWebSocket`",
    program: "../clients/stock",
    env: withoutAddons,
    rounds: Infinity,
    isStock: true
  },
  "ours-client": { title: "effect-ws", program: "../clients/effect-ws", rounds: Infinity, isOurs: true }
}
