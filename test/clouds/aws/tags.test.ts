import { expect, test } from "vitest";
import { type Random, seededRandom, suffix, uuid } from "../../../src/base/random.ts";
import { checkUserTags, claimOf, launchTags, tagList } from "../../../src/clouds/aws/tags.ts";
import type { Launch } from "../../../src/clouds/cloud.ts";

const template = {
  hash: "0123456789abcdef",
  image: "debian-12",
  userData: "",
  architecture: "amd64",
  cpuMillis: 1_000,
  memoryBytes: 2 ** 30,
  diskBytes: 2 ** 33,
  prefetch: [],
} as const;

const launchOf = (random: Random, owner: Launch["owner"], names: readonly string[]): Launch => ({
  id: "l-1",
  cluster: "c",
  template,
  placement: { type: "t3.micro", zone: "us-east-1a", capacityType: "on-demand" },
  slots: names.map(() => uuid(random)),
  owner,
  names,
});

const web = { namespace: "default", kind: "Deployment", name: "web" };

function expectValid(tags: Readonly<Record<string, string>>) {
  expect(Object.keys(tags).length).toBeLessThanOrEqual(50);
  for (const [key, value] of Object.entries(tags)) {
    expect(key.length).toBeLessThanOrEqual(127);
    expect(value.length, key).toBeLessThanOrEqual(256);
    expect(value.length, key).toBeGreaterThan(0);
    expect(value).toMatch(/^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u);
    expect(value.trim()).toBe(value);
  }
}

test("the tags of a launch are these", () => {
  const names = ["web-5d4-bbbbb", "web-5d4-ccccc"];
  const slots = ["00000000-0000-4000-8000-000000000000", "ffffffff-ffff-4fff-bfff-ffffffffffff"];
  const launch = { ...launchOf(seededRandom(1), web, names), slots };
  expect(launchTags(launch, { team: "red" })).toEqual({
    team: "red",
    Name: "c default/web",
    "drover.dev/cluster": "c",
    "drover.dev/launch": "l-1",
    "drover.dev/owner": "default/Deployment/web",
    "drover.dev/template": "0123456789abcdef",
    "drover.dev/roster-prefix": "web-5d4-",
    "drover.dev/roster-0": "bbbbb=AAAAAAAAQACAAAAAAAAAAA ccccc=________T_-__________w",
  });
});

test.for(Array.from({ length: 60 }, (_, seed) => seed))("what launch %i says of each slot is read back", (seed) => {
  const random = seededRandom(seed);
  const count = 1 + Math.floor(random.next() * 100);
  const base = suffix(random, 1 + Math.floor(random.next() * 200));
  const owner = { namespace: suffix(random, 1 + Math.floor(random.next() * 63)), kind: "ReplicaSet", name: base };
  const names = Array.from({ length: count }, (_, index) => `${base}-${suffix(random)}${seed % 2 ? `-${index}` : ""}`);
  const launch = launchOf(random, owner, names);
  const tags = launchTags(launch, seed % 3 === 0 ? { team: "red", stage: "test" } : {});
  expectValid(tags);
  const claims = launch.slots.map((_, slot) => claimOf(tags, slot));
  expect(claims).toEqual(
    launch.slots.map((podUid, slot) => ({ owner, templateHash: template.hash, podName: names[slot], podUid })),
  );
  expect(claimOf(tags, count)).toBeUndefined();
});

test("a hundred pods with the longest names of one owner fit", () => {
  const base = "a".repeat(240);
  const names = Array.from({ length: 100 }, (_, index) => `${base}-${String(index).padStart(5, "0")}`);
  const launch = launchOf(seededRandom(7), { ...web, namespace: "n".repeat(63), name: "b".repeat(253) }, names);
  const tags = launchTags(launch, Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`k${index}`, "v"])));
  expectValid(tags);
  expect(claimOf(tags, 99)).toMatchObject({ podName: names[99], owner: { name: "b".repeat(253) } });
});

test("names that find no room lose their own claim and nobody else's", () => {
  const names = Array.from({ length: 100 }, (_, index) => `${String(index).padStart(3, "0")}${"x".repeat(220)}`);
  const launch = launchOf(seededRandom(8), web, names);
  const tags = launchTags(launch);
  expectValid(tags);
  const kept = names.filter((name, slot) => claimOf(tags, slot)?.podName === name);
  expect(kept.length).toBeGreaterThan(30);
  expect(names.every((name, slot) => [name, undefined].includes(claimOf(tags, slot)?.podName))).toBe(true);
});

test("a name too long for any tag leaves the places of the others as they are", () => {
  const names = [`a${"x".repeat(252)}`, "b-1", "b-2"];
  const launch = launchOf(seededRandom(9), web, names);
  const tags = launchTags(launch);
  expectValid(tags);
  expect(names.map((_, slot) => claimOf(tags, slot)?.podName)).toEqual([undefined, "b-1", "b-2"]);
});

test("a uid of another form is kept as it is", () => {
  const launch = { ...launchOf(seededRandom(1), web, ["web-0"]), slots: ["uid-0"] };
  expect(claimOf(launchTags(launch), 0)).toMatchObject({ podName: "web-0", podUid: "uid-0" });
});

test.for([
  {},
  { "drover.dev/launch": "l-1" },
  { "drover.dev/owner": "default/Deployment/web", "drover.dev/template": "0" },
  { "drover.dev/owner": "web", "drover.dev/template": "0", "drover.dev/roster-0": "a=AAAAAAAAQACAAAAAAAAAAA" },
  { "drover.dev/owner": "default/Deployment/web", "drover.dev/roster-0": "a=AAAAAAAAQACAAAAAAAAAAA" },
])("tags that somebody cut make no claim: %j", (tags) => {
  expect(claimOf(tags as Record<string, string>, 0)).toBeUndefined();
});

test("a list of tags has one order, so that a repeated call is the same call", () => {
  expect(tagList({ b: "2", a: "1" })).toEqual(tagList({ a: "1", b: "2" }));
});

test.for<[tags: Record<string, string>, message: RegExp]>([
  [{ "aws:x": "1" }, /"aws:x".*belongs to AWS/],
  [{ "drover.dev/cluster": "x" }, /drover sets it itself/],
  [{ Name: "x" }, /drover sets it itself/],
  [{ ["k".repeat(128)]: "x" }, /1 to 127 characters/],
  [{ k: "v".repeat(257) }, /at most 256 characters/],
  [{ k: "a;b" }, /letters, digits/],
  [Object.fromEntries(Array.from({ length: 21 }, (_, index) => [`k${index}`, ""])), /At most 20 tags/],
])("a tag that can't be set is named (%#)", ([tags, message]) => {
  expect(() => checkUserTags(tags)).toThrow(message);
});

test("usual tags are taken", () => {
  const tags = { team: "red", "cost center": "4711", "example.org/stage": "täst_1+2=3@x" };
  expect(checkUserTags(tags)).toBe(tags);
});
