// `npm run bench`: every benchmark, or those named (`npm run bench -- registry`). A JSON line a figure, a table at the end.
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { bootstrap, root } from "./bootstrap.mjs";

bootstrap();
const present = readdirSync(join(root, "bench")).filter((name) => name.endsWith(".bench.ts"));
const names = present.map((name) => name.replace(/\.bench\.ts$/, ""));
const chosen = process.argv.length > 2 ? process.argv.slice(2) : names;
const unknown = chosen.filter((name) => !names.includes(name));
if (unknown.length > 0) {
  console.error(`no benchmark ${unknown.join(", ")}; there are: ${names.join(", ")}`);
  process.exit(2);
}
const rows = [];
let failed = false;
for (const name of chosen) {
  const words = ["--expose-gc", join(root, "node_modules/jiti/lib/jiti-cli.mjs"), join("bench", `${name}.bench.ts`)];
  const child = spawn(process.execPath, words, { cwd: root, stdio: ["ignore", "pipe", "inherit"] });
  for await (const line of createInterface({ input: child.stdout })) {
    console.log(line);
    if (line.startsWith("{")) rows.push({ bench: name, ...JSON.parse(line) });
  }
  if (child.exitCode !== 0) failed = true;
}
console.table(rows);
process.exit(failed ? 1 : 0);
