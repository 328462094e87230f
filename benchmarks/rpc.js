/**
 * Calls of `@effect/rpc` for each second of CPU, over our sockets and over the stock ones, interleaved in one run:
 * `node benchmarks/rpc.js`. Server and client share a process, so that both are in the figure.
 *
 * Options: --rounds N (5), --calls N (40000).
 */
import { fork } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    calls: { type: "string", default: "40000" },
    // What a process of its own is told: which server, which client.
    cell: { type: "string" }
  }
})
const rounds = Number(values.rounds)
const calls = Number(values.calls)

/** @type {ReadonlyArray<readonly [server: string, client: string]>} */
const cells = [
  ["stock", "stock"],
  ["stock", "ours"],
  ["ours", "stock"],
  ["ours", "ours"]
]

/** @param {ReadonlyArray<number>} numbers */
const median = (numbers) => [...numbers].sort((left, right) => left - right)[Math.floor(numbers.length / 2)] ?? NaN

/** @param {string} cell */
const measure = async (cell) => {
  const { Context, Effect, Layer, Schema } = await import("effect")
  const SocketServer = await import("@effect/platform/SocketServer")
  const { Rpc, RpcClient, RpcGroup, RpcSerialization, RpcServer } = await import("@effect/rpc")
  const ours = {
    client: await import("@effect-ws/platform-node/NodeSocket"),
    server: await import("@effect-ws/platform-node/NodeSocketServer")
  }
  const stock = {
    client: await import("@effect/platform-node/NodeSocket"),
    server: await import("@effect/platform-node/NodeSocketServer")
  }
  const [server, client] = cell.split("/")
  const group = RpcGroup.make(Rpc.make("Double", { payload: { number: Schema.Number }, success: Schema.Number }))
  const options = { disableTracing: true }
  const listening = (server === "ours" ? ours : stock).server.layerWebSocket({ port: 0, host: "127.0.0.1" })
  const served = RpcServer.layer(group, options).pipe(
    Layer.provide(group.toLayer({ Double: ({ number }) => Effect.succeed(number * 2) })),
    Layer.provide(RpcServer.layerProtocolSocketServer),
    Layer.provideMerge(listening),
    Layer.provide(RpcSerialization.layerMsgPack)
  )
  const program = Effect.gen(function* () {
    const { address } = Context.get(yield* Layer.build(served), SocketServer.SocketServer)
    const url = `ws://127.0.0.1:${address._tag === "TcpAddress" ? address.port : 0}`
    const socket = (client === "ours" ? ours : stock).client.layerWebSocket(url)
    const protocol = RpcClient.layerProtocolSocket().pipe(
      Layer.provide(socket),
      Layer.provide(RpcSerialization.layerMsgPack)
    )
    const { Double } = yield* Effect.provide(RpcClient.make(group, options), yield* Layer.build(protocol))
    /** @param {number} count */
    const run = (count) =>
      Effect.forEach(
        Array.from({ length: count }, (_, number) => number),
        (number) =>
          Effect.flatMap(Double({ number }), (double) =>
            double === number * 2 ? Effect.void : Effect.die(`${number} times two is not ${double}`)
          ),
        { concurrency: 500, discard: true }
      )
    yield* run(calls / 4)
    const before = process.cpuUsage()
    yield* run(calls)
    const { system, user } = process.cpuUsage(before)
    return (calls * 1e6) / (system + user)
  })
  return Effect.runPromise(Effect.scoped(program))
}

if (values.cell !== undefined) {
  process.send?.(await measure(values.cell))
  process.exit(0)
}

/** @type {Map<string, Array<number>>} */
const results = new Map()
for (let round = 0; round < rounds; round++) {
  for (const [server, client] of cells) {
    const cell = `${server}/${client}`
    console.error(`round ${round + 1} of ${rounds}: ${cell}`)
    const child = fork(fileURLToPath(import.meta.url), ["--cell", cell, "--calls", String(calls)])
    const [figure] = await once(child, "message")
    results.set(cell, [...(results.get(cell) ?? []), figure])
  }
}

const base = median(results.get("stock/stock") ?? [])
console.log(`Calls for each second of CPU, msgPack, 500 in flight, medians of ${rounds} (Node ${process.version})\n`)
console.log("| server | client | calls | spread | to stock on both sides |\n|---|---|---|---|---|")
for (const [server, client] of cells) {
  const figures = results.get(`${server}/${client}`) ?? []
  const spread = `${Math.round(Math.min(...figures))} to ${Math.round(Math.max(...figures))}`
  const middle = median(figures)
  console.log(`| ${server} | ${client} | ${Math.round(middle)} | ${spread} | ${(middle / base).toFixed(2)} |`)
}
