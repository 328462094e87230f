/**
 * Lists of lines that keep their end in view, and no more than a person would scroll through.
 */

const maxLines = 500

/** Adds a line to a list, and scrolls to it unless the reader is looking at older ones. */
export const append = (list, line) => {
  const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40
  list.append(line)
  while (list.childElementCount > maxLines) list.firstElementChild.remove()
  if (isAtEnd) list.scrollTop = list.scrollHeight
}

/** Adds what one end, the browser or the server, has seen. */
export const report = (end, text) => {
  const line = document.createElement("li")
  line.dataset.end = end
  line.append(part("time", "", clock()), part("span", "end", end), part("span", "what", text))
  append(document.getElementById("log"), line)
}

/** Empties the list of what both ends have seen. */
export const clear = () => document.getElementById("log").replaceChildren()

const part = (tag, className, text) => {
  const element = document.createElement(tag)
  if (className !== "") element.className = className
  element.textContent = text
  return element
}

const clock = () => new Date().toISOString().slice(11, 23)
