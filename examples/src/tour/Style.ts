/**
 * Colours for a terminal that wants them; see https://no-color.org.
 */
import * as Effect from "effect/Effect"
import { styleText } from "node:util"

/** How the parts of the output look. */
export interface Style {
  readonly title: (text: string) => string
  readonly sent: (text: string) => string
  readonly received: (text: string) => string
  readonly result: (text: string) => string
}

/** The style for stdout: none when it is no terminal, or when NO_COLOR is set. */
export const current: Effect.Effect<Style> = Effect.sync(() =>
  process.stdout.isTTY === true && !process.env["NO_COLOR"] ? colored : plain
)

const identity = (text: string): string => text

const plain: Style = { title: identity, sent: identity, received: identity, result: identity }

const colored: Style = {
  title: (text) => styleText("bold", text),
  sent: (text) => styleText("cyan", text),
  received: (text) => styleText("magenta", text),
  result: (text) => styleText("green", text)
}
