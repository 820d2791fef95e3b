import { render } from "preact";
import { App } from "./app";
import { startMonitor } from "./cluster";
import { startRouter } from "./router";
import { startShortcuts } from "./shortcuts";

startRouter();
startMonitor();
startShortcuts();
render(<App />, document.getElementById("app") as HTMLElement);
