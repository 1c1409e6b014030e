import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

/** From the bottom up; folders of one row do not know each other. */
const layers = ["base", "api", "store clouds", "registry", "machines", "controllers", "server compare", "cli"];
const level = (folder = "") => layers.findIndex((row) => row.split(" ").includes(folder));
const files = readdirSync("src", { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"));
const importsOf = (file: string): string[] =>
  [...readFileSync(`src/${file}`, "utf8").matchAll(/(?:from|import|import\()\s*"(\.[^"]+)"/g)].map(([, to = ""]) =>
    new URL(to, `file:///${file}`).pathname.slice(1),
  );

test("the walk finds files", () => expect(files.length).toBeGreaterThan(20));

test.for(files)("src/%s imports only downwards", (file) => {
  const own = file.split("/")[0];
  const folders = importsOf(file).map((to) => to.split("/")[0]);
  expect(level(own), `${own} is not a layer`).toBeGreaterThanOrEqual(0);
  expect(folders.filter((to) => to !== own && level(to) >= level(own))).toEqual([]);
});

test.for(files.filter((file) => /^clouds\/\w+\//.test(file)))("src/%s knows no other cloud", (file) => {
  const own = file.split("/")[1];
  const others = importsOf(file).filter((to) => /^clouds\/\w+\//.test(to) && to.split("/")[1] !== own);
  expect(others).toEqual([]);
});

test.for(files.filter((file) => !file.startsWith("base/")))("src/%s takes time and chance from base", (file) => {
  const text = readFileSync(`src/${file}`, "utf8").replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "");
  expect(
    text.match(/\b(Math\.random|Date\.now|new Date|performance\.now|(?<!\.)setTimeout\(|(?<!\.)setInterval\()/g) ?? [],
  ).toEqual([]);
});

test.for(files.filter((file) => !file.endsWith(".gen.ts")))("src/%s fits a few screens", (file) => {
  expect(readFileSync(`src/${file}`, "utf8").split("\n").length).toBeLessThanOrEqual(351);
});
