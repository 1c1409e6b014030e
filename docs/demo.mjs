// Makes docs/demo.svg: runs `npm start -- --cloud sim` in a terminal of its own and draws the screen that it leaves.
//   node docs/demo.mjs
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const folder = mkdtempSync(join(tmpdir(), "drover-demo-"));
const command = "npm start -- --cloud sim";
const quiet = command.replace("start", "start --silent");
const env = { ...process.env, DROVER_HOME: join(folder, "home"), TERM: "xterm" };
const transcript = join(folder, "transcript");
const { status } = spawnSync("script", ["-qec", quiet, transcript], { env, stdio: ["inherit", "ignore", "inherit"] });
const text = readFileSync(transcript, "utf8");
spawnSync("npm", ["start", "--silent", "--", "--cleanup"], { env, stdio: "ignore" });
rmSync(folder, { recursive: true, force: true });
if (status !== 0) throw new Error(`${command} ended with ${status}`);

const escapeCode = "\u001b";
const tokens = new RegExp(
  `${escapeCode}\\[(\\d+)A|${escapeCode}\\[(\\d+)m|${escapeCode}\\[J|\n|[^${escapeCode}\n]+`,
  "g",
);

/** What is on the screen at the end: lines of { text, style }. Knows the codes that drover writes. */
function screen(written) {
  const lines = [];
  let row = 0;
  let style = "";
  for (const [token, up, number] of written.matchAll(tokens)) {
    if (up) row -= Number(up);
    else if (number) style = { 1: "strong", 2: "faint" }[number] ?? "";
    else if (token === "\n") row++;
    else if (token.startsWith(escapeCode)) lines.length = Math.min(lines.length, row);
    else {
      lines[row] ??= [];
      lines[row].push({ text: token, style });
    }
  }
  return Array.from(lines, (line) => line ?? []);
}

const body = text
  .replace(/^Script started.*\n|\nScript done.*\n*$/g, "")
  .replaceAll("\r", "")
  .replaceAll(join(folder, "home"), "~/.drover");
const lines = [
  [{ text: `$ ${command}`, style: "prompt" }],
  ...screen(body).filter((line, at, all) => line.length > 0 || all[at - 1]?.length > 0),
];
const xml = (plain) => plain.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
const [columns, lineHeight, margin] = [
  Math.max(...lines.map((line) => line.reduce((sum, part) => sum + part.text.length, 0))),
  19,
  16,
];
const [width, height] = [Math.ceil(columns * 7.85) + 2 * margin, lines.length * lineHeight + 2 * margin];
const rows = lines.map((line, at) => {
  const parts = line.map((part) => `<tspan class="${part.style}">${xml(part.text)}</tspan>`).join("");
  return `<text x="${margin}" y="${margin + 14 + at * lineHeight}">${parts}</text>`;
});
// The panel has its own ground, so that it reads the same on a light and on a dark page.
writeFileSync(
  new URL("demo.svg", import.meta.url),
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">
<title>${command}: two simulated machines behind a load balancer, rolled without losing a request</title>
<style>
text { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; fill: #d7dde4; white-space: pre; }
.strong { font-weight: bold; fill: #ffffff; } .faint { fill: #8f9aa6; } .prompt { fill: #7ee2a8; }
</style>
<rect width="${width}" height="${height}" rx="8" fill="#161b22" stroke="#8f9aa6" stroke-opacity="0.4"/>
${rows.join("\n")}
</svg>
`,
);
