import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";

const pages = [
  "README.md",
  "ARCHITECTURE.md",
  "CONTRIBUTING.md",
  "docs/aws.md",
  "infra/README.md",
  "docs/threats.md",
  "docs/support.md",
  "docs/errors.md",
];

/** Files and folders of the project that a page names: `src/cli/gc.ts`, `test/golden/`; a `*` stands for any. */
const namedIn = (text: string): string[] =>
  [...text.matchAll(/`((?:src|test|templates|manifests|docs|bin|bench)\/[\w./-]*)`/g)].map(([, path = ""]) => path);

test.for(pages)("%s names only files that there are", (page) => {
  expect(namedIn(readFileSync(page, "utf8")).filter((path) => !existsSync(path))).toEqual([]);
});

test.for(pages)("every link of %s leads to a file", (page) => {
  const links = [...readFileSync(page, "utf8").matchAll(/\]\(([^)#]+)\)/g)].map(([, to = ""]) => to);
  const broken = links.filter((to) => !to.includes("://") && !existsSync(join(dirname(page), to)));
  expect(broken).toEqual([]);
});

test("ARCHITECTURE.md is read in one go, and names many files", () => {
  const text = readFileSync("ARCHITECTURE.md", "utf8");
  expect(text.split("\n").length).toBeLessThanOrEqual(200);
  expect(namedIn(text).length).toBeGreaterThan(50);
});
