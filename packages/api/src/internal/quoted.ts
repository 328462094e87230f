/**
 * Shows text of a peer on one line of printable ASCII, as the errors of core show text of the caller: whoever reads a log
 * must not be told what to do by it.
 */
export const quoted = (text: string): string => `"${text.replace(/[^ !#-[\]-~]/gu, escape)}"`

const escape = (character: string): string => `\\u{${character.codePointAt(0)?.toString(16)}}`
