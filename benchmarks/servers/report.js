/**
 * What every server under measurement does besides its work: tells its port, and on request the CPU time it has used.
 *
 * @param {number} port
 */
export const report = (port) => {
  process.on("message", (question) => {
    if (question !== "cpu") return
    const { system, user } = process.cpuUsage()
    process.send?.({ cpu: user + system })
  })
  process.on("disconnect", () => process.exit(0))
  process.send?.({ port })
}
