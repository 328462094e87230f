import * as ConnectionOptions from "@effect-ws/api/ConnectionOptions"
import * as ServerOptions from "@effect-ws/api/ServerOptions"
import { assert, describe, it } from "@effect/vitest"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

const read = <A>(config: Config.Config<A>, texts: Readonly<Record<string, string>>) =>
  Effect.withConfigProvider(config, ConfigProvider.fromMap(new Map(Object.entries(texts)), { pathDelim: "_" }))

const connection: ReadonlyArray<
  readonly [key: keyof ConnectionOptions.ConnectionOptions, text: string, value: unknown]
> = [
  ["maxMessageSize", "1024", 1024],
  ["maxStreamedSize", "2048", 2048],
  ["fragmentSize", "512", 512],
  ["validateText", "false", false],
  ["permessageDeflate", "true", true],
  ["inboxHighWaterMark", "1", 1],
  ["sendHighWaterMark", "2", 2],
  ["whenFull", "drop", "drop"],
  ["closeTimeout", "1 second", Duration.seconds(1)],
  ["handshakeTimeout", "2 seconds", Duration.seconds(2)],
  ["idleTimeout", "1 minute", Duration.minutes(1)],
  ["pingInterval", "10 seconds", Duration.seconds(10)],
  ["pongTimeout", "500 millis", Duration.millis(500)],
  ["writeTimeout", "Infinity", Duration.infinity],
  ["messageTimeout", "3 minutes", Duration.minutes(3)],
  ["maxLifetime", "1 day", Duration.days(1)],
  ["maxHeadSize", "4096", 4096],
  ["maxHeadFields", "50", 50],
  ["maxBodySize", "1000", 1000]
]

const server: ReadonlyArray<readonly [key: keyof ServerOptions.ServerOptions, text: string, value: unknown]> = [
  ["maxHandshakes", "10", 10],
  ["maxConnections", "20", 20],
  ["maxConnectionsPerAddress", "3", 3],
  ["maxAttempts", "4", 4],
  ["trustedProxies", "10.0.0.0/8, unix", ["10.0.0.0/8", "unix"]]
]

const nameOf = (key: string) => key.replace(/[A-Z]/g, "_$&").toUpperCase()

const both = [
  ["connection", ConnectionOptions.config, connection, Object.keys(ConnectionOptions.defaults.server)],
  ["server", ServerOptions.config, server, Object.keys(ServerOptions.defaults)]
] as const

for (const [what, config, samples, keys] of both) {
  describe(`options of a ${what} from the configuration`, () => {
    it.effect("program reads every option under its own name", () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(samples.map(([key]) => key).sort(), keys.sort())
        const texts = Object.fromEntries(samples.map(([key, text]) => [nameOf(key), text]))
        const expected = Object.fromEntries(samples.map(([key, , value]) => [key, value]))
        assert.deepStrictEqual(yield* read(config as Config.Config<object>, texts), expected)
      })
    )

    it.effect("program reads them below a name of its own", () =>
      Effect.gen(function* () {
        const [[key, text, value]] = samples as readonly [(typeof samples)[number]]
        const nested = Config.nested(config as Config.Config<object>, "WEBSOCKET")
        assert.deepStrictEqual(yield* read(nested, { [`WEBSOCKET_${nameOf(key)}`]: text }), { [key]: value })
      })
    )

    it.effect("program that says nothing gives nothing, so that the defaults hold", () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* read(config as Config.Config<object>, {}), {})
      })
    )
  })
}

describe("options from the configuration that can't be meant", () => {
  const wrong: ReadonlyArray<readonly [config: Config.Config<object>, name: string, text: string]> = [
    ...["0", "-1", "1.5", "many", "Infinity"].map(
      (text) => [ConnectionOptions.config, "MAX_MESSAGE_SIZE", text] as const
    ),
    ...["0 millis", "25 days", "soon", "Infinity"].map(
      (text) => [ConnectionOptions.config, "CLOSE_TIMEOUT", text] as const
    ),
    ...["0 millis", "-1 seconds", "never"].map((text) => [ConnectionOptions.config, "IDLE_TIMEOUT", text] as const),
    [ConnectionOptions.config, "WHEN_FULL", "block"],
    [ConnectionOptions.config, "VALIDATE_TEXT", "perhaps"],
    [ServerOptions.config, "MAX_CONNECTIONS", "Infinity"],
    [ServerOptions.config, "MAX_CONNECTIONS_PER_ADDRESS", "0"],
    [ServerOptions.config, "TRUSTED_PROXIES", "10.0.0.1, foo"],
    [ServerOptions.config, "TRUSTED_PROXIES", "10.0.0.0/33"]
  ]
  for (const [config, name, text] of wrong) {
    it.effect(`program is told that ${name} can't be ${text}`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(read(Config.nested(config, "WEBSOCKET"), { [`WEBSOCKET_${name}`]: text }))
        assert.include(String(error), `WEBSOCKET.${name}`)
      })
    )
  }

  it.effect("program is told what a limit may be", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(read(ConnectionOptions.config, { MAX_MESSAGE_SIZE: "0" }))
      assert.include(String(error), "Expected an integer from 1 on but received 0")
    })
  )

  it.effect("options that were read are options", () =>
    Effect.gen(function* () {
      const texts = Object.fromEntries(connection.map(([key, text]) => [nameOf(key), text]))
      const made = ConnectionOptions.make("client", yield* read(ConnectionOptions.config, texts))
      for (const [key, , value] of connection) assert.deepStrictEqual(made[key], value)
      const limits = Object.fromEntries(server.map(([key, text]) => [nameOf(key), text]))
      assert.strictEqual(ServerOptions.make(yield* read(ServerOptions.config, limits)).maxConnectionsPerAddress, 3)
      const none = yield* read(ServerOptions.config, { MAX_CONNECTIONS_PER_ADDRESS: "Infinity" })
      assert.deepStrictEqual(none, { maxConnectionsPerAddress: Infinity })
    })
  )
})
