/**
 * What every client under measurement does: connects as often and where its environment says.
 */
import { report } from "../servers/report.js"

/** @param {(port: number) => void} connect */
export const connectAll = (connect) => {
  const { CONNECTIONS = "1", PORT } = process.env
  report(0)
  for (let i = 0; i < Number(CONNECTIONS); i++) connect(Number(PORT))
}
