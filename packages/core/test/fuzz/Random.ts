/** Random choices that a seed repeats. */
export class Random {
  private state: number

  constructor(seed: number) {
    this.state = seed >>> 0
    // Neighbouring seeds begin alike without this.
    for (let count = 0; count < 3; count++) this.next()
  }

  /** An integer from 0 up to `below`, which it never is. */
  below(below: number): number {
    return Math.floor((this.next() / 2 ** 32) * below)
  }

  /** An integer, small ones more often: up to `below`, but in half of all cases up to eight. */
  small(below: number): number {
    return this.below(this.chance(2) ? Math.min(below, 9) : below)
  }

  /** Whether one of so many cases is met. */
  chance(outOf: number): boolean {
    return this.below(outOf) === 0
  }

  pick<A>(choices: ReadonlyArray<A>): A {
    return choices[this.below(choices.length)]!
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(256))
  }

  /** Cuts bytes into chunks, each in memory of its own, at up to so many places. */
  cut(bytes: Uint8Array, places: number): Array<Uint8Array> {
    const edges = Array.from({ length: this.below(places + 1) }, () => this.below(bytes.length + 1)).sort(
      (a, b) => a - b
    )
    return [...edges, bytes.length].map((edge, index) => bytes.slice(edges[index - 1] ?? 0, edge))
  }

  // Mulberry32: small, fast, and good enough for choices.
  private next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.state ^ (this.state >>> 15), this.state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
}
