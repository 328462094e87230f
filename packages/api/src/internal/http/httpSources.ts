/**
 * Finds the upgrade behind a request by what the HTTP server made it of: that stays the same however routers and middleware
 * modify the request.
 */
import type { HttpUpgrade } from "../../HttpUpgrade.ts"

export const register = (source: object, upgrade: HttpUpgrade): void => void upgrades.set(source, upgrade)

export const find = (source: unknown): HttpUpgrade | undefined =>
  typeof source === "object" && source !== null ? upgrades.get(source) : undefined

const upgrades = new WeakMap<object, HttpUpgrade>()
