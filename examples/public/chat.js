/**
 * The chat room: a line is a text message, and who can't be let in learns it from the code and the reason of the close.
 */
import { append } from "./log.js"

const element = (id) => document.getElementById(id)

let socket

/** Listens to the forms. */
export const start = () => {
  element("join").addEventListener("submit", (event) => {
    event.preventDefault()
    if (socket === undefined) join(element("name").value.trim())
    else socket.close(1000, "bye")
  })
  element("say").addEventListener("submit", (event) => {
    event.preventDefault()
    const line = element("line")
    if (line.value !== "") socket?.send(line.value)
    line.value = ""
  })
}

const join = (name) => {
  const scheme = location.protocol === "https:" ? "wss" : "ws"
  socket = new WebSocket(`${scheme}://${location.host}/chat?name=${encodeURIComponent(name)}`)
  show("connecting", "joining")
  socket.onopen = () => show("open", `in as ${name}`)
  socket.onmessage = (event) => add(event.data)
  socket.onclose = (event) => {
    socket = undefined
    show("closed", "outside")
    add(`* you are out: ${event.code}${event.reason === "" ? "" : `, ${event.reason}`}`)
  }
}

const add = (text) => {
  const line = document.createElement("li")
  if (text.startsWith("* ")) line.className = "note"
  line.textContent = text
  append(element("chat-lines"), line)
}

const show = (state, text) => {
  const output = element("chat-state")
  output.dataset.state = state
  output.textContent = text
  element("say-button").disabled = state !== "open"
  element("name").disabled = state !== "closed"
  element("join-button").textContent = state === "closed" ? "Join" : "Leave"
}
