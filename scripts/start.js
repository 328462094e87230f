/**
 * The main job on a fresh clone: installs, builds and runs `examples/src/start.ts`.
 */
process.argv.splice(2, 0, "start")
await import("./example.js")
