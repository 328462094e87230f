import * as NodeDeflate from "@effect-ws/platform-node/NodeDeflate"
import { afterEach, assert, describe, it } from "@effect/vitest"
import * as Handles from "../../src/internal/zlibHandle.ts"
import { alive, deflateAll, deflated, inflateAll, withStreams } from "../support/deflateWays.ts"

interface Undocumented {
  _handle: Record<string, unknown> | undefined
  _writeState: Uint32Array | undefined
}

/** What a later Node may change about the streams of zlib. */
const changes: ReadonlyArray<readonly [title: string, alter: (stream: Undocumented) => void]> = [
  ["has no handle", (stream) => void (stream._handle = undefined)],
  ["tells nothing of what is left", (stream) => void (stream._writeState = undefined)],
  ["tells it elsewhere", (stream) => void (stream._writeState = new Uint32Array(2))],
  ["can't write on the spot", ({ _handle }) => void (_handle!["writeSync"] = undefined)],
  ["writes nothing", ({ _handle }) => void (_handle!["writeSync"] = () => undefined)],
  [
    "throws",
    ({ _handle }) => {
      _handle!["writeSync"] = () => {
        throw new Error("not any more")
      }
    }
  ],
  ["can't begin anew", ({ _handle }) => void (_handle!["reset"] = undefined)],
  ["doesn't begin anew", ({ _handle }) => void (_handle!["reset"] = () => undefined)],
  [
    "doesn't say what is bad",
    ({ _handle }) => Object.defineProperty(_handle, "onerror", { set: () => {}, get: () => () => {} })
  ]
]

describe("the handles of zlib", () => {
  let restore = () => {}
  afterEach(() => restore())

  it("node of today has them", () => {
    const streams = withStreams(() => {})
    restore = streams.restore
    assert.isTrue(Handles.isAvailable())
    assert.isAbove(streams.made.length, 1)
    assert.strictEqual(alive(streams.made), 0)
  })

  for (const [title, alter] of changes) {
    it(`node that ${title} is noticed, and compresses by documented calls`, () => {
      const streams = withStreams((stream) => alter(stream as never))
      restore = streams.restore
      assert.isFalse(Handles.isAvailable())
      assert.isAbove(streams.made.length, 0)
      const codec = NodeDeflate.make()
      const made = streams.made.length
      for (const takeover of [true, false]) {
        const [deflater, inflater] = [codec.deflater(15, takeover), codec.inflater(15, takeover)]
        for (const message of ["in and out", "in and out", ""]) {
          assert.strictEqual(String(inflateAll(inflater, [deflateAll(deflater, message)])), message)
        }
        if (!takeover) assert.strictEqual(inflateAll(inflater, [Buffer.of(0x06)]), "corrupt")
        if (!takeover) assert.strictEqual(inflateAll(inflater, [deflated("too long")], 3), "oversized")
      }
      assert.strictEqual(streams.made.length, made, "no other stream is made")
    })
  }

  it("node that has them uses them", () => {
    const streams = withStreams(() => {})
    restore = streams.restore
    const codec = NodeDeflate.make()
    const made = streams.made.length
    deflateAll(codec.deflater(15, false), "a")
    inflateAll(codec.inflater(15, false), [deflated("a")])
    assert.strictEqual(streams.made.length, made + 2)
    const documented = NodeDeflate.makeDocumented()
    deflateAll(documented.deflater(15, false), "a")
    assert.strictEqual(streams.made.length, made + 2)
  })

  it("node counts what was found bad for one message only", () => {
    const inflater = new Handles.HandleInflater({}, false)
    for (const bad of [Buffer.of(0x06), Buffer.of(0xff), deflated("abc", { level: 0 }).fill(0xff, 3, 5)]) {
      assert.strictEqual(inflateAll(inflater, [bad]), "corrupt")
      assert.strictEqual(inflater.inflate(bad, 0, bad.length, 10), "corrupt")
      assert.strictEqual(inflater.inflate(deflated("a"), 0, 3, 10), "corrupt", "until the message is over")
      inflater.finish()
      assert.strictEqual(String(inflateAll(inflater, [deflated("good")])), "good")
    }
    inflater.release()
  })
})
