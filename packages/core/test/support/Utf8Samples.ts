/** Text at every boundary of UTF-8, and bytes beyond each. */

export const validTexts: ReadonlyArray<readonly [title: string, text: string]> = [
  ["U+0000 and U+007F", "\u0000\u007f"],
  ["U+0080 and U+07FF", "\u0080\u07ff"],
  ["U+0800, U+0FFF and U+1000", "\u0800\u0fff\u1000"],
  ["U+CFFF, U+D000 and U+D7FF", "\ucfff\ud000\ud7ff"],
  ["U+E000, U+FFFD and U+FFFF", "\ue000\ufffd\uffff"],
  ["U+10000, U+3FFFF and U+40000", "\u{10000}\u{3ffff}\u{40000}"],
  ["U+FFFFF, U+100000 and U+10FFFF", "\u{fffff}\u{100000}\u{10ffff}"],
  ["text of all lengths", "aé€😀z"]
]

/**
 * Bytes that are not UTF-8, in spaced hex; where one byte makes it plain, its offset. Without an offset, only the end does.
 */
export const invalidSequences: ReadonlyArray<
  readonly [title: string, bytes: string, impossibleAt: number | undefined]
> = [
  ["a lone continuation byte", "80", 0],
  ["a lone last continuation byte", "bf", 0],
  ["an overlong U+002F of two bytes", "c0 af", 0],
  ["an overlong U+007F of two bytes", "c1 bf", 0],
  ["an overlong U+0000 of three bytes", "e0 80 80", 1],
  ["an overlong U+07FF of three bytes", "e0 9f bf", 1],
  ["an overlong U+0000 of four bytes", "f0 80 80 80", 1],
  ["an overlong U+FFFF of four bytes", "f0 8f bf bf", 1],
  ["the first high surrogate", "ed a0 80", 1],
  ["the last high surrogate", "ed af bf", 1],
  ["the first low surrogate", "ed b0 80", 1],
  ["the last low surrogate", "ed bf bf", 1],
  ["a pair of surrogates", "ed a0 bd ed b8 80", 1],
  ["U+110000", "f4 90 80 80", 1],
  ["a lead byte of U+140000", "f5 80 80 80", 0],
  ["a lead byte of five bytes", "f8 88 80 80 80", 0],
  ["a lead byte of six bytes", "fc 84 80 80 80 80", 0],
  ["the byte fe", "fe", 0],
  ["the byte ff", "ff", 0],
  ["a code point of two bytes cut short", "c3 28", 1],
  ["a code point of three bytes cut short", "e2 82 28", 2],
  ["a code point of three bytes without any continuation", "e2 28", 1],
  ["a code point of four bytes cut short", "f0 9f 98 28", 3],
  ["a code point of four bytes followed by another", "f0 9f c3 a9", 2],
  ["one continuation byte too many", "c3 a9 a9", 2],
  ["the beginning of a code point at the end", "e2 82", undefined]
]
