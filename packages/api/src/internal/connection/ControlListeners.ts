/**
 * Who looks at the control frames that come in.
 */
import type { ControlFrame } from "../../WebSocket.ts"

/** Is shown each frame, and `undefined` at the end of the connection. */
export type ControlListener = (frame: ControlFrame | undefined) => void

export class ControlListeners {
  private readonly listeners = new Set<ControlListener>()

  /** Shows frames to `listener`, until the function that is returned is called. */
  add(listener: ControlListener): () => void {
    this.listeners.add(listener)
    return () => void this.listeners.delete(listener)
  }

  show(frame: ControlFrame | undefined): void {
    for (const listener of this.listeners) listener(frame)
  }
}
