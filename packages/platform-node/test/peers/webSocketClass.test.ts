/** The class of Chromium, with the scenarios that ours passes: what it does otherwise is listed with them. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Fs from "node:fs"
import { chromium, type Page } from "playwright-core"
import { afterAll, beforeAll } from "vitest"
import { describeWith } from "../support/programs.ts"
import { makeTools, type Scenario, scenarios } from "../support/webSocketClass.ts"
import { backends } from "../support/webSocketClassServers.ts"

const command = process.env["CHROMIUM_PATH"] ?? "/usr/bin/chromium"
const program = {
  name: "Chromium",
  command,
  problem: Fs.existsSync(command) ? undefined : `${command} is missing`
}

const launch = Effect.acquireRelease(
  Effect.promise(() =>
    chromium.launch({
      executablePath: command,
      args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    })
  ),
  (browser) => Effect.promise(() => browser.close())
).pipe(Effect.flatMap((browser) => Effect.promise(() => browser.newPage())))

/** Runs the scenario in a page of the server's own origin. What is `undefined` there is `null` here. */
const runIn = (page: Page, { run }: Scenario, url: string) =>
  Effect.promise(async () => {
    await page.goto(url.replace("ws", "http"))
    const script = `(${run})(WebSocket, ${JSON.stringify(url)}, (${makeTools})()).then(JSON.stringify)`
    return JSON.parse(await page.evaluate<string>(script)) as unknown
  })

for (const [backendName, backend] of Object.entries(backends)) {
  describeWith(program, `the class of Chromium, with ${backendName}`, () => {
    const scope = Effect.runSync(Scope.make())
    let page: Page
    beforeAll(() => Effect.runPromise(Scope.extend(launch, scope)).then((opened) => void (page = opened)), 60_000)
    afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

    for (const scenario of scenarios) {
      it.scopedLive(`client ${scenario.title}`, () =>
        Effect.gen(function* () {
          const { expected, otherwise = {} } = scenario
          const result = yield* runIn(page, scenario, yield* backend)
          const asJson: unknown = JSON.parse(JSON.stringify(otherwise.Chromium ?? expected))
          assert.deepStrictEqual(result, asJson)
        })
      )
    }
  })
}
