import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DroverHome } from "./drover.ts";
import { type Met, WebService } from "./web-service.ts";
import { withoutDrain } from "./without-drain.ts";

// The same commands under the same load against `drover serve --cloud sim` and against a copy of it that does not wait
// for the balancers: that nothing is lost is the drain's doing, and a drover without it would be found out.
const losesNothing = ({ losses }: Met) => expect(losses).toEqual({});
const losesSome = ({ losses }: Met) => expect(losses).not.toEqual({});

describe.for([
  ["drover loses nothing", undefined, losesNothing],
  ["a drover that does not drain loses requests", withoutDrain, losesSome],
] as const)("%s", ([_name, built, counted]) => {
  const home = new DroverHome();
  // Simulated time is fifty times as fast: an answer takes 2.4 s, which is longer than a busy computer takes to stop a
  // Pod, and two dozen are always on their way. The balancers' time is the simulated one: what is open is cut after
  // twice the grace, so the grace has to be half an answer at least.
  const slow = { path: "/slow?seconds=120", everyMs: 100 };
  const web = new WebService({ home, name: "web", slow, graceSeconds: 90, abrupt: true });
  beforeAll(async () => {
    if (built !== undefined) home.main = built(home.folder);
    await home.serve("--cloud", "sim", "--speed", "50");
  });
  afterAll(() => home.close());

  test("once two machines serve", { timeout: 60_000 }, async () => {
    await web.start("web:1", 2);
  });

  test.for<[string, () => Promise<void>]>([
    ["a rolling update", () => web.roll("web:2", 2)],
    ["a drained machine", () => web.drain(2)],
    ["a scale-down", () => web.scale(1)],
  ])("by %s", { timeout: 90_000 }, async ([_name, work]) => {
    const report = await web.underLoad(work);
    expect(report.sent).toBeGreaterThan(200);
    counted(report);
  });
});
