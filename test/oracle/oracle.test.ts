import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { serve, type TestServer } from "../server/serve.ts";
import { connect, type Sequence } from "./replay.mjs";

// Every sequence that was recorded from kube-apiserver 1.36.3 is sent to a real drover server with its controllers and
// a simulated cloud, and every answer compared. `held-back.json` names what a later issue brings, with the reason; a
// name on it whose sequence passes is a failure too, so that the list stays true.
const read = (name: string) => JSON.parse(readFileSync(new URL(name, import.meta.url), "utf8"));
const sequences: Sequence[] = read("./recorded.json");
const heldBack: Record<string, string> = read("./held-back.json");

const named = (held: boolean) =>
  sequences
    .filter(({ name }) => (heldBack[name] !== undefined) === held)
    .map((sequence) => [sequence.name, sequence] as const);

let server: TestServer;
let oracle: ReturnType<typeof connect>;
beforeAll(async () => {
  server = await serve({ controllers: true });
  const { authority: ca, admin } = server.identity;
  oracle = connect({ server: `https://127.0.0.1:${server.port}`, ca, cert: admin.certificate, key: admin.key });
});
afterAll(async () => {
  oracle.close();
  await server.close();
});

test("only recorded sequences are held back", () => {
  const names = new Set(sequences.map(({ name }) => name));
  expect(Object.keys(heldBack).filter((name) => !names.has(name))).toEqual([]);
});

test.concurrent.for(named(false))("%s", { timeout: 90_000 }, async ([, sequence], { expect: check }) => {
  const difference = await oracle.replay(sequence);
  check(difference, difference).toBeUndefined();
});

/** A sequence that waits for a controller which is not there yet would only cost time. */
const waitSecondsMax = 3;
const hurried = (sequence: Sequence): Sequence => ({
  ...sequence,
  steps: sequence.steps.map((step) => ("poll" in step ? { ...step, poll: waitSecondsMax } : step)),
});

test.concurrent.for(named(true))("held back: %s", { timeout: 90_000 }, async ([, sequence], { expect: check }) => {
  const difference = await oracle.replay(hurried(sequence));
  check(difference, "it passes now: take it off held-back.json").toBeDefined();
});
