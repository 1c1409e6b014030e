// Set-up that every entry point shares: the right Node, npm's packages, the compiled sources. Plain JavaScript, because
// it runs before anything is installed. Idempotent; what is up to date costs a few stat calls.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
const stamps = join(root, "node_modules", ".drover");

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`drover needs Node 20.19 or newer, this is ${process.versions.node}.`);
  process.exit(1);
}

/** Runs a command in the checkout, which may ask on the terminal, with its output on stderr; ends the process when it fails. */
export function run(command, args, what) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ["inherit", 2, 2] });
  if (status === 0) return;
  console.error(`${what} failed${error ? `: ${error.message}` : ` (exit ${status})`}: ${command} ${args.join(" ")}`);
  process.exit(1);
}

const digest = (texts) => texts.reduce((hash, text) => hash.update(text), createHash("sha256")).digest("hex");
const isCurrent = (name, hash) => existsSync(join(stamps, name)) && readFileSync(join(stamps, name), "utf8") === hash;
function stamp(name, hash) {
  mkdirSync(stamps, { recursive: true });
  writeFileSync(join(stamps, name), hash);
}

/** npm's packages, exactly as locked; `dev` with the tools for tests and checks. */
function installPackages(dev) {
  const hash = digest([readFileSync(join(root, "package-lock.json"))]);
  if (isCurrent("packages", `${hash} dev`) || (!dev && isCurrent("packages", hash))) return;
  console.error("drover: installing npm packages");
  // `npm ci` insists on entries for every platform that a package is built for, which not every mirror has.
  run("npm", ["install", "--no-save", "--no-audit", "--no-fund", "--loglevel=error"], "npm install");
  stamp("packages", `${hash} dev`);
  giveBack();
}

/** Every file below a folder of the checkout, sorted. */
function filesBelow(folder) {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .map((name) => join(folder, name))
    .filter((name) => statSync(join(root, name)).isFile())
    .sort();
}

/** `dist/` from `src/`: the compiled modules and the data they read. */
export function build() {
  const sources = filesBelow("src");
  const inputs = [...sources, "tsconfig.json", "tsconfig.build.json"];
  const hash = digest(inputs.flatMap((name) => [name, readFileSync(join(root, name))]));
  if (existsSync(join(root, "dist/cli/main.js")) && isCurrent("build", hash)) return;
  // Made aside and moved in whole: processes that outlive drover are started from here at any time. Beside its place,
  // since source maps name src/ from where they lie.
  const fresh = `dist.${process.pid}`;
  const forget = () => rmSync(join(root, fresh), { recursive: true, force: true });
  forget();
  process.once("exit", forget);
  const compiler = join(root, "node_modules/typescript/bin/tsc");
  run(process.execPath, [compiler, "-p", "tsconfig.build.json", "--outDir", fresh], "the build");
  for (const name of sources.filter((each) => each.endsWith(".json"))) {
    cpSync(join(root, name), join(root, name.replace(/^src/, fresh)));
  }
  moveIn(join(root, fresh), join(root, "dist"));
  stamp("build", hash);
  giveBack();
}

/** Puts a folder in the place of another. Of several at once the last one stays, and each is whole at any time. */
function moveIn(fresh, place) {
  const former = `${fresh}.former`;
  const forget = () => rmSync(former, { recursive: true, force: true });
  for (let isIn = false; !isIn; forget()) {
    rename(place, former, "ENOENT");
    isIn = rename(fresh, place, "ENOTEMPTY", "EEXIST");
  }
}

/** False: it failed with one of these codes. */
function rename(from, to, ...codes) {
  try {
    renameSync(from, to);
    return true;
  } catch (error) {
    if (!codes.includes(error.code)) throw error;
    return false;
  }
}

/** What root made in somebody else's checkout becomes theirs: they would not get it out of the way at their next build. */
function giveBack() {
  const { uid, gid } = statSync(root);
  if (process.getuid?.() !== 0 || uid === 0) return;
  const made = ["dist", "node_modules", ".cache"].filter((name) => existsSync(join(root, name)));
  run(
    "chown",
    ["--recursive", "--no-dereference", `${uid}:${gid}`, ...made],
    "giving the build to the checkout's owner",
  );
}

/** Everything a command of drover needs that npm and the compiler can give. Outside a checkout there is nothing to do. */
export function bootstrap({ dev = true } = {}) {
  if (!existsSync(join(root, "src")) || !existsSync(join(root, "package-lock.json"))) return;
  installPackages(dev);
  build();
}
