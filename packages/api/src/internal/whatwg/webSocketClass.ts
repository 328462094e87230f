/**
 * The class with the interface that the WHATWG specifies, as Web IDL shapes it.
 */
import { closeReasonOf, sendDataOf, subprotocolsOf, urlOf } from "./arguments.ts"
import { EventHandlers } from "./events.ts"
import { type House, Life, type ReadyState, states } from "./life.ts"

/** Makes the class whose connections live in a house. */
export const define = (house: House): unknown => {
  class WebSocket extends Face {
    // As Web IDL counts, the URL alone is required.
    constructor(url: unknown, protocols: unknown = []) {
      if (arguments.length === 0) throw new TypeError("A WebSocket needs a URL")
      super(house, url, protocols)
    }
  }
  const { constructor: _, ...members } = Object.getOwnPropertyDescriptors(Face.prototype)
  for (const member of Object.values<PropertyDescriptor>(members)) member.enumerable = true
  Object.defineProperties(WebSocket.prototype, { ...members, ...constants, [Symbol.toStringTag]: toStringTag })
  Object.defineProperties(WebSocket, constants)
  return WebSocket
}

abstract class Face extends EventTarget {
  readonly #life: Life
  readonly #url: URL
  readonly #handlers: EventHandlers

  constructor(house: House, url: unknown, protocols: unknown) {
    super()
    this.#url = urlOf(url)
    this.#handlers = new EventHandlers(this)
    this.#life = new Life(house, this, this.#url, subprotocolsOf(protocols))
  }

  get url(): string {
    return this.#url.href
  }

  get readyState(): ReadyState {
    return this.#life.readyState
  }

  get bufferedAmount(): number {
    return this.#life.bufferedAmount
  }

  get extensions(): string {
    return this.#life.extensions
  }

  get protocol(): string {
    return this.#life.subprotocol
  }

  get binaryType(): string {
    return this.#life.binaryType
  }

  // What is no member of the enumeration is ignored.
  set binaryType(type: string) {
    if (type === "blob" || type === "arraybuffer") this.#life.binaryType = type
  }

  get onopen(): object | null {
    return this.#handlers.get("open")
  }

  set onopen(handler: object | null) {
    this.#handlers.set("open", handler)
  }

  get onmessage(): object | null {
    return this.#handlers.get("message")
  }

  set onmessage(handler: object | null) {
    this.#handlers.set("message", handler)
  }

  get onerror(): object | null {
    return this.#handlers.get("error")
  }

  set onerror(handler: object | null) {
    this.#handlers.set("error", handler)
  }

  get onclose(): object | null {
    return this.#handlers.get("close")
  }

  set onclose(handler: object | null) {
    this.#handlers.set("close", handler)
  }

  send(data: unknown): void {
    const life = this.#life
    if (arguments.length === 0) throw new TypeError("There is nothing to send")
    const sendable = sendDataOf(data)
    if (life.readyState === states.CONNECTING)
      throw new DOMException("The connection is not open yet", "InvalidStateError")
    life.send(sendable)
  }

  close(code: unknown = undefined, reason: unknown = undefined): void {
    this.#life.close(closeReasonOf(code, reason))
  }
}

const constants = Object.fromEntries(
  Object.entries(states).map(([name, value]) => [
    name,
    { value, writable: false, enumerable: true, configurable: false }
  ])
)

const toStringTag = { value: "WebSocket", writable: false, enumerable: false, configurable: true }
