/**
 * Reports a program that is missing on this machine, in the file that `npm test` reads to list what was not run.
 */
import * as Fs from "node:fs"

/** Skips: `tests` of them are not run for want of `peer`. With `REQUIRE_PEERS=1` that is a failure. */
export const reportSkip = (peer: string, reason: string, tests: number): void => {
  if (process.env["REQUIRE_PEERS"] === "1") throw new Error(`${peer} is required here, but ${reason}`)
  const file = process.env["EFFECT_WS_SKIPPED"]
  if (file !== undefined) Fs.appendFileSync(file, `${JSON.stringify({ peer, reason, tests })}\n`)
}
