/**
 * What is measured: the work of each row, who takes part in it, and what is aimed at.
 */

/**
 * The ratios that are aimed at, to each of those that are compared with.
 *
 * @typedef {{ readonly ws?: number, readonly floor?: number, readonly stock?: number }} Target
 */

/**
 * @typedef {object} Row
 * @property {string} name
 * @property {"messages" | "compression" | "connections" | "clients"} set in whose table it is
 * @property {"echo" | "fanout" | "visits" | "idle" | "client"} kind
 * @property {string} unit of what is counted
 * @property {number} connections
 * @property {number} inFlight messages on each connection, or on the one that publishes, or visits in all
 * @property {string} content
 * @property {ReadonlyArray<number>} sizes in bytes
 * @property {number} [fragments]
 * @property {"echo" | "read" | "fanout"} work of the handlers
 * @property {"off" | "alone" | "default" | "takeover"} deflate
 * @property {string} [offer] of permessage-deflate
 * @property {ReadonlyArray<string>} peers
 * @property {Readonly<Record<string, Target>>} targets for those of ours
 * @property {number} [times] as long as others it takes until the code is compiled, and as long it is measured
 * @property {boolean} [asBrowser] whether visitors send the fields that a browser sends besides
 * @property {boolean} [isQuick]
 */

const all = ["floor", "ws", "ws-addons", "stock", "stock-http", "websocket", "faye", "bun", "ours"]
const withServe = [...all, "serve"]
const withEach = [...all, "streams", "serve"]

/** @type {Pick<Row, "set" | "kind" | "unit" | "connections" | "inFlight" | "content" | "work" | "deflate" | "peers">} */
const usual = {
  set: "messages",
  kind: "echo",
  unit: "message",
  connections: 1,
  inFlight: 1,
  content: "text",
  work: "echo",
  deflate: "off",
  peers: all
}

// From 16 to 128 bytes, in no order.
const mixed = [16, 96, 48, 128, 32, 112, 64, 80]

const small = { ours: { ws: 0.95, floor: 1.2, stock: 0.6 }, streams: { ws: 1.3, stock: 0.6 } }
const batched = { ours: { ws: 0.12, stock: 0.06 }, streams: { ws: 0.25, stock: 0.6 } }
const large = { ours: { ws: 0.4, floor: 1.3, stock: 0.35 } }

/** @type {ReadonlyArray<Row>} */
const messages = [
  { ...usual, name: "16 B text, 1 in flight, 1 connection", sizes: [16], peers: withEach, targets: small },
  {
    ...usual,
    name: "16 B text, 1 in flight, 64 connections",
    sizes: [16],
    connections: 64,
    peers: withEach,
    targets: small,
    isQuick: true
  },
  {
    ...usual,
    name: "64 B text, 1 in flight, 1000 connections",
    sizes: [64],
    connections: 1000,
    peers: withServe,
    targets: { ours: { ws: 0.95, floor: 1.15, stock: 0.5 } }
  },
  {
    ...usual,
    name: "16-128 B text, 32 in flight",
    sizes: mixed,
    connections: 8,
    inFlight: 32,
    peers: withEach,
    targets: batched,
    isQuick: true
  },
  {
    ...usual,
    name: "16-128 B binary, 32 in flight",
    content: "binary",
    sizes: mixed,
    connections: 8,
    inFlight: 32,
    targets: { ours: batched.ours }
  },
  {
    ...usual,
    name: "1 KiB binary, 8 in flight",
    content: "binary",
    sizes: [1024],
    connections: 8,
    inFlight: 8,
    targets: { ours: { ws: 0.25, floor: 2, stock: 0.15 } },
    isQuick: true
  },
  {
    ...usual,
    name: "1 KiB multibyte text, 8 in flight, relayed",
    content: "multibyte text",
    sizes: [1024],
    connections: 8,
    inFlight: 8,
    targets: { ours: { ws: 0.25, stock: 0.1 } }
  },
  {
    ...usual,
    name: "1 KiB ASCII text, 8 in flight, read",
    sizes: [1024],
    connections: 8,
    inFlight: 8,
    work: "read",
    targets: { ours: { ws: 0.35, stock: 0.15 } }
  },
  {
    ...usual,
    name: "1 KiB multibyte text, 8 in flight, read",
    content: "multibyte text",
    sizes: [1024],
    connections: 8,
    inFlight: 8,
    work: "read",
    targets: { ours: { ws: 0.6, stock: 0.25 } }
  },
  {
    ...usual,
    name: "16 KiB binary, 8 connections",
    content: "binary",
    sizes: [16_384],
    connections: 8,
    targets: { ours: large.ours },
    isQuick: true
  },
  {
    ...usual,
    name: "256 KiB binary, 4 connections",
    content: "binary",
    sizes: [262_144],
    connections: 4,
    targets: { ours: large.ours }
  },
  {
    ...usual,
    name: "1 MiB binary, 2 connections",
    content: "binary",
    sizes: [1_048_576],
    connections: 2,
    targets: { ours: large.ours }
  },
  {
    ...usual,
    name: "16 KiB binary in 8 fragments, 8 connections",
    content: "binary",
    sizes: [16_384],
    connections: 8,
    fragments: 8,
    targets: { ours: { ws: 0.45, floor: 1.6, stock: 0.3 } }
  }
]

/** @type {Omit<Row, "name" | "targets">} */
const compressed = {
  ...usual,
  set: "compression",
  content: "JSON",
  connections: 8,
  inFlight: 8,
  // More than a window, so that who remembers doesn't find the same messages again.
  sizes: Array.from({ length: 64 }, () => 1024),
  peers: ["ws", "stock", "bun", "ours"]
}

/** @type {ReadonlyArray<Row>} */
const compression = [
  {
    ...compressed,
    name: "1 KiB JSON, compressed without takeover",
    deflate: "alone",
    offer: "server_no_context_takeover; client_no_context_takeover",
    targets: { ours: { ws: 0.25, stock: 0.18 } }
  },
  {
    ...compressed,
    name: "1 KiB JSON, compressed as a browser offers it",
    deflate: "default",
    offer: "client_max_window_bits",
    targets: { ours: { ws: 0.15, stock: 0.12 } }
  },
  {
    ...compressed,
    name: "1 KiB JSON, compressed with takeover both ways",
    deflate: "takeover",
    offer: "client_max_window_bits",
    targets: {}
  }
]

/** @type {ReadonlyArray<Row>} */
const connections = [
  {
    ...usual,
    name: "64 B text, fan-out to 500, 1 under way",
    set: "connections",
    kind: "fanout",
    unit: "delivery",
    connections: 500,
    sizes: [64],
    work: "fanout",
    peers: ["floor", "ws", "ws-addons", "websocket", "faye", "bun", "ours"],
    targets: { ours: { ws: 0.35 } }
  },
  {
    ...usual,
    name: "64 B text, fan-out to 500, 8 under way",
    set: "connections",
    kind: "fanout",
    unit: "delivery",
    connections: 500,
    inFlight: 8,
    sizes: [64],
    work: "fanout",
    peers: ["floor", "ws", "ws-addons", "websocket", "faye", "bun", "ours"],
    targets: { ours: { ws: 0.35 } }
  },
  {
    ...usual,
    name: "connect, upgrade, echo, close",
    set: "connections",
    kind: "visits",
    unit: "visit",
    times: 6,
    inFlight: 64,
    sizes: [16],
    peers: withServe,
    targets: { ours: { ws: 0.6, stock: 0.15 } }
  },
  {
    ...usual,
    name: "the same, with the fields of a browser",
    set: "connections",
    kind: "visits",
    unit: "visit",
    times: 6,
    inFlight: 64,
    sizes: [16],
    asBrowser: true,
    peers: ["floor", "ws", "stock", "ours"],
    targets: {}
  },
  {
    ...usual,
    name: "10 000 idle connections",
    set: "connections",
    kind: "idle",
    unit: "connection",
    connections: 10_000,
    sizes: [16],
    peers: ["floor", "ws", "stock", "stock-http", "ours", "serve"],
    targets: { ours: { ws: 2.3, stock: 0.4 }, serve: { ws: 1.3, stock: 0.25 } }
  }
]

/** @type {Omit<Row, "name" | "sizes">} */
const client = {
  ...usual,
  set: "clients",
  kind: "client",
  peers: ["floor-client", "ws-client", "undici-client", "stock-client", "ours-client"],
  targets: {}
}

/** @type {ReadonlyArray<Row>} */
const clients = [
  { ...client, name: "client: 16 B text, 1 in flight, 64 connections", sizes: [16], connections: 64 },
  { ...client, name: "client: 16-128 B text, 32 in flight", sizes: mixed, connections: 8, inFlight: 32 },
  { ...client, name: "client: 16 KiB binary, 8 connections", content: "binary", sizes: [16_384], connections: 8 }
]

/** @type {ReadonlyArray<Row>} */
export const rows = [...messages, ...compression, ...connections, ...clients]

/** The tables, in their order, and what they are about. */
export const sets = {
  messages: "Messages echoed by a server",
  compression: "Messages echoed by a server, compressed",
  connections: "Many connections",
  clients: "Messages echoed by a client"
}
