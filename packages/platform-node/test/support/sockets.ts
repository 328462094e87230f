import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { once } from "node:events"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Os from "node:os"
import * as Path from "node:path"
import type { Transport, TransportSink } from "@effect-ws/api/Transport"

export const bytes = (...values: Array<number>) => Uint8Array.from(values)

/** Waits for an event of Node, which has to come later than this is run. */
export const event = (emitter: NodeJS.EventEmitter, name: string) =>
  Effect.async<void>((resume) => {
    emitter.once(name, () => resume(Effect.void))
  })

/** Goes round the event loop once. */
export const turn = Effect.async<void>((resume) => {
  setImmediate(() => resume(Effect.void))
})

/** Goes round the event loop until something is so. The test's own time limit ends it. */
export const until = (isSo: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => (isSo() ? Effect.void : Effect.zipRight(turn, until(isSo))))

/** A sink that keeps the names of what it is told, in order. */
export const record = (): TransportSink & { readonly events: Array<string> } => {
  const events: Array<string> = []
  return {
    events,
    chunk: (chunk) => void events.push(`chunk ${chunk.length}`),
    end: () => void events.push("end"),
    drained: () => void events.push("drained"),
    closed: (error) => void events.push(error === undefined ? "closed" : `closed by ${error.operation}`)
  }
}

export const recordOn = (transport: Transport) => {
  const sink = record()
  transport.start(sink)
  return sink.events
}

/** A path for a unix socket, or the name of a pipe on Windows. */
export const socketPath = Effect.acquireRelease(
  Effect.sync(() => Fs.mkdtempSync(Path.join(Os.tmpdir(), "effect-ws-"))),
  (folder) => Effect.sync(() => Fs.rmSync(folder, { recursive: true, force: true }))
).pipe(
  Effect.map((folder) =>
    process.platform === "win32" ? `\\\\.\\pipe\\${Path.basename(folder)}` : Path.join(folder, "socket")
  )
)

export interface SocketPair {
  readonly near: Net.Socket
  readonly far: Net.Socket
}

/** Two sockets joined over loopback: `near` as `net.connect` makes it, `far` as a server accepts it, not read yet. */
export const socketPair = (options: Net.ServerOpts = {}) =>
  Effect.acquireRelease(
    Effect.promise(async (): Promise<SocketPair> => {
      const server = Net.createServer({ allowHalfOpen: true, pauseOnConnect: true, ...options })
      server.listen(0, "127.0.0.1")
      await once(server, "listening")
      const near = Net.connect((server.address() as Net.AddressInfo).port, "127.0.0.1")
      const [[far]] = (await Promise.all([once(server, "connection"), once(near, "connect")])) as [
        [Net.Socket],
        unknown
      ]
      server.close()
      return { near, far }
    }),
    ({ far, near }) =>
      Effect.sync(() => {
        near.destroy()
        far.destroy()
      })
  )

const handles = () =>
  process
    .getActiveResourcesInfo()
    .filter((name) => /TCP|Pipe|TLS|GetAddrInfo/i.test(name))
    .sort()

const settledHandles = (expected: number): Effect.Effect<Array<string>> =>
  Effect.gen(function* () {
    // A lookup can't be called off: it is left to the system, which ends it.
    yield* until(() => !handles().includes("GetAddrInfoReqWrap"))
    // A closed handle goes in the turn after; other tests of the file may have just closed some.
    for (let i = 0; i < 1000 && handles().length > expected; i++) yield* turn
    return handles()
  })

/** Fails the test when the effect leaves a socket or a server behind. */
export const leavesNothing = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const before = yield* settledHandles(own)
    const result = yield* self
    assert.deepStrictEqual(yield* settledHandles(before.length), before)
    return result
  })

// What the test runner itself holds.
const own = handles().length
