import { availableParallelism } from "node:os"
import { defineConfig } from "vitest/config"
import projects from "./vitest.workspace.ts"

export default defineConfig({
  // Vitest would keep one core for itself, which is half of what a small machine has.
  test: { projects, maxWorkers: availableParallelism(), minWorkers: 1 }
})
