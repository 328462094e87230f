/**
 * The tarballs as a user gets them: unpacked beside the peers of the workspace they type-check, by deep import and by
 * barrel, with both compilers and both ways of resolving modules, and a client of ten lines runs.
 */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { spawn, spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import type { AddressInfo } from "node:net"
import * as Os from "node:os"
import * as Path from "node:path"
import { WebSocketServer } from "ws"
import { filesBelow, packages, root } from "../scripts/workspace.js"

const peers = ["effect", "@effect/platform", "@effect/platform-node", "@noble/hashes", "@types/node", "ipaddr.js"]
/** Where the workspace has a package: beside the one that needs it when the root has another version. */
const installed = (name: string) =>
  [...packages.map(({ directory }) => directory), root]
    .map((directory) => Path.join(directory, "node_modules", name))
    .find((directory) => Fs.existsSync(directory)) ?? assert.fail(`${name} is not installed`)

const clients = ["client.ts", "barrel.ts"]

// Outside of the workspace, so that nothing is found in its node_modules by climbing.
const folder = Fs.realpathSync(Fs.mkdtempSync(Path.join(Os.tmpdir(), "effect-ws-pack-")))
const tarballs = Path.join(folder, "tarballs")
const modules = Path.join(folder, "node_modules")

const output = (command: string, args: ReadonlyArray<string>, cwd: string) => {
  const { error, status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: "utf8" })
  return { status, text: `${error?.message ?? ""}${stdout}${stderr}` }
}

const succeeds = (command: string, args: ReadonlyArray<string>, cwd: string) => {
  const { status, text } = output(command, args, cwd)
  assert.strictEqual(status, 0, `${command} ${args.join(" ")}\n${text}`)
  return text
}

const compile = (version: string, options: Record<string, unknown>) => {
  const project = Path.join(folder, `tsconfig.${version}.${String(options["moduleResolution"])}.json`)
  const compilerOptions = {
    target: "es2022",
    lib: ["es2022", "dom"],
    types: ["node"],
    strict: true,
    exactOptionalPropertyTypes: true,
    outDir: "out",
    ...options
  }
  Fs.writeFileSync(project, JSON.stringify({ compilerOptions, files: clients }))
  succeeds(process.execPath, [Path.join(root, "node_modules", version, "bin/tsc"), "-p", project], folder)
}

/** Runs a compiled client against a server that echoes, and gives what it printed. */
const runAgainstEcho = async (file: string) => {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0 })
  server.on("connection", (socket) =>
    socket.on("message", (data, binary) => {
      socket.send(data, { binary })
    })
  )
  await new Promise((resolve) => server.once("listening", resolve))
  const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`
  const child = spawn(process.execPath, [file, url], { cwd: folder, stdio: ["ignore", "pipe", "inherit"] })
  let printed = ""
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    printed += text
  })
  const code = await new Promise((resolve) => child.once("close", resolve))
  for (const client of server.clients) client.terminate()
  await new Promise((resolve) => server.close(resolve))
  return { code, printed }
}

beforeAll(() => {
  succeeds(process.execPath, ["scripts/tsc.js", "-b"], root)
  succeeds(process.execPath, ["scripts/pack.js", tarballs], root)
  for (const tarball of Fs.readdirSync(tarballs).filter((file) => file.endsWith(".tgz"))) {
    const short = tarball.replace(/^effect-ws-(.*)-\d.*$/, "$1")
    const target = Path.join(modules, "@effect-ws", short)
    Fs.mkdirSync(target, { recursive: true })
    succeeds("tar", ["-xzf", Path.join(tarballs, tarball), "--strip-components=1"], target)
  }
  for (const peer of peers) {
    Fs.mkdirSync(Path.dirname(Path.join(modules, peer)), { recursive: true })
    Fs.symlinkSync(installed(peer), Path.join(modules, peer), "junction")
  }
  Fs.writeFileSync(Path.join(folder, "package.json"), JSON.stringify({ type: "module" }))
  for (const client of clients) {
    Fs.copyFileSync(Path.join(root, "test/fixtures/packed", client), Path.join(folder, client))
  }
}, 120_000)

afterAll(() => {
  Fs.rmSync(folder, { recursive: true, force: true })
})

describe("packed packages", () => {
  it("hold what was built and no way to the source", () => {
    for (const { name, directory } of packages) {
      const unpacked = Path.join(modules, name)
      assert.notInclude(Fs.readFileSync(Path.join(unpacked, "package.json"), "utf8"), "@effect-ws/source")
      const files = filesBelow(unpacked)
      assert.includeMembers(files, ["LICENSE", "package.json", "dist/index.js", "dist/index.d.ts", "src/index.ts"])
      assert.deepStrictEqual(
        files.filter((file) => file.startsWith("src/")),
        filesBelow(Path.join(directory, "src")).map((file) => `src/${file}`)
      )
      assert.deepStrictEqual(
        files.filter((file) => file.includes("tsbuildinfo") || file.startsWith("test/")),
        []
      )
    }
  })

  it("open their modules, those in subfolders too, and close internal ones and the barrel's file", () => {
    const importing = (specifier: string) =>
      output(process.execPath, ["--input-type=module", "-e", `await import("${specifier}")`], folder)
    for (const open of [
      "@effect-ws/core/Frame",
      "@effect-ws/api/testing/MemoryTransport",
      "@effect-ws/platform-node"
    ]) {
      assert.deepStrictEqual(importing(open), { status: 0, text: "" })
    }
    for (const closed of ["@effect-ws/core/internal/Ascii", "@effect-ws/core/index"]) {
      assert.include(importing(closed).text, "ERR_PACKAGE_PATH_NOT_EXPORTED")
    }
  })

  for (const version of ["typescript", "typescript-5.9"]) {
    it(`type-check with ${version} under bundler resolution`, () => {
      compile(version, { module: "esnext", moduleResolution: "bundler", noEmit: true })
    }, 60_000)

    it(`type-check with ${version} under nodenext resolution, and both clients run`, async () => {
      compile(version, { module: "nodenext", moduleResolution: "nodenext" })
      assert.deepStrictEqual(await runAgainstEcho("out/client.js"), { code: 0, printed: "hello from the tarball\n" })
      assert.deepStrictEqual(await runAgainstEcho("out/barrel.js"), { code: 0, printed: "hello from the barrel\n" })
    }, 60_000)
  }
})
