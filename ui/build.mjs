// Builds the page into pyconsul/ui/dist: one script, one style sheet, one icon, each with a hash of its content in its
// name, each compressed beforehand. The same sources give the same bytes (compressed files: the same content).
//
//   node build.mjs           writes to ../pyconsul/ui/dist
//   node build.mjs DIR       writes to DIR (used to check that what is committed is up to date)
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const target = resolve(process.argv[2] ?? join(here, "../pyconsul/ui/dist"));
const BUDGET_BYTES = 100_000;

const result = await build({
  absWorkingDir: here,
  entryPoints: { app: "src/main.tsx", style: "src/style.css" },
  bundle: true,
  minify: true,
  format: "esm",
  target: ["chrome123", "firefox120", "safari17.5"],
  jsx: "automatic",
  jsxImportSource: "preact",
  legalComments: "none",
  outdir: "out",
  write: false,
});

const assets = new Map();
for (const file of result.outputFiles) {
  const extension = file.path.endsWith(".css") ? "css" : "js";
  assets.set(extension, add(extension === "css" ? "style" : "app", extension, Buffer.from(file.contents)));
}
assets.set("svg", add("icon", "svg", readFileSync(join(here, "src/icon.svg"))));

function add(name, extension, content) {
  const hash = createHash("sha256").update(content).digest("hex").slice(0, 12);
  return { name: `assets/${name}-${hash}.${extension}`, content };
}

const page = readFileSync(join(here, "src/index.html"), "utf8")
  .replace("APP", assets.get("js").name)
  .replace("STYLE", assets.get("css").name)
  .replace("ICON", assets.get("svg").name);

rmSync(target, { recursive: true, force: true });
mkdirSync(join(target, "assets"), { recursive: true });
writeFileSync(join(target, "index.html"), page);
writeFileSync(join(target, "licenses.txt"), licenses(["preact", "@preact/signals", "@preact/signals-core"]));
let total = 0;
for (const { name, content } of assets.values()) {
  const path = join(target, name);
  writeFileSync(path, content);
  const gzip = gzipSync(content, { level: 9 });
  writeFileSync(`${path}.gz`, gzip);
  const brotli = brotliCompressSync(content, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: content.length } });
  writeFileSync(`${path}.br`, brotli);
  total += gzip.length;
  console.log(`${name}  ${content.length} bytes, gzip ${gzip.length}, brotli ${brotli.length}`);
}
console.log(`first load: ${total} bytes (gzip) of ${BUDGET_BYTES}`);
if (total > BUDGET_BYTES) {
  console.error("over the budget");
  process.exit(1);
}

function licenses(names) {
  const parts = ["The page's script contains these libraries:\n"];
  for (const name of names) {
    const folder = join(here, "node_modules", name);
    const { version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    parts.push(`\n${name} ${version}\n\n${readFileSync(join(folder, "LICENSE"), "utf8").trim()}\n`);
  }
  return parts.join("");
}
