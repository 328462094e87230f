/** The programs that the documentation shows are the first that anybody runs: they have to compile as printed. */
import { assert, describe, it } from "vitest"
import { spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"

const root = Path.resolve(import.meta.dirname, "..")

const pages = Fs.readdirSync(Path.join(root, "docs")).map((name) => `docs/${name}`)

const blocksOf = (document: string): Array<string> =>
  Array.from(Fs.readFileSync(Path.join(root, document), "utf8").matchAll(/^```ts\n(.*?)^```$/gms), ([, code]) => code!)

// The architecture is a page without programs, as are tables.
const documents = ["README.md", "packages/core/README.md", ...pages.filter((page) => blocksOf(page).length > 0)]

// Inside a package that depends on all of them, so that the imports resolve as they do for a user.
const withFolder = (use: (folder: string) => void): void => {
  const folder = Fs.mkdtempSync(Path.join(root, "examples/.readme-"))
  try {
    use(folder)
  } finally {
    Fs.rmSync(folder, { recursive: true, force: true })
  }
}

const compile = (folder: string, blocks: ReadonlyArray<string>): string => {
  for (const [index, block] of blocks.entries()) Fs.writeFileSync(Path.join(folder, `block-${index}.ts`), block)
  const options = { noEmit: true, composite: false, types: ["node"], rootDir: root }
  const extended = { extends: Path.join(root, "tsconfig.base.json"), compilerOptions: options, include: ["*.ts"] }
  Fs.writeFileSync(Path.join(folder, "tsconfig.json"), JSON.stringify(extended))
  const tsc = Path.join(root, "node_modules/typescript/bin/tsc")
  return spawnSync(process.execPath, [tsc, "-p", folder], { encoding: "utf8" }).stdout
}

describe("documentation", () => {
  for (const document of documents) {
    it(`programs in ${document} compile as printed`, () => {
      const blocks = blocksOf(document)
      assert.isNotEmpty(blocks)
      withFolder((folder) => assert.strictEqual(compile(folder, blocks), ""))
    })
  }

  it("the pages about using a connection are among those", () => {
    assert.includeMembers(documents, ["docs/sending-and-receiving.md", "docs/closing.md", "docs/time-and-limits.md"])
  })

  it("a program that doesn't compile is noticed", () => {
    withFolder((folder) => assert.include(compile(folder, ["export const text: string = 1"]), "TS2322"))
  })
})
