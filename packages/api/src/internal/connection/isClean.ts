/**
 * Which ends of a connection are no failure.
 */
import type { WebSocketError } from "../../WebSocketError.ts"

export const isClean = (error: WebSocketError): boolean => error._tag === "ConnectionClosed" && error.clean
