/**
 * The `Server` field of every response, unless the program has one of its own or wants none.
 */
import * as Headers from "../Headers.ts"

export const add = (fields: Headers.Headers, server: string | false = name): Headers.Headers =>
  server === false || Headers.has(fields, "Server") ? fields : Headers.append(fields, "Server", server)

// RFC 9110 10.2.4: without a version, which would tell an attacker more than a friend.
const name = "effect-ws"
