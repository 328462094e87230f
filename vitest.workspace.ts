import type { TestProjectConfiguration } from "vitest/config"

// The packages are tested from their source: no build stands between an edit and its test.
const conditions = ["@effect-ws/source", "module", "node", "development|production"]

const project = (name: string, root: string, include = ["test/**/*.test.ts"]): TestProjectConfiguration => ({
  root,
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    name,
    include,
    environment: "node",
    testTimeout: 20_000,
    hookTimeout: 20_000
  }
})

/** The test projects: one per package, the examples, and the tools of the workspace itself. */
const projects: Array<TestProjectConfiguration> = [
  project("core", "packages/core"),
  project("api", "packages/api"),
  project("platform-node", "packages/platform-node"),
  project("examples", "examples"),
  project("workspace", ".")
]

export default projects
