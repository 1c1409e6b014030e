import { expect, test } from "vitest";
import { chooseSaved, type SavedSibling } from "../../../src/clouds/local/saved-machines.ts";

const base = "0123456789abcdef";
const booted: SavedSibling = { name: `${base}-0`, generation: 0, images: {} };
const one = { "web:1": "sha256:a" };
const again = { "web:1": "sha256:b" };
const two = { "web:2": "sha256:c" };
const withOne: SavedSibling = { name: chooseSaved(base, [booted], one).name, generation: 1, images: one };

test("a machine with the same images is the one", () => {
  expect(chooseSaved(base, [booted, withOne], one)).toEqual({ name: withOne.name });
});

test("the next revision's machine is made from the one that was used last", () => {
  const { name, parent } = chooseSaved(base, [booted, withOne], two);
  expect(parent).toBe(withOne);
  expect(name).toMatch(new RegExp(`^${base}-2-`));
});

test("an image loaded anew under its old name is fetched by a machine that never had it", () => {
  const { name, parent } = chooseSaved(base, [booted, withOne], again);
  expect(name).not.toBe(withOne.name);
  expect(parent).toBe(booted);
});

test("a machine of which nothing is known is no parent", () => {
  const unknown: SavedSibling = { name: `${base}-1-fedcba9876543210`, generation: 1 };
  expect(chooseSaved(base, [booted, unknown], two).parent).toBe(booted);
  expect(chooseSaved(base, [unknown], two).parent).toBeUndefined();
});

test("after some generations the line begins again", () => {
  const old: SavedSibling = { ...withOne, generation: 5 };
  expect(chooseSaved(base, [booted, old], two).parent).toBe(booted);
});
