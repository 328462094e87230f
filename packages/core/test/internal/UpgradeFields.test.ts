import { assert, describe, it } from "vitest"
import * as UpgradeFields from "../../src/internal/UpgradeFields.ts"
import { assertFault, fields } from "../heads.ts"

describe("RFC 6455 4: fields that ask for and grant the upgrade", () => {
  it("both roles take HTTP/1.1 and what 1.x may come", () => {
    for (const version of ["1.1", "1.2", "1.9"]) assert.isUndefined(UpgradeFields.checkVersion("request", version))
    for (const version of ["1.0", "0.9", "2.0", "", "11"]) {
      assertFault(UpgradeFields.checkVersion("response", version), "HttpVersion", { version, head: "response" })
    }
  })

  it("server takes websocket beside other protocols, a client alone", () => {
    const both = fields(["Upgrade", "h2c"], ["Upgrade", "websocket"])
    assert.isUndefined(UpgradeFields.checkUpgrade("request", both))
    assertFault(UpgradeFields.checkUpgrade("response", both), "UpgradeWithoutWebsocket", { value: "h2c, websocket" })
  })

  it("both roles take any other option of the connection", () => {
    const options = fields(["Connection", "x, UPGRADE"])
    assert.isUndefined(UpgradeFields.checkConnection("request", options))
    assert.isUndefined(UpgradeFields.checkConnection("response", options))
  })

  it("both roles keep the fields of the handshake to themselves", () => {
    assert.isUndefined(UpgradeFields.checkOwn(fields(["X", "1"], ["Sec-WebSocket", "1"]), ["Host"]))
    assertFault(UpgradeFields.checkOwn(fields(["hOST", "1"]), ["Host"]), "ReservedField", { field: "hOST" })
    const later = fields(["SEC-WEBSOCKET-X", "1"])
    assertFault(UpgradeFields.checkOwn(later, []), "ReservedField", { field: "SEC-WEBSOCKET-X" })
    assertFault(UpgradeFields.checkOwn(fields(["Host", "\n"]), ["Host"]), "InvalidFieldValue", { field: "Host" })
  })
})
