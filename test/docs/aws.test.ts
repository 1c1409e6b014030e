import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, expect, test } from "vitest";
import { run } from "../e2e/drover.ts";

const text = readFileSync("docs/aws.md", "utf8");
const blocks = [...text.matchAll(/<!-- (\w+): (.+) -->\n```sh\n([\s\S]*?)```/g)].map(
  ([, how = "", name = "", script = ""]) => ({ how, name, script }),
);
const main = resolve("dist/cli/main.js");
const drover = (...words: readonly string[]) => run([process.execPath, main, ...words]);
const options = new Map<string, string[]>();
async function optionsOf(command: string): Promise<string[]> {
  const known = options.get(command);
  if (known) return known;
  const { out } = await drover(command, "--help");
  const found = [...out.matchAll(/^ {2}(?:-\w, )?(--[\w-]+)/gm)].map(([, name = ""]) => name);
  options.set(command, found);
  return found;
}

const folder = mkdtempSync(join(tmpdir(), "dr-aws-docs-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("every block of commands says how it is tested", () => {
  expect([...text.matchAll(/^```sh$/gm)].length).toBe(blocks.length);
  expect(blocks.map(({ how }) => how).filter((how) => how !== "run" && how !== "elsewhere")).toEqual([]);
});

test.for(blocks.filter(({ how }) => how === "run").map(({ name, script }) => [name, script] as const))(
  "%s",
  { timeout: 60_000 },
  async ([, script]) => {
    const own = script.replaceAll("npx drover", `'${process.execPath}' '${main}'`);
    const { code, out, err } = await run(["bash", "-euc", `cd '${folder}'\n${own}`]);
    expect(code, out + err).toBe(0);
    for (const part of ["look", "change"]) {
      const { Statement } = JSON.parse(readFileSync(join(folder, `${part}.json`), "utf8"));
      expect(Statement.length).toBeGreaterThan(2);
    }
  },
);

test("from an empty account to a served page it is ten lines, the request included", () => {
  const script =
    blocks
      .find(({ name }) => name === "from an empty account")
      ?.script.trim()
      .split("\n") ?? [];
  expect(script).toHaveLength(10);
  expect(script.at(-1)).toMatch(/^curl /);
});

test("the options in the table are those that --cloud aws has", { timeout: 60_000 }, async () => {
  const { out } = await drover("serve", "--help");
  const entries = out.split(/\n(?= {2}\S)/).filter((entry) => entry.replace(/\s+/g, " ").includes("(--cloud aws)"));
  const has = entries.map((entry) => /--[\w-]+/.exec(entry)?.[0]);
  const section = text.split("\n## Options\n")[1]?.split("\n## ")[0] ?? "";
  const told = [...section.matchAll(/^\| `(--[\w-]+)`/gm)].map(([, name]) => name);
  expect(told.sort()).toEqual(has.sort());
});

test("every option in a command is one that the command has", { timeout: 60_000 }, async () => {
  const calls = [...text.matchAll(/drover (serve|doctor|down|gc|prices|policy)\b([^\n`&]*)/g)];
  expect(calls.length).toBeGreaterThan(8);
  for (const [, command = "", words = ""] of calls) {
    const used = words.match(/(?<=\s)--[\w-]+/g) ?? [];
    expect(await optionsOf(command), command).toEqual(expect.arrayContaining(used));
  }
});

test("the annotations in the table are those that AWS' balancers read", () => {
  const source = readFileSync("src/clouds/aws/annotations.ts", "utf8");
  const rows = source.slice(source.indexOf("const rows"), source.indexOf("/** The annotation that sets a field"));
  const has = [...rows.matchAll(/\bof\(\s*"\w+",\s*("[^"]*"|undefined),\s*("[^"]*"|undefined)/g)]
    .flatMap(([, service, ingress]) => [service, ingress])
    .flatMap((name) => (name === undefined || name === "undefined" ? [] : [name.slice(1, -1)]));
  const table = /\| Service: .*\n\| --- .*\n((?:\|.*\n)+)/.exec(text)?.[1] ?? "";
  const told = table.split("\n").flatMap((line) => {
    const [, service = "", ingress = ""] = line.split("|");
    return [...`${service} ${ingress}`.matchAll(/`([^`]+)`/g)].map(([, name]) => name);
  });
  expect(has.length).toBeGreaterThan(40);
  expect(told.sort()).toEqual(has.sort());
});
