/** The page about time and limits has every option there is, with its default; and what a time does when it is over. */
import * as ConnectionOptions from "@effect-ws/api/ConnectionOptions"
import * as ServerOptions from "@effect-ws/api/ServerOptions"
import type { WebSocketError } from "@effect-ws/api/WebSocketError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import * as TestContext from "effect/TestContext"
import { assert, describe, it } from "vitest"
import { open, type Opened, type OpenOptions, type Role, roles } from "../packages/api/test/support/connections.ts"
import { leavesNothing, settled } from "../packages/api/test/support/leaks.ts"
import { tablesOf } from "./support/page.ts"

const tableUnder = tablesOf("time-and-limits.md")

const times = tableUnder("## Time")
const sizes = tableUnder("## Size")
const limits = tableUnder("## Servers")

/** What a cell says, in the unit of the code. */
const valueOf = (cell: string): unknown => {
  if (cell === "off" || cell === "no limit") return Infinity
  if (cell === "none" || cell === "maxMessageSize") return undefined
  if (cell === "true" || cell === "false") return cell === "true"
  const [, number, unit] = /^(\d+)(?: (\w+))?$/.exec(cell) ?? []
  if (number === undefined) return cell
  return Number(number) * (units[unit ?? "one"] ?? Number.NaN)
}

const units: Readonly<Record<string, number>> = {
  one: 1,
  KiB: 1024,
  MiB: 1024 * 1024,
  seconds: 1000,
  minute: 60_000,
  minutes: 60_000
}

/** What stands in the column "off by". */
const offBy = (name: string, make: (input: object) => unknown): string => {
  if (name === "validateText" || name === "permessageDeflate") return "false"
  if (name === "fragmentSize" || name === "trustedProxies") return "leaving it out"
  try {
    make({ [name]: Infinity })
    return "Infinity"
  } catch (error) {
    assert.instanceOf(error, RangeError)
    assert.include((error as RangeError).message, name)
    return "no"
  }
}

type Use = (opened: Opened) => Effect.Effect<unknown, unknown, Scope.Scope>

/** How a connection gets to the end of a time or a limit: the options, and what is done. */
interface Case {
  readonly options?: OpenOptions["socket"]
  readonly use: Use
}

const passing = (time: Duration.DurationInput): Use => {
  return () => Effect.zipRight(settled, TestClock.adjust(time))
}

const sending =
  (bytes: (opened: Opened) => Uint8Array): Use =>
  (opened) =>
    Effect.zipRight(
      Effect.sync(() => opened.peer.send(bytes(opened))),
      settled
    )

const cases: Readonly<Record<string, Case>> = {
  closeTimeout: {
    use: (opened) =>
      Effect.zipRight(Effect.forkScoped(Effect.ignore(opened.socket.close())), passing("6 seconds")(opened))
  },
  pongTimeout: { options: { pongTimeout: "1 second", pingInterval: "1 minute" }, use: passing("2 minutes") },
  writeTimeout: {
    use: (opened) =>
      Effect.gen(function* () {
        opened.peer.transport.pause()
        yield* Effect.forkScoped(Effect.ignore(Effect.forever(opened.socket.send(new Uint8Array(100_000)))))
        yield* passing("60500 millis")(opened)
        opened.peer.transport.resume()
      })
  },
  messageTimeout: {
    options: { idleTimeout: Infinity },
    use: (opened) =>
      Effect.zipRight(sending(({ peer }) => peer.frame(1, "a", { fin: false }))(opened), TestClock.adjust("6 minutes"))
  },
  maxLifetime: { options: { maxLifetime: "1 hour", idleTimeout: Infinity }, use: passing("2 hours") },
  idleTimeout: { options: { idleTimeout: "1 minute" }, use: passing("2 minutes") },
  maxMessageSize: { options: { maxMessageSize: 10 }, use: sending(({ peer }) => peer.binary(new Uint8Array(11))) },
  maxStreamedSize: {
    options: { maxMessageSize: 10, maxStreamedSize: 20 },
    use: (opened) =>
      Effect.gen(function* () {
        const { peer, socket } = opened
        yield* Effect.forkScoped(Effect.ignore(socket.receiveStream))
        yield* sending(() => peer.binary(new Uint8Array(21)))(opened)
      })
  },
  validateText: { use: sending(({ peer }) => peer.frame(1, Uint8Array.of(0xff))) }
}

/** The column that says what happens. */
const outcomeOf = (role: Role, { options, use }: Case): Promise<string> =>
  Effect.runPromise(
    Effect.gen(function* () {
      const opened = yield* open(role, { peer: { polite: false }, ...(options && { socket: options }) })
      yield* use(opened)
      yield* settled
      const codes = opened.peer.said.filter((text) => text.startsWith("close")).map((text) => text.split(" ")[1])
      opened.peer.destroy()
      return tell(yield* opened.socket.closed, codes[0])
    }).pipe(leavesNothing, Effect.provide(TestContext.TestContext))
  )

const tell = (error: WebSocketError, code: string | undefined): string => {
  const frame = code === undefined ? "" : `; Close frame ${code}`
  if (error._tag === "ProtocolError") return `${error._tag}, ${error.reason._tag}${frame}`
  // The Close frame of a closing handshake is what was waited for, not what follows.
  if (error._tag !== "ConnectionTimeout") return `${error._tag}${frame}`
  return `${error._tag}, ${error.phase}${error.phase === "close" ? "" : frame}`
}

const isTime = (name: string): boolean => times.some(([option]) => option === name)

describe("documentation of time and limits", () => {
  it("the tables have every option of a connection once, and no other", () => {
    const named = [...times, ...sizes].map(([name]) => name!)
    for (const role of roles) assert.sameMembers(named, Object.keys(ConnectionOptions.defaults[role]))
  })

  it("the tables have every option of a server once, in the order of the code", () => {
    assert.deepStrictEqual(
      limits.map(([name]) => name),
      Object.keys(ServerOptions.defaults)
    )
  })

  for (const role of roles) {
    for (const [name, server, client] of [...times, ...sizes]) {
      it(`${role} has the default of ${name} that the table gives it`, () => {
        const value = ConnectionOptions.defaults[role][name as keyof ConnectionOptions.ConnectionOptions]
        const known = isTime(name!) ? Duration.toMillis(value as Duration.DurationInput) : value
        assert.strictEqual(valueOf(role === "server" ? server! : client!), known)
      })
    }
  }

  for (const [name, value] of limits) {
    it(`server has the default of ${name} that the table gives it`, () => {
      const known = ServerOptions.defaults[name as keyof ServerOptions.ServerOptions]
      assert.deepStrictEqual(valueOf(value!), Array.isArray(known) ? undefined : known)
    })
  }

  it("what may be turned off is what the code lets be turned off", () => {
    for (const [name, , , off] of [...times, ...sizes]) {
      for (const role of roles) {
        assert.strictEqual(
          off,
          offBy(name!, (input) => ConnectionOptions.make(role, input)),
          name
        )
      }
    }
    for (const [name, , off] of limits) assert.strictEqual(off, offBy(name!, ServerOptions.make), name)
  })

  for (const role of roles) {
    for (const [name, one] of Object.entries(cases)) {
      it(`${role} does what the table says when ${name} is reached`, async () => {
        const row = [...times, ...sizes].find(([option]) => option === name)
        assert.strictEqual(row?.[4], await outcomeOf(role, one))
      })
    }

    it(`${role} sends a Ping when pingInterval is over, and half of an idleTimeout is one`, () =>
      Effect.runPromise(
        Effect.gen(function* () {
          const { peer, socket } = yield* open(role, { socket: { idleTimeout: "1 minute" } })
          yield* TestClock.adjust("29 seconds")
          assert.deepStrictEqual(peer.said, [])
          yield* TestClock.adjust("3 seconds")
          yield* settled
          assert.deepStrictEqual(peer.said, ["ping"])
          yield* socket.destroy
        }).pipe(leavesNothing, Effect.provide(TestContext.TestContext))
      ))
  }

  it("every row says what happens and why", () => {
    for (const row of [...times, ...sizes])
      assert.lengthOf(
        row.filter((cell) => /\S/.test(cell)),
        6,
        row[0]
      )
    for (const row of limits)
      assert.lengthOf(
        row.filter((cell) => /\S/.test(cell)),
        5,
        row[0]
      )
  })

  it("a cell that means nothing is noticed", () => {
    assert.strictEqual(valueOf("16 MiB"), 16 * 1024 * 1024)
    assert.strictEqual(valueOf("5 minutes"), 300_000)
    assert.isNaN(valueOf("5 apples"))
    assert.throws(() => tableUnder("## No such heading"), /no heading/)
  })
})
