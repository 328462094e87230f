/**
 * The events of a WHATWG WebSocket, those that not every runtime brings included, and its event handler attributes.
 */

/** How a connection ended, as its `close` event tells. */
export interface CloseInit {
  readonly code: number
  readonly reason: string
  readonly wasClean: boolean
}

class OwnCloseEvent extends Event implements CloseInit {
  readonly code: number
  readonly reason: string
  readonly wasClean: boolean

  constructor(type: string, { code, reason, wasClean }: CloseInit) {
    super(type)
    this.code = code
    this.reason = reason
    this.wasClean = wasClean
  }
}
Object.defineProperty(OwnCloseEvent, "name", { value: "CloseEvent" })

/**
 * An event that says what went wrong. The specification has a plain event here, so that a page learns nothing of a network
 * it can't see; a program may know.
 */
export class ErrorEvent extends Event {
  readonly error: unknown
  readonly message: string

  constructor(error: unknown) {
    super("error")
    this.error = error
    this.message = error instanceof Error ? error.message : String(error)
  }
}

/** Makes the `close` event: one of the runtime where that has the class, as Node has from 23 on. */
export const closeEvent = (init: CloseInit): Event => {
  const { CloseEvent = OwnCloseEvent } = globalThis as { readonly CloseEvent?: typeof OwnCloseEvent }
  return new CloseEvent("close", init)
}

interface Slot {
  value: object
  readonly listener: (event: Event) => unknown
}

/** The event handler attributes of a target: `onopen` and its like. */
export class EventHandlers {
  private readonly target: EventTarget
  private readonly slots = new Map<string, Slot>()

  constructor(target: EventTarget) {
    this.target = target
  }

  get(type: string): object | null {
    return this.slots.get(type)?.value ?? null
  }

  /** Sets the handler. One in the place of another keeps its turn among the listeners; what is no object takes it away. */
  set(type: string, value: unknown): void {
    if ((typeof value !== "object" && typeof value !== "function") || value === null) return this.remove(type)
    const slot = this.slots.get(type)
    if (slot === undefined) this.add(type, value)
    else slot.value = value
  }

  private add(type: string, value: object): void {
    const listener = (event: Event): unknown =>
      typeof slot.value === "function" ? slot.value.call(this.target, event) : undefined
    const slot: Slot = { value, listener }
    this.slots.set(type, slot)
    this.target.addEventListener(type, listener)
  }

  private remove(type: string): void {
    const slot = this.slots.get(type)
    if (slot === undefined) return
    this.slots.delete(type)
    this.target.removeEventListener(type, slot.listener)
  }
}
