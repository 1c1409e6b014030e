import { afterEach, expect, test } from "vitest";
import { DroverHome } from "./drover.ts";

const homes: DroverHome[] = [];
afterEach(async () => {
  for (const home of homes.splice(0)) await home.close();
});
function newHome(): DroverHome {
  const home = new DroverHome();
  homes.push(home);
  return home;
}

const pods =
  "get pods -o jsonpath={range.items[*]}{.metadata.uid}{.status.containerStatuses[0].state.running.startedAt}{.status.containerStatuses[0].restartCount}{end}";

test("a stopped drover is started again and adopts its machines", { timeout: 90_000 }, async () => {
  const home = newHome();
  await home.serve("--cloud", "sim", "--speed", "100");
  const web = "create deployment web --image=web:1 --replicas=3";
  expect((await home.kubectl("1.36", web)).code).toBe(0);
  expect((await home.kubectl("1.36", "rollout status deployment/web --timeout=60s")).code).toBe(0);
  const before = (await home.kubectl("1.36", pods)).out;
  expect(await home.stop()).toBe(0);
  await home.serve("--cloud", "sim", "--speed", "100");
  await new Promise((resolve) => setTimeout(resolve, 5_000));
  expect((await home.kubectl("1.36", pods)).out).toBe(before);
  expect((await home.kubectl("1.36", "get deployment web")).out).toMatch(/3\/3/);
});

test("without balancers by default a Service's containers get its name, and one that asks has a balancer", {
  timeout: 90_000,
}, async () => {
  const home = newHome();
  await home.serve("--cloud", "sim", "--speed", "100", "--balancer", "names");
  const ready = async () => {
    expect((await home.kubectl("1.36", "rollout status deployment/web --timeout=60s")).code).toBe(0);
    const gates = "get pods -o jsonpath={.items[*].spec.readinessGates[*].conditionType}";
    return (await home.kubectl("1.36", gates)).out;
  };
  await home.kubectl("1.36", "create service clusterip web --tcp=80:8080");
  await home.kubectl("1.36", "create deployment web --image=web:1");
  expect(await ready()).toBe("");
  await home.kubectl("1.36", "annotate service web drover.dev/balancer=own");
  await home.kubectl("1.36", "rollout restart deployment/web");
  await expect.poll(ready, { timeout: 30_000 }).toMatch(/^drover\.dev\/balancer-\S+$/);
});

test("a second drover on the same data is refused with the first one's process id", { timeout: 60_000 }, async () => {
  const home = newHome();
  await home.serve("--cloud", "sim");
  const { code, err } = await home.drover(["serve", "--cloud", "sim", "--port", "0"], 20_000);
  expect(code).toBe(1);
  expect(err).toMatch(/process id \d+/);
  expect(err).toContain("STORE_LOCKED");
});

test("a port that is taken is named", { timeout: 60_000 }, async () => {
  const home = newHome();
  await home.serve("--cloud", "sim");
  const { out } = await home.drover(["gc"]);
  const port = /port (\d+)/.exec(out)?.[1] ?? "";
  const other = await home.drover(["serve", "--cloud", "sim", "--cluster", "other", "--port", port], 20_000);
  expect(other.code).toBe(1);
  expect(other.err).toContain(port);
});

test("gc lists the clusters with who serves them, and ends them all", { timeout: 60_000 }, async () => {
  const home = newHome();
  await home.serve("--cloud", "sim", "--cluster", "one");
  expect((await home.drover(["gc"])).out).toMatch(/one +process \d+, port \d+/);
  const { code, out, err } = await home.drover(["gc", "--all"]);
  expect(code).toBe(0);
  expect(err).toContain("removed cluster one");
  expect(out).not.toContain("one");
});

test("wrong usage ends with 2 and says what is expected", async () => {
  const home = newHome();
  for (const words of [["serve", "--cloud", "moon"], ["serve", "--port", "x"], ["fly"]]) {
    const { code, err } = await home.drover(words);
    expect(code, words.join(" ")).toBe(2);
    expect(err).toMatch(/error:/);
  }
});
