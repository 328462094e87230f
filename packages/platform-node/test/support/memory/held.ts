/**
 * A program that tells how many bytes a case holds: `node --expose-gc held.js CASE`.
 *
 * It prints one line of JSON: what was held after two collections of garbage, the documented bound, and what the case says
 * of itself in the end.
 */
import { ByteOps } from "@effect-ws/api/ByteOps"
import * as WebSocket from "@effect-ws/api/WebSocket"
import { nodeByteOps } from "@effect-ws/platform-node/NodeByteOps"
import * as Effect from "effect/Effect"
import { upgradeRequest } from "../rawPeer.ts"
import { turn } from "../sockets.ts"
import { type Case, cases, type Opened } from "./cases.ts"
import { Faucet } from "./Faucet.ts"

declare const gc: () => void

const open = Effect.suspend(() => {
  const faucet = new Faucet()
  const accepted = WebSocket.acceptTransport(faucet, { bytes: Buffer.from(upgradeRequest) })
  return Effect.map(accepted, (socket): Opened => ({ faucet, socket }))
})

const held = Effect.gen(function* () {
  for (let i = 0; i < 2; i++) {
    gc()
    yield* turn
  }
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return heapUsed + arrayBuffers
})

const once = (connections: number, fill: Case, scale: number) =>
  Effect.gen(function* () {
    const opened = yield* Effect.replicateEffect(open, connections)
    const before = yield* held
    const { bound, finish } = yield* fill(opened, scale)
    const after = yield* held
    const finished = yield* finish
    for (const { socket } of opened) yield* socket.destroy
    return { held: after - before, bound, finished }
  })

const program = Effect.gen(function* () {
  const { connections, fill } = cases[process.argv[2]!]!
  // What is compiled and made once is not counted.
  yield* Effect.repeatN(Effect.scoped(once(Math.ceil(connections / 50), fill, 1 / 64)), 2)
  return yield* once(connections, fill, 1)
})

const result = await Effect.runPromise(Effect.scoped(Effect.provideService(program, ByteOps, nodeByteOps)))
console.log(JSON.stringify(result))
