import { describeChromium } from "../support/chromium.ts"
import { serverScenarios } from "../support/serverScenarios.ts"

describeChromium("Chromium", (connectFrom) => serverScenarios("Chromium", connectFrom()))
