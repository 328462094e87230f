import * as ConnectionOptions from "@effect-ws/api/ConnectionOptions"
import * as PermessageDeflate from "@effect-ws/api/PermessageDeflate"
import { assert, describe, it } from "@effect/vitest"

const defaults = {
  threshold: 256,
  serverNoContextTakeover: true,
  clientNoContextTakeover: true,
  serverMaxWindowBits: 15,
  clientMaxWindowBits: 15
}

describe("PermessageDeflate", () => {
  it("alternatives are none when nothing is said, or when it is off", () => {
    for (const setting of [undefined, false, []]) assert.deepStrictEqual(PermessageDeflate.alternatives(setting), [])
  })

  it("alternatives of true are the defaults: nothing is taken over, the windows are the largest", () => {
    for (const setting of [true, {}, [{}]]) {
      assert.deepStrictEqual(PermessageDeflate.alternatives(setting), [defaults])
    }
    const unset = { threshold: undefined, serverContextTakeover: undefined, serverMaxWindowBits: undefined }
    assert.deepStrictEqual(PermessageDeflate.alternatives(unset), [defaults])
  })

  it("alternatives say what the options say, in their order", () => {
    const first = { threshold: 0, serverContextTakeover: true, clientMaxWindowBits: 8 }
    const second = { clientContextTakeover: true, serverContextTakeover: false, serverMaxWindowBits: 9 }
    assert.deepStrictEqual(PermessageDeflate.alternatives([first, second]), [
      { ...defaults, threshold: 0, serverNoContextTakeover: false, clientMaxWindowBits: 8 },
      { ...defaults, clientNoContextTakeover: false, serverMaxWindowBits: 9 }
    ])
  })

  const bits = "must be an integer from 8 to 15"
  const sizes = `must be an integer from 0 to ${Number.MAX_SAFE_INTEGER}`
  const wrong: ReadonlyArray<readonly [keyof PermessageDeflate.Options, ReadonlyArray<number>, string]> = [
    ["threshold", [-1, 0.5, Number.NaN, Infinity, 2 ** 53], sizes],
    ["serverMaxWindowBits", [0, 7, 16, 8.5, -15, Number.NaN, Infinity], bits],
    ["clientMaxWindowBits", [0, 7, 16, 8.5, -15, Number.NaN, Infinity], bits]
  ]
  for (const [option, values, must] of wrong) {
    it(`alternatives throw a RangeError that names ${option} when its value can't be meant`, () => {
      for (const value of values) {
        const message = `The option permessageDeflate.${option} ${must}, and is ${value}`
        for (const setting of [{ [option]: value }, [{}, { [option]: value }]]) {
          assert.throws(() => PermessageDeflate.alternatives(setting), RangeError, message)
          for (const role of ["client", "server"] as const) {
            const make = () => ConnectionOptions.make(role, { permessageDeflate: setting })
            assert.throws(make, RangeError, message)
          }
        }
      }
    })
  }

  it("alternatives take the ends of each range", () => {
    for (const threshold of [0, 1, Number.MAX_SAFE_INTEGER]) {
      assert.deepInclude(PermessageDeflate.alternatives({ threshold })[0], { threshold })
    }
    for (const windowBits of [8, 9, 15]) {
      const given = { serverMaxWindowBits: windowBits, clientMaxWindowBits: windowBits }
      assert.deepInclude(PermessageDeflate.alternatives(given)[0], given)
    }
  })
})
