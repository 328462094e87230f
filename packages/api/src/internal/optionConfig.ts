/**
 * Options that are read from the configuration, each under its name in constant case. What isn't there isn't given.
 */
import * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Option from "effect/Option"

/** Reads those of the options that are there. */
export const all = <Options extends object>(readers: {
  readonly [K in keyof Options]-?: (name: string) => Config.Config<Exclude<Options[K], undefined>>
}): Config.Config<{ readonly [K in keyof Options]?: Options[K] | undefined }> => {
  const entries = Object.entries(readers as Record<string, (name: string) => Config.Config<unknown>>)
  const optional = entries.map(([key, read]) => [key, Config.option(read(constantCase(key)))] as const)
  return Config.map(Config.all(Object.fromEntries(optional)), (found) => {
    const given = Object.entries(found).flatMap(([key, value]) => (Option.isSome(value) ? [[key, value.value]] : []))
    return Object.fromEntries(given)
  })
}

/** A number from 1 on. */
export const size = (name: string): Config.Config<number> =>
  checked(name, Config.integer(), (size) => size >= 1, "an integer from 1 on")

/** The same, or `Infinity` for no limit. */
export const limit = (name: string): Config.Config<number> =>
  Config.orElse(literal(name, "Infinity", Infinity), () => size(name))

/** A time such as `5 seconds`. */
export const duration = (name: string): Config.Config<Duration.Duration> =>
  checked(name, Config.duration(), inRange, "a duration from 1 millis to 24 days")

/** The same, or `Infinity` for none. */
export const optionalDuration = (name: string): Config.Config<Duration.Duration> =>
  Config.orElse(literal(name, "Infinity", Duration.infinity), () => duration(name))

/** Texts with commas between, of which each is `allowed`. */
export const list =
  (isAllowed: (text: string) => boolean, allowed: string) =>
  (name: string): Config.Config<ReadonlyArray<string>> =>
    checked(name, Config.array(Config.string()), (texts) => texts.every(isAllowed), allowed)

/** One of the texts. */
export const oneOf =
  <Text extends string>(...texts: ReadonlyArray<Text>) =>
  (name: string): Config.Config<Text> =>
    Config.literal(...texts)(name)

// Only that it is another text leads on to the next alternative, and what that says of it is told.
const literal = <A>(name: string, text: string, value: A): Config.Config<A> =>
  Config.map(Config.literal(text)(name), () => value)

const checked = <A>(
  name: string,
  config: Config.Config<A>,
  isAllowed: (value: A) => boolean,
  allowed: string
): Config.Config<A> =>
  Config.nested(
    Config.mapOrFail(config, (value) =>
      isAllowed(value)
        ? Either.right(value)
        : Either.left(ConfigError.InvalidData([], `Expected ${allowed} but received ${String(value)}`))
    ),
    name
  )

const inRange = (duration: Duration.Duration): boolean => {
  const millis = Duration.toMillis(duration)
  return millis >= 1 && millis <= 2 ** 31 - 1
}

const constantCase = (key: string): string => key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()
