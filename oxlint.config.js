/**
 * The lint rules. Warnings are errors; what a package may name follows the direction of the dependencies:
 * core names neither a platform nor Effect, api names no platform, and neither reads a clock or randomness of its own.
 */

/** @param {string} message @param {ReadonlyArray<string>} names */
const globals = (message, names) => names.map((name) => ({ name, message }))

/** @param {string} message @param {ReadonlyArray<string>} names */
const onGlobalThis = (message, names) => names.map((property) => ({ object: "globalThis", property, message }))

/** @param {string} text */
const words = (text) => text.split(" ")

const clock = words("Date performance setTimeout setInterval setImmediate clearTimeout clearInterval clearImmediate")
const node = words("process Buffer require global __dirname __filename")
const browser = words("window self navigator fetch WebSocket")

const notTheClock = "Time is the Clock in force: sleep and read it through Effect."
const notThePlatform = "What names a platform belongs in a platform package."
const notRandom = { object: "Math", property: "random", message: "Bytes that must not be guessed come from Entropy." }

// A bare "crypto" is as much of Node as "node:crypto".
const builtin =
  "^(node:.*|(buffer|crypto|dgram|dns|events|fs|https?|http2|net|os|path|process|stream|timers|tls|url|util|zlib)(/.*)?)$"

const barrels = words(
  "effect @effect/platform @effect/platform-node @effect-ws/core @effect-ws/api @effect-ws/platform-node"
).map((name) => ({ name, message: "Import the module itself: a barrel brings the whole package." }))

const expectations = ["vitest", "@effect/vitest"].map((name) => ({
  name,
  importNames: ["expect"],
  message: "Tests use assert."
}))

export default {
  plugins: ["typescript", "unicorn", "oxc", "import", "promise"],
  categories: { correctness: "error", suspicious: "error" },
  env: { builtin: true, es2022: true },
  ignorePatterns: ["**/dist/**", ".cache/**", "test/fixtures/**"],
  options: { reportUnusedDisableDirectives: "error" },
  rules: {
    eqeqeq: "error",
    "no-empty": "error",
    "no-proto": "error",
    "no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
    "no-var": "error",
    "prefer-const": "error",
    "import/first": "error",
    "import/namespace": ["error", { allowComputed: true }],
    "import/no-duplicates": "error",
    "import/no-mutable-exports": "error",
    "typescript/array-type": ["error", { default: "generic" }],
    "typescript/no-explicit-any": "error",
    "unicorn/no-abusive-eslint-disable": "error",
    "unicorn/prefer-node-protocol": "error",

    // `_tag` is how this field spells a discriminant, and a type may share the name of its value.
    "no-underscore-dangle": "off",
    "no-shadow": "off",
    "import/no-unassigned-import": "off",
    "promise/always-return": "off",
    "typescript/no-extraneous-class": "off",
    // A service that is its own tag is a class and an interface of one name.
    "typescript/no-unsafe-declaration-merging": "off",
    "unicorn/consistent-function-scoping": "off",
    // Iterating over a copy is how a set may change meanwhile.
    "unicorn/no-useless-spread": "off",
    "unicorn/prefer-add-event-listener": "off",
    // The methods they ask for came after ES2022.
    "unicorn/no-array-reverse": "off",
    "unicorn/no-array-sort": "off"
  },
  overrides: [
    {
      files: ["packages/*/src/**/*.ts"],
      rules: {
        "import/no-default-export": "error",
        "no-console": "error"
      }
    },
    {
      files: ["packages/core/src/**/*.ts"],
      rules: {
        "no-restricted-imports": [
          "error",
          {
            patterns: [
              { regex: builtin, message: "Core runs anywhere." },
              { regex: "^(effect|@effect|@effect-ws)(/|$)", message: "Core stands alone." }
            ]
          }
        ],
        "no-restricted-globals": [
          "error",
          ...globals("Core has no clock: time is told to it, or kept above it.", clock),
          ...globals("Core runs anywhere.", [...node, ...browser, "globalThis"]),
          ...globals("Core has no randomness: bytes are given to it.", ["crypto"]),
          ...globals("Core is synchronous.", ["Promise", "queueMicrotask"])
        ],
        "no-restricted-properties": ["error", notRandom]
      }
    },
    {
      files: ["packages/api/src/**/*.ts"],
      rules: {
        "no-restricted-imports": [
          "error",
          {
            paths: barrels,
            patterns: [
              { regex: builtin, message: notThePlatform },
              { regex: "^@effect(-ws)?/platform-", message: "Platforms depend on api." }
            ]
          }
        ],
        "no-restricted-globals": [
          "error",
          ...globals(notTheClock, clock),
          ...globals(notThePlatform, [...node, ...browser])
        ],
        "no-restricted-properties": [
          "error",
          notRandom,
          ...onGlobalThis(notTheClock, clock),
          ...onGlobalThis(notThePlatform, [...node, ...browser])
        ]
      }
    },
    {
      files: ["packages/platform-node/src/**/*.ts"],
      rules: {
        "no-restricted-imports": ["error", { paths: barrels }],
        "no-restricted-globals": [
          "error",
          ...globals(notTheClock, ["Date", "performance", "setTimeout", "setInterval"])
        ],
        "no-restricted-properties": ["error", notRandom]
      }
    },
    {
      files: ["**/test/**/*.ts"],
      plugins: ["typescript", "unicorn", "oxc", "import", "promise", "vitest"],
      rules: {
        "no-restricted-imports": ["error", { paths: expectations }],
        "typescript/no-explicit-any": "off",
        "vitest/expect-expect": "off",
        "vitest/no-disabled-tests": "error",
        "vitest/no-focused-tests": "error",
        "vitest/no-identical-title": "error"
      }
    },
    {
      files: ["**/typetest/**/*.ts"],
      rules: { "no-unused-expressions": "off", "no-unused-vars": "off" }
    }
  ]
}
