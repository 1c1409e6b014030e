import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { parse } from "yaml";
import { seededRandom } from "../../src/base/random.ts";
import { shellWord, systemdValue, yamlBlock, yamlScalar } from "../../src/machines/escape.ts";
import { renderUserData, type UserDataContext } from "../../src/machines/userdata.ts";

const nasty = [
  "'",
  '"',
  "\\",
  "$",
  "`",
  "%",
  "#",
  ":",
  "-",
  "{",
  "}",
  "[",
  "]",
  "&",
  "*",
  "!",
  "|",
  ">",
  "?",
  "@",
  "\n",
  "\r",
  "\t",
  " ",
  "\0",
  "\x1b",
  "\x7f",
  "\u0085",
  "\u2028",
  "\ufeff",
  "é",
  "🦬",
  "\ud800",
  "---\n",
  "$(id)",
  "{{yaml x}}",
  "%n",
  "a",
];
const seeds = Array.from({ length: 300 }, (_, index) => index + 1);
function word(seed: number): string {
  const random = seededRandom(seed);
  return Array.from(
    { length: 1 + Math.floor(random.next() * 12) },
    () => nasty[Math.floor(random.next() * nasty.length)],
  ).join("");
}
const whole = (text: string) => text.replace(/\p{Surrogate}/gu, "\ufffd");

/** What a place makes of a value, or undefined where the value is refused. */
function attempt(make: () => string): string | undefined {
  try {
    return make();
  } catch (error) {
    expect(error).toMatchObject({ code: "TEMPLATE_INVALID" });
    return undefined;
  }
}

test("a YAML scalar is read back as it was (300 seeds)", () => {
  for (const seed of seeds) {
    expect(parse(`a: ${yamlScalar(word(seed))}\nb: 1\n`), `SEED=${seed}`).toEqual({ a: whole(word(seed)), b: 1 });
  }
});

test("Python reads the same YAML", () => {
  const values = seeds.map(word);
  const document = values.map((value) => `- ${yamlScalar(value)}`).join("\n");
  const script = "import sys, yaml, json; print(json.dumps(yaml.safe_load(sys.stdin.buffer.read())))";
  const python = (text: string) => execFileSync("/usr/bin/python3", ["-c", script], { input: text, encoding: "utf8" });
  const known = execFileSync(
    "/usr/bin/python3",
    ["-c", "import importlib.util as u; print(bool(u.find_spec('yaml')))"],
    { encoding: "utf8" },
  );
  if (known.trim() !== "True") return console.warn("PyYAML is not installed: only Node's reading is checked");
  expect(JSON.parse(python(document))).toEqual(values.map(whole));
});

test("a shell word is one word, and refused where it cannot be one (300 seeds)", () => {
  const words = seeds.map((seed) => [word(seed), attempt(() => shellWord(word(seed)))] as const);
  const possible = words.filter(([, quoted]) => quoted !== undefined);
  expect(possible.length).toBeGreaterThan(20);
  const out = execFileSync("/bin/sh", ["-c", `printf '%s\\0' ${possible.map(([, quoted]) => quoted).join(" ")}`]);
  expect(out.toString().split("\0").slice(0, -1)).toEqual(possible.map(([value]) => value));
});

test("a value of a unit stays in its quotes and line, without specifiers or variables (300 seeds)", () => {
  for (const seed of seeds) {
    const made = attempt(() => systemdValue(word(seed)));
    if (made === undefined) continue;
    expect(made, `SEED=${seed}`).toMatch(/^"(?:[ !#$%&-[\]-~]|'|\\["\\]|\\u[0-9a-f]{4}|\\U[0-9a-f]{8})*"$/);
    expect(made.replaceAll("%%", "").replaceAll("$$", "")).not.toMatch(/[%$]/);
  }
});

test("a block holds its text or refuses it (300 seeds)", () => {
  for (const seed of seeds) {
    const text = `x${word(seed)}x`;
    const made = attempt(() => yamlBlock(text, 4));
    if (made !== undefined)
      expect(parse(`a: |\n    ${made}\nb: 1\n`), `SEED=${seed}`).toEqual({ a: `${text}\n`, b: 1 });
  }
});

test("no value of a manifest leaves its place in a rendered document (300 seeds)", () => {
  const templatesDir = mkdtempSync(join(tmpdir(), "templates-"));
  onTestFinished(() => rmSync(templatesDir, { recursive: true }));
  mkdirSync(join(templatesDir, "partials"));
  const template = [
    "#cloud-config",
    "hostname: {{yaml annotations.v}}",
    "write_files:",
    "  - path: /x",
    "    content: |",
    "      run {{sh annotations.v}} end",
    "      Environment={{systemd annotations.v}}",
    "{{#each images}}",
    "  - path: {{yaml this}}",
    "{{/each}}",
    "last: 1",
    "",
  ].join("\n");
  writeFileSync(join(templatesDir, "mine.yaml.hbs"), template);
  for (const seed of seeds) {
    const value = word(seed);
    const context: UserDataContext = {
      engine: "oci",
      family: "debian",
      dnf: false,
      services: [],
      packages: [],
      setup: "",
      catalog: "{}",
      authorizedKey: "k",
      namespace: "n",
      labels: {},
      annotations: { v: value },
      images: [value, "i"],
    };
    const made = attempt(() => renderUserData("mine", context, templatesDir));
    if (made === undefined) continue;
    expect(parse(made), `SEED=${seed}`).toEqual({
      hostname: whole(value),
      write_files: [
        { path: "/x", content: expect.stringMatching(/^run '.*' end\nEnvironment=".*"\n$/) },
        { path: whole(value) },
        { path: "i" },
      ],
      last: 1,
    });
  }
});
