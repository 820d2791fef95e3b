import { render } from "preact";
import { App } from "./app";
import { startMonitor } from "./cluster";
import { startPermissions } from "./permissions";
import { startRouter } from "./router";
import { startShortcuts } from "./shortcuts";

startRouter();
startMonitor();
startShortcuts();
startPermissions();
const root = document.getElementById("app") as HTMLElement;
root.replaceChildren(); // the words for browsers that cannot run this
render(<App />, root);
