/**
 * Headless Chromium, the one that is installed on this machine: nothing is downloaded.
 */
import * as Fs from "node:fs"
import { type Browser, chromium } from "playwright-core"

/** Where Chromium is; `CHROMIUM_PATH` names another place. */
export const executablePath = process.env["CHROMIUM_PATH"] ?? "/usr/bin/chromium"

export const isInstalled = (): boolean => Fs.existsSync(executablePath)

/** Starts a browser of its own, which asks nothing of the network by itself. */
export const launch = (): Promise<Browser> =>
  chromium.launch({
    executablePath,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--no-first-run"
    ]
  })
