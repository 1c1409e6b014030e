import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { fasterClock, systemClock } from "../../../src/base/clock.ts";
import { seededRandom } from "../../../src/base/random.ts";
import { VirtualClock } from "../../../src/base/virtual.ts";
import { openSimCloud } from "../../../src/clouds/sim/open.ts";
import { networkSpec } from "../../contract/balancers.ts";
import { bindingOf, launchOf } from "./given.ts";

/** A world on virtual time; `soon` lets a call finish while time passes. */
function simulated(seed = 1, file?: string) {
  const clock = new VirtualClock();
  const sim = openSimCloud({ clock, random: seededRandom(seed), ...(file !== undefined && { file }) });
  const soon = async <T>(call: Promise<T>, withinMs = 60_000): Promise<T> => {
    const settled = call.then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    );
    await clock.advance(withinMs);
    const outcome = await settled;
    if ("error" in outcome) throw outcome.error;
    return outcome.value;
  };
  return { clock, ...sim, soon };
}

test("the same launch gives the same machines, once", async () => {
  const { cloud, soon, world } = simulated();
  const first = await soon(cloud.machines.launch(launchOf("l-1", ["a", "b"])));
  const again = await soon(cloud.machines.launch(launchOf("l-1", ["a", "b"])));
  expect(again.map(({ id }) => id)).toEqual(first.map(({ id }) => id));
  expect(first.map(({ slot }) => slot)).toEqual([0, 1]);
  expect(world.machines.size).toBe(2);
});

test("a machine comes up, takes one Pod for ever and serves it", async () => {
  const { boxes, cloud, soon } = simulated();
  const machines = await soon(cloud.machines.launch(launchOf("l-1", ["a"])), 600_000);
  const id = machines[0]?.id ?? "";
  boxes.follow(machines);
  await soon(boxes.bind(id, bindingOf("a")), 600_000);
  await soon(boxes.bind(id, bindingOf("a")));
  await expect(soon(boxes.bind(id, bindingOf("b")))).rejects.toMatchObject({ code: "BOX_TAKEN" });
  const { report } = boxes.contact(id) ?? {};
  expect(report?.uid).toBe("a");
  expect(report?.containerStatuses[0]).toMatchObject({ ready: true, restartCount: 0 });
  expect(report?.events.map(({ reason }) => reason)).toEqual(["Pulling", "Pulled", "Created", "Started"]);
});

test.for([
  ["an image that is not to be had waits", { image: "no-such-image:1" }, "waiting", /ErrImagePull|ImagePullBackOff/],
  [
    "a command that exits is restarted with a back-off",
    { command: ["sh", "-c", "exit 3"] },
    "waiting",
    /CrashLoopBackOff/,
  ],
] as const)("%s", async ([_name, fields, state, reason]) => {
  const { boxes, cloud, soon } = simulated();
  const machines = await soon(cloud.machines.launch(launchOf("l-1", ["a"])), 600_000);
  boxes.follow(machines);
  await soon(boxes.bind(machines[0]?.id ?? "", bindingOf("a", fields)), 20_000);
  const status = boxes.contact(machines[0]?.id ?? "")?.report?.containerStatuses[0];
  expect(status?.state?.[state]?.reason).toMatch(reason);
});

test.for<[string, object[]]>([
  [
    'CreateContainerConfigError: configmap "c" not found',
    [{ type: "Warning", reason: "Failed", message: 'Error: configmap "c" not found', container: "web" }],
  ],
  ["ContainerCreating: the disk is not attached yet", []],
])("what a container lacks is told as a machine's agent tells it: %s", async ([configError, events]) => {
  const { boxes, cloud, soon } = simulated();
  const machines = await soon(cloud.machines.launch(launchOf("l-1", ["a"])), 600_000);
  boxes.follow(machines);
  await soon(boxes.bind(machines[0]?.id ?? "", bindingOf("a", { configError })), 20_000);
  const { report } = boxes.contact(machines[0]?.id ?? "") ?? {};
  const [reason, message] = configError.split(": ");
  expect(report?.containerStatuses[0]?.state).toEqual({ waiting: { reason, message } });
  expect(report?.events).toMatchObject(events);
});

test("a process that has left its world changes nothing in it, and the next one goes on from there", async () => {
  const folder = mkdtempSync(join(tmpdir(), "sim-"));
  const file = join(folder, "sim.json");
  const read = () => readFileSync(file, "utf8");
  try {
    const first = simulated(1, file);
    const machines = await first.soon(first.cloud.machines.launch(launchOf("l-1", ["a", "b", "c"])), 600_000);
    const [loops, serves, ended] = machines.map(({ id }) => id);
    first.boxes.follow(machines);
    await first.soon(first.boxes.bind(loops ?? "", bindingOf("a", { command: ["sh", "-c", "exit 3"] })));
    await first.soon(first.boxes.bind(serves ?? "", bindingOf("b")));
    await first.soon(first.cloud.machines.terminate([ended ?? ""]), 600_000);
    await first.cloud.close();
    const left = read();
    await first.clock.advance(3_600_000);
    expect(read()).toBe(left);

    const next = simulated(2, file);
    const states = (await next.soon(next.cloud.machines.observe())).machines.map(({ id, state }) => [id, state]);
    expect(states).toEqual([
      [loops, "running"],
      [serves, "running"],
      [ended, "gone"],
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a terminated machine is stopping, then gone, and stays so", async () => {
  const { clock, cloud, soon } = simulated();
  const [machine] = await soon(cloud.machines.launch(launchOf("l-1", ["a"])), 600_000);
  await soon(cloud.machines.terminate([machine?.id ?? "", "i-unknown"]), 1_000);
  const seen = async () => (await soon(cloud.machines.observe(), 1_000)).machines.map(({ state }) => state);
  expect(await seen()).toEqual(["stopping"]);
  await clock.advance(600_000);
  expect(await seen()).toEqual(["gone"]);
});

test("a published balancer answers with the page of a healthy target, logs and exec work", async () => {
  const clock = fasterClock(systemClock, 200);
  const { boxes, cloud } = openSimCloud({ clock, random: seededRandom(3), publish: true });
  const machines = await cloud.machines.launch(launchOf("l-1", ["a"]));
  const id = machines[0]?.id ?? "";
  boxes.follow(machines);
  await expect.poll(() => boxes.contact(id)?.reachable, { timeout: 10_000 }).toBe(true);
  await boxes.bind(id, bindingOf("a"));
  const targets = [{ machineId: id, address: "10.90.0.1", port: 80, draining: false }];
  await cloud.balancers.ensure(networkSpec({ id: "b-1", ports: [18_080], targets }));
  const healthy = async () => (await cloud.balancers.observe()).balancers[0]?.targets[0]?.state;
  await expect.poll(healthy, { timeout: 10_000 }).toBe("healthy");
  const address = async () => (await cloud.balancers.observe()).balancers[0]?.addresses[0]?.ip;
  await expect.poll(address, { timeout: 10_000 }).toMatch(/^127\.77\./);
  const { ip } = (await cloud.balancers.observe()).balancers[0]?.addresses[0] ?? {};
  const page = await new Promise<string>((resolve, reject) => {
    get(`http://${ip}:18080/`, (response) => response.on("data", (chunk) => resolve(String(chunk)))).on(
      "error",
      reject,
    );
  });
  expect(page).toBe("pod-a web:1\n");
  const never = new AbortController().signal;
  const logs = await boxes.logs(id, { container: "web", follow: false, previous: false, timestamps: false }, never);
  expect((await logs.toArray()).join("")).toContain("GET /");
  const session = await boxes.exec(
    id,
    { container: "web", command: ["sh", "-c", "echo $GREETING; exit 3"], stdin: false, tty: false },
    never,
  );
  expect((await session.stdout.toArray()).join("")).toBe("hello\n");
  expect(await session.exit).toEqual({ exitCode: 3 });
  await cloud.balancers.remove("b-1");
  await boxes.close();
  await cloud.close();
});
