/**
 * What every process under measurement does besides its work: tells its port, and on request the CPU time it has used.
 *
 * @param {number} port
 */
export const report = (port) => {
  process.on("message", (question) => {
    if (question !== "usage") return
    const { system, user } = process.cpuUsage()
    process.send?.({ cpu: user + system, rss: process.memoryUsage.rss() })
  })
  process.on("disconnect", () => process.exit(0))
  process.send?.({ port })
}

/** What handlers are to do with a message: "echo" it, "read" its text and echo it, or "fanout" it to all. */
export const work = process.env.WORK ?? "echo"

/** What is measured: `net` serves visits in another way than messages. */
export const kind = process.env.KIND ?? "echo"

/** Whether messages are compressed, and how: "off", "alone", "takeover", or "default" for what the server does by itself. */
export const deflate = process.env.DEFLATE ?? "off"

let characters = 0

/**
 * Uses a text, so that it has to be there.
 *
 * @param {string} text
 */
export const touch = (text) => {
  characters += text.length + text.charCodeAt(text.length >> 1)
  if (characters < 0) throw new Error("There are no negative characters")
}
