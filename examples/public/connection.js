/**
 * The connection to `/echo`, and beside it one to `/watch`, which tells what the server sees of it.
 */
import { report } from "./log.js"

const element = (id) => document.getElementById(id)

/** The name of this page's connection: who knows it may watch it, so nobody can guess it. */
const id = Array.from(crypto.getRandomValues(new Uint8Array(6)), (byte) => byte.toString(16).padStart(2, "0")).join("")

const urlOf = (path) => `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${path}?id=${id}`

let socket
let watcher

/** Fills in the forms and listens to them. */
export const start = () => {
  element("url").value = urlOf("/echo")
  element("connect").addEventListener("submit", (event) => submit(event, connect))
  element("send-text").addEventListener("submit", (event) => submit(event, sendText))
  element("send-binary").addEventListener("submit", (event) => submit(event, sendBinary))
  element("close").addEventListener("submit", (event) => submit(event, () => close(event.submitter?.value)))
  show("closed", "not connected")
}

// What the browser refuses, a code that it may not send for instance, it throws.
const submit = (event, action) => {
  event.preventDefault()
  try {
    action()
  } catch (error) {
    report("browser", error.message)
  }
}

const connect = () => {
  const url = element("url").value.trim()
  const subprotocols = element("subprotocols")
    .value.split(/[\s,]+/)
    .filter((name) => name !== "")
  watch(() => {
    show("connecting", "connecting")
    report("browser", `connecting to ${url}`)
    try {
      listen(new WebSocket(url, subprotocols))
    } catch (error) {
      show("closed", "not connected")
      report("browser", error.message)
    }
  })
}

/** Has the server's view first: nothing that happens to the connection is missed then. */
const watch = (then) => {
  if (watcher?.readyState === WebSocket.OPEN) return then()
  watcher = new WebSocket(urlOf("/watch"))
  watcher.onopen = then
  watcher.onmessage = (event) => report("server", event.data)
  watcher.onclose = (event) => report("browser", `the server's view has ended (${event.code})`)
}

const listen = (opened) => {
  socket = opened
  socket.binaryType = "arraybuffer"
  socket.onopen = () => {
    show("open", "connected")
    report("browser", `connected, ${socket.protocol === "" ? "no subprotocol" : `subprotocol ${socket.protocol}`}`)
  }
  socket.onmessage = (event) => report("browser", `received ${describe(event.data)}`)
  socket.onclose = (event) => {
    show("closed", `closed with ${event.code}`)
    const { code, reason, wasClean } = event
    report("browser", `closed { code: ${code}, reason: ${JSON.stringify(reason)}, wasClean: ${wasClean} }`)
  }
}

const sendText = () => send(element("text").value)

const sendBinary = () => {
  const digits = element("binary").value.replace(/\s+/g, "")
  if (!/^([0-9a-f]{2})*$/i.test(digits)) throw new Error("bytes are pairs of hexadecimal digits")
  send(Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16)).buffer)
}

const send = (data) => {
  report("browser", `sending ${describe(data)}`)
  socket.send(data)
}

const close = (from) => {
  const code = element("code").valueAsNumber
  const reason = element("reason").value
  if (from === "server") return watcher.send(JSON.stringify({ code, reason }))
  socket.close(code, reason)
  show("closing", "closing")
  report("browser", `closing with ${code} ${JSON.stringify(reason)}`)
}

const describe = (data) => {
  if (typeof data === "string") return `Text ${JSON.stringify(data)}`
  const bytes = new Uint8Array(data)
  const digits = Array.from(bytes.subarray(0, 32), (byte) => byte.toString(16).padStart(2, "0")).join(" ")
  return `Binary ${bytes.length} bytes: ${digits}${bytes.length > 32 ? " ..." : ""}`
}

const show = (state, text) => {
  const output = element("state")
  output.dataset.state = state
  output.textContent = text
  for (const button of document.querySelectorAll("[data-needs-open]")) button.disabled = state !== "open"
  element("connect").querySelector("button").disabled = state !== "closed"
}
