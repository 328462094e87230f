/**
 * Runs every gate, also after one failed, shows the output of those that did, and says how each went.
 */
import { spawnSync } from "node:child_process"
import { install } from "./run.js"
import { root } from "./workspace.js"

const gates = ["codegen:check", "check:types", "typetest", "lint", "format", "circular", "purity", "docs"]

install()

const only = process.argv.slice(2)

let failed = 0
for (const gate of only.length === 0 ? gates : only) {
  const started = performance.now()
  const { status, stdout, stderr } = spawnSync(`npm run -s ${gate}`, { cwd: root, shell: true, encoding: "utf8" })
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  const summary = stdout.trim().split("\n").at(-1) ?? ""
  if (status === 0) {
    console.log(`ok      ${gate} (${seconds} s)${gate === "purity" || gate === "docs" ? `: ${summary}` : ""}`)
  } else {
    failed++
    console.log(`FAILED  ${gate} (${seconds} s)\n\n${(stdout + stderr).trimEnd()}\n`)
  }
}
process.exitCode = failed === 0 ? 0 : 1
