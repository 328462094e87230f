/**
 * Keeps messages under way on connections for a time, and tells what came back.
 */

/** @typedef {import("./Wire.js").Wire} Wire */

/**
 * @typedef {object} Driven
 * @property {number} count of messages that came back
 * @property {number} elapsed in milliseconds
 * @property {Float64Array} latencies in milliseconds, sorted; none unless one message was under way on each connection
 */

const mostLatencies = 500_000

/**
 * Sends messages on all connections, and as many again as come back, until the time is over and nothing is under way.
 *
 * @param {ReadonlyArray<Wire>} wires
 * @param {number} inFlight on each connection
 * @param {number} milliseconds
 * @returns {Promise<Driven>}
 */
export const drive = (wires, inFlight, milliseconds) =>
  new Promise((resolve) => {
    const latencies = new Float64Array(inFlight === 1 ? mostLatencies : 0)
    let [count, measured] = [0, 0]
    let goesOn = true
    let underWay = wires.length * inFlight
    const began = performance.now()
    for (const wire of wires) {
      let sentAt = began
      wire.onEchoes = (came) => {
        count += came
        if (inFlight === 1 && measured < mostLatencies) {
          const now = performance.now()
          latencies[measured++] = now - sentAt
          sentAt = now
        }
        if (goesOn) return wire.send(came)
        underWay -= came
        if (underWay > 0) return
        resolve({ count, elapsed: performance.now() - began, latencies: latencies.subarray(0, measured).sort() })
      }
    }
    setTimeout(() => {
      goesOn = false
    }, milliseconds)
    for (const wire of wires) wire.send(inFlight)
  })

/**
 * Sends messages on the first connection, which all are to receive, and the next ones when all have.
 *
 * @param {ReadonlyArray<Wire>} wires
 * @param {number} inFlight at once
 * @param {number} milliseconds
 * @returns {Promise<Driven>} with the number of deliveries
 */
export const publish = (wires, inFlight, milliseconds) =>
  new Promise((resolve) => {
    let [count, missing] = [0, wires.length * inFlight]
    const began = performance.now()
    const receive = (/** @type {number} */ came) => {
      count += came
      missing -= came
      if (missing > 0) return
      const elapsed = performance.now() - began
      if (elapsed >= milliseconds) return resolve({ count, elapsed, latencies: new Float64Array(0) })
      missing = wires.length * inFlight
      wires[0].send(inFlight)
    }
    for (const wire of wires) wire.onEchoes = receive
    wires[0].send(inFlight)
  })
