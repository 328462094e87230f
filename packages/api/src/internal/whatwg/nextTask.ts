/**
 * A task of the event loop: behind it all microtasks are done.
 */

// Not by its global name: not every set of types has all of it.
interface Port {
  onmessage: (() => void) | null
  readonly postMessage: (message: unknown) => void
  readonly close: () => void
}

/** Calls back in the next task. A message to ourselves is the one way there that is everywhere and is no timer. */
export const inNextTask = (callback: () => void): void => {
  const { port1, port2 } = new MessageChannel() as unknown as { readonly port1: Port; readonly port2: Port }
  port1.onmessage = () => {
    port1.close()
    callback()
  }
  port2.postMessage(0)
}
