import { describe, expect, test } from "vitest";
import type { Pod } from "../../src/api/types.gen.ts";
import type { Launch, Machine, Offer } from "../../src/clouds/cloud.ts";
import { type LauncherWorld, planLaunches } from "../../src/controllers/launcher.ts";
import { type Berth, type LaunchWorld, planLaunch } from "../../src/controllers/launches.ts";
import { poolOf } from "../../src/controllers/ledger.ts";
import type { Action, Plan } from "../../src/controllers/reconciler.ts";
import type { LaunchRecord } from "../../src/registry/view.ts";

const nowMs = Date.parse("2026-01-01T01:00:00Z");
const before = (seconds: number): string => new Date(nowMs - seconds * 1_000).toISOString();
const template = {
  hash: "0123456789abcdef",
  image: "debian-12",
  userData: "",
  architecture: "amd64",
  cpuMillis: 1_000,
  memoryBytes: 2 ** 30,
  diskBytes: 0,
  prefetch: [],
} as const;
const placement = { type: "small", zone: "a", capacityType: "on-demand" } as const;
const owner = { namespace: "default", kind: "ReplicaSet", name: "web" };
const launchOf = (slots: readonly string[]): Launch => ({
  id: "l-1",
  cluster: "test",
  template,
  placement,
  slots,
  owner,
  names: slots,
});
const machine = (slot: number, state: Machine["state"] = "running"): Machine => ({
  id: `i-${slot}`,
  launchId: "l-1",
  slot,
  state,
  type: "small",
  zone: "a",
});
const recordOf = (slots: readonly string[], status?: LaunchRecord["status"], secondsAgo = 5): LaunchRecord => ({
  apiVersion: "drover.dev/v1",
  kind: "Launch",
  metadata: { name: "l-1", uid: "r", resourceVersion: "7", annotations: { "drover.dev/owner": "web" } },
  spec: { ...launchOf(slots), requestedAt: before(secondsAgo) },
  ...(status && { status }),
});
const pod = (uid: string, more: Partial<Pod> = {}): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: uid, namespace: "default", uid, resourceVersion: "3" },
  spec: { containers: [] },
  status: { phase: "Running" },
  ...more,
});
const flat = (actions: readonly Action[]): Action[] =>
  actions.flatMap((action) => (action.do === "together" ? flat(action.actions) : [action]));
const told = ({ actions }: Plan): string =>
  flat(actions)
    .map((action) => {
      if (action.do === "terminate") return `end ${action.machineId}`;
      if (action.do === "tell") return `tell ${action.notice.reason}`;
      return action.do === "write" || action.do === "delete" ? `${action.do} ${action.key.name}` : action.do;
    })
    .join(", ");

describe("a launch record", () => {
  const given = (...machines: Machine[]) => ({ done: true, machines });
  const berth = (slot: number, more: Partial<Berth> = {}): Berth => ({
    machineId: `i-${slot}`,
    podUid: `p${slot}`,
    pod: pod(`p${slot}`),
    sight: { machine: machine(slot), gone: false },
    released: true,
    ...more,
  });
  const short = { ...given(), failure: { code: "CLOUD_CAPACITY", message: "there is none" } };
  const world = (more: Partial<LaunchWorld>): LaunchWorld => ({
    record: recordOf(["p0"], given(machine(0))),
    berths: [berth(0)],
    found: [],
    pods: [],
    finishedKeepSeconds: 600,
    ...more,
  });
  const gone = { sight: { machine: machine(0, "gone"), gone: true } };
  const finished = (secondsAgo: number) =>
    pod("p0", {
      status: {
        phase: "Succeeded",
        conditions: [{ type: "Ready", status: "False", lastTransitionTime: before(secondsAgo) }],
      },
    });

  test.for<[string, Partial<LaunchWorld>, string]>([
    ["calls as long as no answer is written down", { record: recordOf(["p0"]), berths: [] }, "launch"],
    ["calls even when nobody needs it any more", { record: recordOf(["p0"]), berths: [], pods: [] }, "launch"],
    [
      "says on its Pods that the call could not be made",
      { record: recordOf(["p0"]), berths: [], pods: [pod("p0")], failure: "throttled" },
      "tell LaunchDelayed, launch",
    ],
    ["rests while its Pods live", {}, ""],
    ["ends the machine of a Pod that is gone", { berths: [berth(0, { pod: undefined })] }, "end i-0"],
    ["but not before it is drained", { berths: [berth(0, { pod: undefined, released: false })] }, ""],
    ["asks once in ten seconds", { berths: [berth(0, { pod: undefined, asked: { sinceMs: 2_000, times: 1 } })] }, ""],
    [
      "and again when nothing has come of it",
      { berths: [berth(0, { pod: undefined, asked: { sinceMs: 10_000, times: 1 } })] },
      "end i-0",
    ],
    [
      "asks nothing of a machine that stops already",
      { berths: [berth(0, { pod: undefined, sight: { machine: machine(0, "stopping"), gone: false } })] },
      "",
    ],
    ["keeps the machine of a finished Pod for its logs", { berths: [berth(0, { pod: finished(60) })] }, ""],
    ["and ends it after that", { berths: [berth(0, { pod: finished(601) })] }, "end i-0"],
    [
      "ends a machine beside the one of the Pod's Node",
      { berths: [berth(0, { pod: pod("p0", { spec: { containers: [], nodeName: "i-9" } }) })] },
      "end i-0",
    ],
    ["stays while a Pod has not been told of the end of its machine", { berths: [berth(0, gone)] }, ""],
    ["goes when all its machines are gone", { berths: [berth(0, { ...gone, pod: undefined })] }, "delete l-1"],
    [
      "takes over a machine that a refused launch has made all the same",
      { record: recordOf(["p0"], given()), berths: [], found: [machine(0)] },
      "write l-1",
    ],
    ["is remembered for a while when it gave too little", { record: recordOf(["p0"], given()), berths: [] }, ""],
    ["and then goes", { record: recordOf(["p0"], given(), 1_201), berths: [] }, "delete l-1"],
    ["is remembered while its pool rests", { record: recordOf(["p0"], short, 179), berths: [] }, ""],
    ["and no longer", { record: recordOf(["p0"], short, 181), berths: [] }, "delete l-1"],
  ])("%s", ([_name, more, want]) => {
    expect(told(planLaunch(world(more), nowMs))).toBe(want);
  });
});

describe("the launcher", () => {
  const offer: Offer = {
    ...placement,
    architecture: "amd64",
    cpuMillis: 2_000,
    memoryBytes: 2 ** 32,
    elastic: false,
    priceUsdPerHour: 1,
    left: { machines: 5, cpuMillis: 0, memoryBytes: 0 },
  };
  const demands = (count: number, owner = "web") =>
    Array.from({ length: count }, (_, index) => ({
      pod: pod(`p${index}`, { status: { phase: "Pending" } }),
      owner,
      template,
    }));
  const world = (more: Partial<LauncherWorld>): LauncherWorld => ({
    cluster: "test",
    claims: [],
    lookups: [],
    waiting: demands(2),
    broken: [],
    offers: { list: [offer], ageMs: 0 },
    records: [],
    ended: new Set(),
    losses: [],
    poorPools: new Map(),
    gatherLeftMs: 0,
    machinesMax: 100,
    idPrefix: "l-x",
    ...more,
  });
  const given = (...slots: readonly string[]): LaunchRecord["status"] => ({
    done: true,
    machines: slots.map((uid, slot) => ({ ...machine(slot), id: `i-${uid}` })),
  });
  const failed = (code: string, secondsAgo: number) =>
    recordOf(["p0"], { done: true, machines: [], failure: { code, message: `${code} said so` } }, secondsAgo);

  const poorSince = (seconds: number) => new Map([[poolOf(placement), nowMs - seconds * 1_000]]);

  test.for<[string, Partial<LauncherWorld>, string, number | undefined]>([
    ["writes one record for what belongs together", {}, "create, tell MachineChosen, tell MachineChosen", undefined],
    ["waits for others to come", { gatherLeftMs: 200, waiting: [] }, "", 200],
    ["asks for offers first", { offers: undefined }, "refreshOffers", 0],
    ["and says why they can't be had", { offers: undefined, failure: "no" }, "write p0, write p1, refreshOffers", 0],
    ["and again when they are old", { offers: { list: [offer], ageMs: 5_000 } }, "refreshOffers", 0],
    ["says on the Pod why there is no room", { machinesMax: 0 }, "write p0, write p1", 15_000],
    [
      "counts what is there against the budget",
      { machinesMax: 2, records: [recordOf(["x"])] },
      "create, tell MachineChosen, write p1",
      15_000,
    ],
    [
      "and nothing of it that has ended, though its record stays for the others",
      { machinesMax: 2, records: [recordOf(["x", "y"], given("x", "y"))], ended: new Set(["i-x"]) },
      "create, tell MachineChosen, write p1",
      15_000,
    ],
    [
      "and a machine that is in nobody's records",
      { machinesMax: 2, strangers: [machine(0)] },
      "create, tell MachineChosen, write p1",
      15_000,
    ],
    [
      "and its price against what may be spent, here that of three",
      { usdPerHourMax: 3.5 * offer.priceUsdPerHour, strangers: [machine(0), machine(1)] },
      "create, tell MachineChosen, write p1",
      15_000,
    ],
    ["leaves a pool without capacity alone", { records: [failed("CLOUD_CAPACITY", 60)] }, "write p0, write p1", 15_000],
    [
      "for three minutes",
      { records: [failed("CLOUD_CAPACITY", 181)] },
      "create, tell MachineChosen, tell MachineChosen",
      undefined,
    ],
    [
      "and one that refused what the owner asked for",
      { records: [failed("CLOUD_INVALID", 60)] },
      "write p0, write p1",
      15_000,
    ],
    [
      "which says nothing of what others ask for",
      { records: [failed("CLOUD_INVALID", 60)], waiting: demands(2, "other") },
      "create, tell MachineChosen, tell MachineChosen",
      undefined,
    ],
    ["and one that took a machine back", { poorPools: poorSince(60) }, "write p0, write p1", 15_000],
    [
      "for three minutes, too",
      { poorPools: poorSince(181) },
      "create, tell MachineChosen, tell MachineChosen",
      undefined,
    ],
    ["rests after a refusal", { records: [failed("CLOUD_QUOTA", 4)] }, "write p0, write p1", 6_000],
    [
      "not for ever",
      { records: [failed("CLOUD_QUOTA", 200)] },
      "create, tell MachineChosen, tell MachineChosen",
      undefined,
    ],
    [
      "rests longer each time",
      { losses: [1, 2, 3].map((n) => ({ owner: "web", atMs: nowMs - n * 1_000 })) },
      "write p0, write p1",
      39_000,
    ],
    [
      "says of what no machine can be made",
      { waiting: [], broken: [{ pod: pod("bad"), message: "no" }] },
      "write bad",
      15_000,
    ],
    [
      "and has the others launched, and it looked at again",
      { broken: [{ pod: pod("bad"), message: "no" }] },
      "write bad, create, tell MachineChosen, tell MachineChosen",
      15_000,
    ],
  ])("%s", ([_name, more, want, again]) => {
    const plan = planLaunches(world(more), nowMs);
    expect([told(plan), plan.againInMs]).toEqual([want, again]);
  });

  test("a reason that is told already is not told again", () => {
    const said = { type: "PodScheduled", status: "False", reason: "Unschedulable", message: "no" };
    const known = pod("bad", { status: { phase: "Pending", conditions: [said] } });
    expect(planLaunches(world({ waiting: [], broken: [{ pod: known, message: "no" }] }), nowMs).actions).toEqual([]);
  });
});
