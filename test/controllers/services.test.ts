import { describe, expect, test } from "vitest";
import type { Pod, Service } from "../../src/api/types.gen.ts";
import { VirtualClock } from "../../src/base/virtual.ts";
import type { BalancerSpec, BalancerState, Machine, TargetState } from "../../src/clouds/cloud.ts";
import { openBalancerBook } from "../../src/controllers/balancer-book.ts";
import { frontendRecord } from "../../src/controllers/frontend.ts";
import type { Action, Plan } from "../../src/controllers/reconciler.ts";
import { planService, type ServiceWorld } from "../../src/controllers/services.ts";
import { balancerOf, type Candidate, targetPort } from "../../src/controllers/targets.ts";

const service = (more: Partial<Service["spec"]> = {}): Service => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "web", namespace: "default", uid: "s", resourceVersion: "2" },
  spec: {
    type: "LoadBalancer",
    clusterIP: "10.96.0.9",
    selector: { app: "web" },
    ports: [{ port: 80, targetPort: "http" }],
    ...more,
  },
});
const machine = (id: string, state: Machine["state"] = "running"): Machine => ({
  id,
  launchId: "l",
  slot: 0,
  state,
  type: "t",
  zone: "a",
  address: `10.0.0.${id}`,
});
/** "A" has ready containers, "a" not yet, "x" is on its way out; the machine's id is the place in the word. */
const candidate = (letter: string, id: string): Candidate => {
  const ready = { type: "ContainersReady", status: letter === "a" ? "False" : "True" };
  const going = letter === "x" ? { deletionTimestamp: "2026-01-01T00:00:00Z" } : {};
  const ports = [{ name: "http", containerPort: 8080 }];
  const pod: Pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: id, namespace: "default", uid: id, ...going },
    spec: { containers: [{ name: "c", ports }] },
    status: { conditions: [ready] },
  };
  return { pod, machine: machine(id) };
};
const candidates = (word: string): Candidate[] => [...word].map((letter, index) => candidate(letter, `${index}`));
const present = (...ids: string[]) =>
  ids.map((machineId) => ({ machineId, address: `10.0.0.${machineId}`, ports: [8080] }));
const world = (more: Partial<ServiceWorld> = {}): ServiceWorld => ({
  cluster: "test",
  id: "svc-s",
  service: service(),
  isGone: false,
  record: {
    ...frontendRecord(service(), balancerOf(service(), "svc-s", "test")),
    metadata: { name: "svc-s", uid: "r" },
  },
  candidates: [],
  present: [],
  known: true,
  ...more,
});
const one = (action: Action): string => {
  if (action.do !== "ensureBalancer") return action.do === "write" ? `write ${action.key.resource}` : action.do;
  return `[${action.spec.targets.map(({ machineId, draining }) => machineId + (draining ? "d" : "")).join(" ")}]`;
};
const told = ({ actions }: Plan): string => actions.map(one).join(", ");
const specOf = (targets: BalancerSpec["targets"]): BalancerSpec => ({
  ...balancerOf(service(), "svc-s", "test"),
  targets,
});
const active = (id: string) => ({ machineId: id, address: `10.0.0.${id}`, ports: [8080], draining: false });
const state = (...targets: [string, TargetState][]): BalancerState => ({
  id: "svc-s",
  name: "default/web",
  ready: true,
  addresses: [{ ip: "127.1.2.3" }],
  targets: targets.map(([machineId, is]) => ({ machineId, state: is })),
});

test.for<[string, Partial<ServiceWorld>, string]>([
  ["is written down before it is made", { record: undefined }, "create"],
  ["is changed in the record first", { service: service({ ports: [{ port: 81 }] }) }, "write frontends.drover.dev"],
  ["changes nothing before everything was seen", { known: false, candidates: candidates("A") }, ""],
  ["has the machines with ready containers", { candidates: candidates("AaA") }, "[0 2]"],
  ["says so once", { candidates: candidates("A"), carriedOut: specOf([active("0")]) }, ""],
  ["lets a Pod on its way out drain", { candidates: candidates("Ax"), present: present("1") }, "[0 1d]"],
  ["lets a Pod that is not ready any more drain", { candidates: candidates("Aa"), present: present("1") }, "[0 1d]"],
  ["lets a machine drain whose Pod is gone", { candidates: candidates("A"), present: present("7") }, "[0 7d]"],
  ["forgets what is drained", { candidates: candidates("Ax"), carriedOut: specOf([]) }, "[0]"],
  ["tells its address once it accepts connections", { state: state(), carriedOut: specOf([]) }, "write services"],
  [
    "of a Service that is gone drains first",
    { service: undefined, isGone: true, present: present("1"), state: state() },
    "[1d]",
  ],
  ["is removed then", { service: undefined, isGone: true, state: state(["1", "drained"]) }, "removeBalancer"],
  ["is forgotten at last", { service: undefined, isGone: true }, "delete"],
  [
    "is forgotten, the record not, while the Service lives without one",
    { service: undefined },
    "write frontends.drover.dev",
  ],
])("a balancer %s", ([_name, more, want]) => {
  expect(told(planService(world(more)))).toBe(want);
});

test.for([
  [{ port: 80 }, 80],
  [{ port: 80, targetPort: 8081 }, 8081],
  [{ port: 80, targetPort: "http" }, 8080],
  [{ port: 80, targetPort: "absent" }, 0],
  [{ port: 80, targetPort: "http", protocol: "UDP" }, 0],
] as const)("%j is port %i of the Pod", ([port, want]) => {
  expect(targetPort(port, candidate("A", "0").pod)).toBe(want);
});

describe("a machine is released", () => {
  const setUp = async () => {
    const clock = new VirtualClock();
    return { clock, book: openBalancerBook(clock) };
  };

  test("by nobody before everything was seen", async () => {
    const { book } = await setUp();
    expect(book.released("1")).toBe(false);
    book.observed([], 0, false);
    expect(book.released("1")).toBe(false);
    book.observed([], 0, true);
    expect(book.released("1")).toBe(true);
  });

  test("when it was told to drain and is seen to be drained after that", async () => {
    const { book, clock } = await setUp();
    book.observed([], 0, true);
    book.ensuring(specOf([active("1")])).done();
    book.observed([state(["1", "healthy"])], 0, true);
    const draining = book.ensuring(specOf([{ ...active("1"), draining: true }]));
    expect(book.released("1")).toBe(false);
    await clock.advance(100);
    draining.done();
    book.observed([state(["1", "drained"])], 50, true);
    expect(book.released("1")).toBe(false);
    book.observed([state(["1", "draining"])], 150, true);
    expect(book.released("1")).toBe(false);
    book.observed([state(["1", "drained"])], 200, true);
    expect(book.released("1")).toBe(true);
  });

  test("not while a call that failed may have registered it", async () => {
    const { book } = await setUp();
    book.observed([], 0, true);
    book.ensuring(specOf([active("1")]));
    book.observed([state()], 10, true);
    expect(book.released("1")).toBe(false);
    book.ensuring(specOf([])).done();
    expect(book.released("1")).toBe(true);
  });

  test("counts the time of draining only from when every balancer was told", async () => {
    const { book, clock } = await setUp();
    book.observed([], 0, true);
    book.ensuring(specOf([active("1")])).done();
    book.observed([state(["1", "healthy"])], 0, true);
    expect(book.drainingForMs("1")).toBeUndefined();
    const draining = book.ensuring(specOf([{ ...active("1"), draining: true }]));
    await clock.advance(100);
    expect(book.drainingForMs("1")).toBeUndefined();
    draining.done();
    await clock.advance(700);
    expect(book.drainingForMs("1")).toBe(700);
  });

  test("by a balancer of an earlier process when that says so", async () => {
    const { book } = await setUp();
    book.observed([state(["1", "healthy"], ["2", "drained"])], 0, true);
    expect([book.released("1"), book.released("2"), book.released("3")]).toEqual([false, true, true]);
    book.observed([], 10, true);
    expect(book.released("1")).toBe(true);
  });
});
