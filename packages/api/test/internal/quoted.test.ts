import { assert, it } from "@effect/vitest"
import { quoted } from "../../src/internal/quoted.ts"

it.each([
  ["", '""'],
  ["https://a.example:80", '"https://a.example:80"'],
  [" !#$%&'()*+,-./09:;<=>?@AZ[]^_`az{|}~", '" !#$%&\'()*+,-./09:;<=>?@AZ[]^_`az{|}~"'],
  ['"', '"\\u{22}"'],
  ["\\", '"\\u{5c}"'],
  ["a\r\n\t\0", '"a\\u{d}\\u{a}\\u{9}\\u{0}"'],
  ["\x1b[31m\x7f", '"\\u{1b}[31m\\u{7f}"'],
  ["\x9b31m\x85\xe9", '"\\u{9b}31m\\u{85}\\u{e9}"'],
  ["\u2028\u{1f600}", '"\\u{2028}\\u{1f600}"']
])("both roles show %j as %s", (text, shown) => {
  assert.strictEqual(quoted(text), shown)
})
