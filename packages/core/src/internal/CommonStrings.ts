/**
 * What most heads have in common: names of fields and short values, of which a connection then holds no copy of its own for as long
 * as it lives.
 */

/** Returns an equal string, the same one for all heads if it is common. */
export const shared = (text: string): string => (text.length > longest ? text : (strings.get(text) ?? text))

const names = [
  "Accept-Encoding",
  "Accept-Language",
  "Cache-Control",
  "Connection",
  "Cookie",
  "Host",
  "Origin",
  "Pragma",
  "Sec-WebSocket-Accept",
  "Sec-WebSocket-Extensions",
  "Sec-WebSocket-Key",
  "Sec-WebSocket-Protocol",
  "Sec-WebSocket-Version",
  "Upgrade",
  "User-Agent"
]

const values = [
  "13",
  "no-cache",
  "Upgrade",
  "upgrade",
  "keep-alive, Upgrade",
  "WebSocket",
  "websocket",
  "GET",
  "/",
  "1.1"
]

const all = [...names, ...names.map((name) => name.toLowerCase()), ...values]
const strings = new Map(all.map((text) => [text, text]))

const longest = Math.max(...all.map(({ length }) => length))
