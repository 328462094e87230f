/**
 * Reads the pieces that field values are made of (RFC 9110 5.6): tokens, quoted strings, blanks. One pass from left to
 * right: each call consumes what it returns, so a value costs time linear in its length whatever it holds.
 */
import { classes, isBlank, TEXT, TOKEN } from "./Ascii.ts"

export interface FieldScanner {
  readonly text: string
  at: number
}

export const make = (text: string): FieldScanner => ({ text, at: 0 })

export const isAtEnd = (scanner: FieldScanner): boolean => scanner.at >= scanner.text.length

export const skipBlanks = (scanner: FieldScanner): void => {
  while (!isAtEnd(scanner) && isBlank(scanner.text.charCodeAt(scanner.at))) scanner.at++
}

/** Consumes one character if it comes next. */
export const skip = (scanner: FieldScanner, character: string): boolean => {
  if (scanner.text.charAt(scanner.at) !== character) return false
  scanner.at++
  return true
}

const has = (code: number, mask: number): boolean => code <= 0xff && (classes[code] & mask) !== 0

/** Consumes a token: empty when none comes next. */
export const token = (scanner: FieldScanner): string => {
  const start = scanner.at
  while (!isAtEnd(scanner) && has(scanner.text.charCodeAt(scanner.at), TOKEN)) scanner.at++
  return scanner.text.slice(start, scanner.at)
}

/** Consumes the rest of a quoted string whose opening quote was consumed: undefined when it never ends. */
export const quotedString = (scanner: FieldScanner): string | undefined => {
  const pieces: Array<string> = []
  let start = scanner.at
  while (!isAtEnd(scanner)) {
    const character = scanner.text.charAt(scanner.at)
    if (!has(character.charCodeAt(0), TEXT)) return undefined
    if (character === '"') {
      pieces.push(scanner.text.slice(start, scanner.at++))
      return pieces.join("")
    }
    if (character === "\\") {
      // RFC 9110 5.6.4: the backslash goes, the character behind it stays, even a quote.
      pieces.push(scanner.text.slice(start, scanner.at++))
      start = scanner.at
      if (isAtEnd(scanner) || !has(scanner.text.charCodeAt(scanner.at), TEXT)) return undefined
    }
    scanner.at++
  }
  return undefined
}
