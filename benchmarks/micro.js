/**
 * Nanoseconds of CPU for the parts that a message or a handshake is made of, ours beside the best code of others:
 * `npm run bench -- --micro`. Each candidate has a process of its own, since what one leaves behind changes the next.
 */
import { execFileSync } from "node:child_process"
import { fileURLToPath } from "node:url"

// --- the process that measures one candidate --------------------------------------------------------------------------

/**
 * @typedef {object} Candidate
 * @property {string} name
 * @property {(input: any) => Promise<() => unknown>} make a function whose result is used; each call does `times` of the work
 * @property {Readonly<Record<string, string>>} [env]
 */

/**
 * @typedef {object} Part
 * @property {string} name
 * @property {ReadonlyArray<string>} labels of the inputs
 * @property {(label: string) => Promise<any>} input
 * @property {number} times that a call does the work
 * @property {ReadonlyArray<Candidate>} candidates
 */

/** Files of `ws` that it doesn't export. */
const ofWs = async (/** @type {string} */ file) => {
  const { createRequire } = await import("node:module")
  const require = createRequire(import.meta.url)
  return require(require.resolve("ws").replace(/index\.js$/, `lib/${file}`))
}

const sizes = [16, 128, 1024, 16_384]
const labels = sizes.map((size) => `${size} B`)
const texts = labels.flatMap((label) => [`${label} ASCII`, `${label} multibyte`])
const withoutAddons = { WS_NO_BUFFER_UTIL: "1", WS_NO_UTF_8_VALIDATE: "1" }

const frames = () => import("./load/frames.js")

const bytesOf = async (/** @type {string} */ label) => (await frames()).contentOf("binary", parseInt(label, 10)).payload

const textOf = async (/** @type {string} */ label) =>
  (await frames()).contentOf(label.endsWith("ASCII") ? "text" : "multibyte text", parseInt(label, 10)).payload

// As many as one read of a busy socket may bring.
const burst = 32

const framesInOneChunk = async (/** @type {string} */ label) => {
  const { contentOf, framesOf } = await frames()
  const one = framesOf(contentOf("binary", parseInt(label, 10)), true)
  return Buffer.concat(Array.from({ length: burst }, () => one))
}

const key = Buffer.from([0x37, 0xfa, 0x21, 0x3d])

/** @type {Part} */
const masking = {
  name: "masking in place",
  labels,
  times: 1,
  input: bytesOf,
  candidates: [
    {
      name: "effect-ws",
      make: async (/** @type {Buffer} */ bytes) => {
        const { nodeByteOps } = await import("@effect-ws/platform-node/NodeByteOps")
        const word = key.readInt32BE(0)
        return () => nodeByteOps.mask(bytes, 0, bytes.length, word, 0)
      }
    },
    {
      name: "ws",
      env: withoutAddons,
      make: async (/** @type {Buffer} */ bytes) => {
        const { unmask } = await ofWs("buffer-util.js")
        return () => unmask(bytes, key)
      }
    },
    {
      name: "bufferutil",
      make: async (/** @type {Buffer} */ bytes) => {
        const { unmask } = (await import("bufferutil")).default
        return () => unmask(bytes, key)
      }
    }
  ]
}

/** @type {Part} */
const validating = {
  name: "UTF-8 validation",
  labels: texts,
  times: 1,
  input: textOf,
  candidates: [
    {
      name: "effect-ws",
      make: async (/** @type {Buffer} */ bytes) => {
        const { nodeByteOps } = await import("@effect-ws/platform-node/NodeByteOps")
        return () => nodeByteOps.isUtf8(bytes, 0, bytes.length)
      }
    },
    {
      name: "effect-ws, portable",
      make: async (/** @type {Buffer} */ bytes) => {
        const { portable } = await import("@effect-ws/core/ByteOps")
        return () => portable.isUtf8(bytes, 0, bytes.length)
      }
    },
    {
      name: "ws",
      env: withoutAddons,
      make: async (/** @type {Buffer} */ bytes) => {
        const { isValidUTF8 } = await ofWs("validation.js")
        return () => isValidUTF8(bytes)
      }
    },
    {
      name: "utf-8-validate",
      make: async (/** @type {Buffer} */ bytes) => {
        const validate = (await import("utf-8-validate")).default
        return () => validate(bytes)
      }
    },
    {
      name: "`isUtf8` of Node",
      make: async (/** @type {Buffer} */ bytes) => {
        const { isUtf8 } = await import("node:buffer")
        return () => isUtf8(bytes)
      }
    }
  ]
}

/** @type {Part} */
const decoding = {
  name: "decoding a binary message, of 32 in a chunk",
  labels,
  times: burst,
  input: framesInOneChunk,
  candidates: [
    {
      name: "effect-ws",
      make: async (/** @type {Buffer} */ chunk) => {
        const Protocol = await import("@effect-ws/core/Protocol")
        const { nodeByteOps } = await import("@effect-ws/platform-node/NodeByteOps")
        const protocol = Protocol.make({ role: "server", byteOps: nodeByteOps })
        return () => {
          protocol.receive(chunk)
          return protocol.takeEvents().length
        }
      }
    },
    ...["ws", "ws with bufferutil"].map((name) => ({
      name,
      env: name === "ws" ? withoutAddons : {},
      make: async (/** @type {Buffer} */ chunk) => {
        const { Receiver } = /** @type {any} */ (await import("ws"))
        const receiver = new Receiver({ isServer: true, maxPayload: 100 * 1024 * 1024 })
        let count = 0
        receiver.on("message", () => count++)
        return () => {
          receiver.write(chunk)
          return count
        }
      }
    }))
  ]
}

/** @type {(role: "server" | "client") => Part} */
const encoding = (role) => ({
  name: `encoding a binary message, ${role}, of 32 in a turn`,
  labels,
  times: burst,
  input: bytesOf,
  candidates: [
    {
      name: "effect-ws",
      make: async (/** @type {Buffer} */ bytes) => {
        const Protocol = await import("@effect-ws/core/Protocol")
        const { nodeByteOps } = await import("@effect-ws/platform-node/NodeByteOps")
        const maskingKeys = role === "client" ? await pooledKeys() : undefined
        const protocol = Protocol.make({ role, byteOps: nodeByteOps, maskingKeys })
        return () => {
          for (let i = 0; i < burst; i++) protocol.sendBinary(bytes)
          return protocol.takeOutput().length
        }
      }
    },
    ...["ws", "ws with bufferutil"].map((name) => ({
      name,
      env: name === "ws" ? withoutAddons : {},
      make: async (/** @type {Buffer} */ bytes) => {
        const { Sender } = /** @type {any} */ (await import("ws"))
        return () => {
          let pieces = 0
          for (let i = 0; i < burst; i++) {
            const options = { fin: true, opcode: 2, mask: role === "client", readOnly: true, rsv1: false }
            pieces += Sender.frame(bytes, options).length
          }
          return pieces
        }
      }
    }))
  ]
})

/** From a pool, as both libraries have them. */
const pooledKeys = async () => {
  const { randomFillSync } = await import("node:crypto")
  const pool = Buffer.alloc(8192)
  let at = pool.length
  return () => {
    if (at === pool.length) {
      randomFillSync(pool)
      at = 0
    }
    at += 4
    return pool.readInt32BE(at - 4)
  }
}

const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
const sampleKey = "dGhlIHNhbXBsZSBub25jZQ=="

/** @type {Part} */
const accepting = {
  name: "accept key",
  labels: ["a key"],
  times: 1,
  input: async () => sampleKey,
  candidates: [
    {
      name: "effect-ws",
      make: async (/** @type {string} */ key) => {
        const AcceptKey = await import("@effect-ws/core/AcceptKey")
        return () => AcceptKey.derive(key)
      }
    },
    {
      name: "`createHash` of Node, as ws has it",
      make: async (/** @type {string} */ key) => {
        const { createHash } = await import("node:crypto")
        return () =>
          createHash("sha1")
            .update(key + guid)
            .digest("base64")
      }
    },
    {
      name: "`hash` of Node, where it is there",
      make: async (/** @type {string} */ key) => {
        const { hash } = /** @type {any} */ (await import("node:crypto"))
        return () => hash("sha1", key + guid, "base64")
      }
    }
  ]
}

const parts = [masking, validating, decoding, encoding("server"), encoding("client"), accepting]

/** In milliseconds for each sample. */
const sample = 60

/** What the calls returned, so that none can be left out. */
let used = 0

/** @type {(work: () => unknown, milliseconds: number) => number} nanoseconds of CPU for each call */
const timeOf = (work, milliseconds) => {
  let count = 0
  const before = process.cpuUsage()
  const end = performance.now() + milliseconds
  while (performance.now() < end) {
    for (let i = 0; i < 64; i++) if (work() !== false) used++
    count += 64
  }
  const { system, user } = process.cpuUsage(before)
  return ((user + system) * 1000) / count
}

/** @type {(part: Part, candidate: Candidate) => Promise<ReadonlyArray<number>>} for each label, the least of the samples */
const measure = async (part, { make }) => {
  const works = []
  for (const label of part.labels) works.push(await make(await part.input(label)))
  const all = works.map(() => Infinity)
  for (let round = 0; round < 6; round++) {
    for (const [i, work] of works.entries()) {
      all[i] = Math.min(all[i], timeOf(work, sample) / part.times)
      // Streams do some of their work later.
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  if (used === 0) throw new Error("Nothing was done")
  return all
}

// --- the process that prints the tables -------------------------------------------------------------------------------

/** @type {(part: Part, candidate: Candidate) => ReadonlyArray<number>} */
const measured = (part, { env, name }) => {
  const args = [fileURLToPath(import.meta.url), part.name, name]
  try {
    return JSON.parse(
      execFileSync(process.execPath, args, {
        encoding: "utf8",
        env: { ...process.env, ...env, NODE_ENV: "production" }
      })
    )
  } catch (error) {
    throw new Error(`Not measured: ${part.name}, ${name}`, { cause: error })
  }
}

/** @type {(value: number) => string} */
const short = (value) => (value < 100 ? value.toFixed(1) : `${Math.round(value)}`)

/** @type {(part: Part) => string} */
const tableOf = (part) => {
  const results = part.candidates.map((candidate) => measured(part, candidate))
  const others = part.candidates.map(({ name }, i) => (name.startsWith("effect-ws") ? undefined : results[i]))
  const best = part.labels.map((_, i) => Math.min(...others.map((result) => result?.[i] ?? Infinity)))
  const head = ["", ...part.candidates.map(({ name }) => name), "ours to the best of others"]
  const lines = part.labels.map((label, i) =>
    [label, ...results.map((result) => short(result[i])), (results[0][i] / best[i]).toFixed(2)].join(" | ")
  )
  return [
    `### ${part.name}, nanoseconds`,
    "",
    `| ${head.join(" | ")} |`,
    `|${" --- |".repeat(head.length)}`,
    ...lines.map((line) => `| ${line} |`)
  ].join("\n")
}

const [partName, candidateName] = process.argv.slice(2)
const part = parts.find(({ name }) => name === partName)
const candidate = part?.candidates.find(({ name }) => name === candidateName)
if (part !== undefined && candidate !== undefined) console.log(JSON.stringify(await measure(part, candidate)))
else {
  console.log(`Node ${process.version}; the least of 6 samples of ${sample} ms\n`)
  for (const part of parts) console.log(`${tableOf(part)}\n`)
}
