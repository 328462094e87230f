/**
 * Starts the parts of the page.
 */
import * as chat from "./chat.js"
import * as connection from "./connection.js"
import { clear } from "./log.js"

connection.start()
chat.start()
document.getElementById("clear").addEventListener("click", clear)
