/**
 * Keeps one Ctrl-C from counting twice: a terminal interrupts this program and npm above it, and npm passes its own on.
 */

/**
 * Leaves the first SIGINT or SIGTERM to the handlers of the program and swallows repetitions for a second: by then those
 * handlers may be gone, and the default is to die in the middle of closing. A signal after that ends the program at once,
 * and so does the first one when nothing handles it.
 */
export const tolerateRepeatedSignals = () => {
  let first = 0
  /** @param {"SIGINT" | "SIGTERM"} signal @param {number} code */
  const handle = (signal, code) =>
    process.on(signal, () => {
      const now = performance.now()
      const repeated = first !== 0
      if (!repeated) first = now
      if (repeated ? now - first > 1_000 : process.listenerCount(signal) === 1) process.exit(code)
    })
  handle("SIGINT", 130)
  handle("SIGTERM", 143)
}
