/**
 * Plots as SVG: of lines, in panels side by side, and of bars, in groups one below the other.
 */

/** @typedef {{ readonly name: string, readonly color: string, readonly dashed: boolean }} Legend */
/** @typedef {Legend & { readonly ys: ReadonlyArray<number> }} Line */

/**
 * @typedef {object} Panel
 * @property {string} title
 * @property {string} unit
 * @property {number | undefined} most of the y axis; without it, what the lines ask for
 * @property {ReadonlyArray<number>} xs
 * @property {ReadonlyArray<Line>} lines
 */

const [width, height, left, top, gap] = [230, 150, 60, 34, 30]

/**
 * @param {{ readonly title: string, readonly columns: number, readonly legend: ReadonlyArray<Legend>, readonly panels: ReadonlyArray<Panel> }} plot
 */
export const panelsOf = ({ columns, legend, panels, title }) => {
  const rows = Math.ceil(panels.length / columns)
  const [cellWidth, cellHeight] = [left + width + gap, top + height + gap]
  const keyRows = Math.ceil(legend.length / 4)
  const [fullWidth, fullHeight] = [Math.max(columns * cellWidth, 840), 50 + keyRows * 20 + rows * cellHeight]
  const drawn = panels.map((panel, i) => {
    const [x, y] = [(i % columns) * cellWidth + left, 40 + keyRows * 20 + Math.floor(i / columns) * cellHeight + top]
    return `<g transform="translate(${x} ${y})">${drawPanel(panel)}</g>`
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${fullWidth} ${fullHeight}" width="${fullWidth}" height="${fullHeight}" font-family="sans-serif" font-size="11">
<title>${escaped(title)}</title>
<rect width="100%" height="100%" fill="#fff"/>
<text x="20" y="26" font-size="16">${escaped(title)}</text>
${legend.map(drawKey).join("\n")}
${drawn.join("\n")}
</svg>
`
}

/** @type {(legend: Legend, index: number) => string} */
const drawKey = ({ color, dashed, name }, index) => {
  const [x, y] = [20 + (index % 4) * 205, 46 + Math.floor(index / 4) * 20]
  const line = `<line x1="${x}" y1="${y}" x2="${x + 28}" y2="${y}" ${stroke(color, dashed)}/>`
  return `${line}<text x="${x + 34}" y="${y + 4}">${escaped(name)}</text>`
}

/** @param {Panel} panel */
const drawPanel = ({ lines, most, title, unit, xs }) => {
  const step = stepOf(most ?? Math.max(...lines.flatMap(({ ys }) => ys)))
  const end = most ?? Math.ceil(Math.max(...lines.flatMap(({ ys }) => ys)) / step) * step
  const x = (/** @type {number} */ index) => ((index / (xs.length - 1)) * width).toFixed(1)
  const y = (/** @type {number} */ value) => (height - (value / end) * height).toFixed(1)
  const ticks = Array.from({ length: Math.floor(end / step) + 1 }, (_, i) => Number((i * step).toFixed(6)))
  return [
    `<text x="0" y="-10" font-weight="bold">${escaped(title)}</text>`,
    ...ticks.map(
      (tick) =>
        `<line x1="0" x2="${width}" y1="${y(tick)}" y2="${y(tick)}" stroke="#ddd"/>` +
        `<text x="-6" y="${Number(y(tick)) + 4}" text-anchor="end">${tick} ${unit}</text>`
    ),
    ...xs.map((value, i) => `<text x="${x(i)}" y="${height + 16}" text-anchor="middle">${value}</text>`),
    ...lines.map(({ color, dashed, ys }) => {
      const points = ys.map((value, i) => `${x(i)},${y(value)}`).join(" ")
      return `<polyline points="${points}" fill="none" ${stroke(color, dashed)}/>`
    })
  ].join("\n")
}

/** @typedef {{ readonly name: string, readonly value: number, readonly isOurs: boolean }} Bar */

const [barsLeft, barsWidth, barHeight] = [270, 440, 16]

/**
 * Each group has a scale of its own, as long as its longest bar.
 *
 * @param {{ readonly title: string, readonly groups: ReadonlyArray<{ readonly title: string, readonly bars: ReadonlyArray<Bar> }> }} plot
 */
export const barsOf = ({ groups, title }) => {
  let y = 46
  const drawn = groups.map((group) => {
    const most = Math.max(...group.bars.map(({ value }) => value))
    const head = `<text x="20" y="${y + 12}" font-weight="bold">${escaped(group.title)}</text>`
    const bars = group.bars.map((bar, i) => drawBar(bar, most, y + 20 + i * barHeight))
    y += 36 + group.bars.length * barHeight
    return [head, ...bars].join("\n")
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 840 ${y}" width="840" height="${y}" font-family="sans-serif" font-size="11">
<title>${escaped(title)}</title>
<rect width="100%" height="100%" fill="#fff"/>
<text x="20" y="26" font-size="16">${escaped(title)}</text>
${drawn.join("\n")}
</svg>
`
}

/** @type {(bar: Bar, most: number, y: number) => string} */
const drawBar = ({ isOurs, name, value }, most, y) => {
  const length = Math.max(1, (value / most) * barsWidth)
  const digits = value >= 100 ? 0 : value >= 1 ? 1 : 2
  return (
    `<text x="${barsLeft - 8}" y="${y + 11}" text-anchor="end">${escaped(name.replaceAll("`", ""))}</text>` +
    `<rect x="${barsLeft}" y="${y + 2}" width="${length.toFixed(1)}" height="${barHeight - 4}" fill="${isOurs ? "#1b6ca8" : "#b8c4ce"}"/>` +
    `<text x="${(barsLeft + length + 6).toFixed(1)}" y="${y + 11}">${value.toFixed(digits)}</text>`
  )
}

/** @type {(color: string, dashed: boolean) => string} */
const stroke = (color, dashed) => `stroke="${color}" stroke-width="1.8"${dashed ? ' stroke-dasharray="5 3"' : ""}`

/** Four to eight steps of 1, 2 or 5. */
const stepOf = (/** @type {number} */ most) => {
  const power = 10 ** Math.floor(Math.log10(most / 4))
  return power * ([1, 2, 5].findLast((factor) => factor * power <= most / 4) ?? 1)
}

const escaped = (/** @type {string} */ text) => text.replace(/[&<>]/g, (character) => `&#${character.charCodeAt(0)};`)
