import { describe, expect, test } from "vitest";
import type { Pod, Service } from "../../src/api/types.gen.ts";
import { VirtualClock } from "../../src/base/virtual.ts";
import type { BalancerSpec, BalancerState, Target, TargetState } from "../../src/clouds/balancer.ts";
import type { Machine } from "../../src/clouds/cloud.ts";
import { openBalancerBook } from "../../src/controllers/balancer-book.ts";
import { type Frontend, frontendRecord, recordOf } from "../../src/controllers/frontend.ts";
import type { Action, Plan } from "../../src/controllers/reconciler.ts";
import { serviceBalancer } from "../../src/controllers/service-balancer.ts";
import { planService, type ServiceWorld } from "../../src/controllers/services.ts";
import { type Candidate, targetPort } from "../../src/controllers/targets.ts";

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
  ids.map((machineId) => ({ groupId: "80-TCP", machineId, address: `10.0.0.${machineId}`, port: 8080 }));
const wantedOf = (of: Service, word = "") => serviceBalancer(of, candidates(word), { id: "svc-s", cluster: "test" });

test("clients stay with their machine where the Service asks for it", () => {
  expect(wantedOf(service({ sessionAffinity: "ClientIP" })).groups.map(({ sticky }) => sticky)).toEqual([true]);
  expect(wantedOf(service({ sessionAffinity: "None" })).groups.map(({ sticky }) => sticky)).toEqual([undefined]);
});

test("ports for TLS may be called by name", () => {
  const annotation = "service.beta.kubernetes.io/aws-load-balancer-ssl-ports";
  const of = service({ ports: [{ name: "https", port: 443 }] });
  const said = (text: string) =>
    wantedOf({ ...of, metadata: { ...of.metadata, annotations: { [annotation]: text } } }).annotations[annotation];
  expect([said("https, 8443"), said("*"), said("nobody")]).toEqual(["443,8443", "*", "nobody"]);
});

const record = (more: Partial<Frontend["spec"]> = {}): Frontend => {
  const { spec, ...rest } = frontendRecord("service", service(), recordOf(wantedOf(service())));
  return { ...rest, metadata: { name: "svc-s", uid: "r" }, spec: { ...spec, ...more } };
};
/** `pods`: those that the Service selects, see `candidate`. */
type Given = Partial<ServiceWorld> & { pods?: string; changed?: Partial<Service["spec"]> };
const world = ({ pods, changed, ...more }: Given = {}): ServiceWorld => ({
  id: "svc-s",
  service: service(changed),
  wanted: "service" in more ? undefined : wantedOf(service(changed), pods),
  isGone: false,
  record: record(),
  present: [],
  known: true,
  isCurrent: true,
  notices: [],
  ...more,
});
const one = (action: Action): string => {
  if (action.do !== "ensureBalancer") return action.do === "write" ? `write ${action.key.resource}` : action.do;
  const targets = action.spec.groups.map(({ id, targets: all }) => {
    const shown = all.map(({ machineId, draining }) => machineId + (draining ? "d" : "")).join(" ");
    return id === "80-TCP" ? shown : `${id}: ${shown}`;
  });
  return `[${targets.join("; ")}]`;
};
const told = ({ actions }: Plan): string => actions.map(one).join(", ");
const specOf = (targets: readonly Target[]): BalancerSpec => {
  const { groups, ...rest } = wantedOf(service());
  return { ...rest, groups: groups.map((group) => ({ ...group, targets })) };
};
const active = (id: string) => ({ machineId: id, address: `10.0.0.${id}`, port: 8080, draining: false });
const state = (...targets: [string, TargetState][]): BalancerState => ({
  id: "svc-s",
  name: "default/web",
  ready: true,
  addresses: [{ ip: "127.1.2.3" }],
  targets: targets.map(([machineId, is]) => ({ machineId, state: is })),
});

const onlyListeners = (): Frontend => {
  const { groups: _, kind: _kind, annotations: _a, sourceRanges: _s, ...balancer } = recordOf(wantedOf(service()));
  return record({ balancer: balancer as Frontend["spec"]["balancer"] & object }); // As earlier versions wrote it.
};
const warning = { about: service(), type: "Warning", reason: "R", message: "m", source: "s" } as const;

test.for<[string, Given, string]>([
  ["is written down before it is made", { record: undefined }, "create"],
  ["is changed in the record first", { changed: { ports: [{ port: 81 }] } }, "write frontends.drover.dev"],
  ["of an earlier version is written down anew", { record: onlyListeners() }, "write frontends.drover.dev"],
  ["changes nothing before everything was seen", { known: false, pods: "A" }, ""],
  ["has the machines with ready containers", { pods: "AaA" }, "[0 2]"],
  ["says so once", { pods: "A", carriedOut: specOf([active("0")]) }, ""],
  ["lets a Pod on its way out drain", { pods: "Ax", present: present("1") }, "[0 1d]"],
  ["lets a Pod that is not ready any more drain", { pods: "Aa", present: present("1") }, "[0 1d]"],
  ["lets a machine drain whose Pod is gone", { pods: "A", present: present("7") }, "[0 7d]"],
  ["forgets what is drained", { pods: "Ax", carriedOut: specOf([]) }, "[0]"],
  ["tells what is wrong", { notices: [warning], carriedOut: specOf([]) }, "tell"],
  [
    "lets the machines of a port that is gone drain",
    {
      changed: { ports: [{ port: 81 }] },
      pods: "A",
      present: present("0"),
      record: record({
        balancer: {
          ...recordOf(wantedOf(service({ ports: [{ port: 81 }] }))),
          groups: [
            ...(recordOf(wantedOf(service({ ports: [{ port: 81 }] }))).groups ?? []),
            ...(recordOf(wantedOf(service())).groups ?? []),
          ],
        },
      }),
    },
    "[81-TCP: 0; 0d]",
  ],
  ["tells its address once it accepts connections", { state: state(), carriedOut: specOf([]) }, "write services"],
  [
    "of a Service that is gone drains first",
    { service: undefined, isGone: true, present: present("1"), state: state() },
    "[1d]",
  ],
  [
    "of a Service that is gone drains first, as an earlier version wrote it down",
    { service: undefined, isGone: true, present: present("1"), record: onlyListeners() },
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

describe("the balancer of a Service", () => {
  const nlb = "service.beta.kubernetes.io/aws-load-balancer-";
  const of = (annotations: Record<string, string>, spec: Partial<Service["spec"]> = {}) => {
    const given = service(spec);
    return wantedOf({ ...given, metadata: { ...given.metadata, annotations } });
  };

  test("has a listener and a group a port", () => {
    const ports = [{ port: 80 }, { port: 53, protocol: "UDP" }, { port: 9, protocol: "SCTP" }];
    const { listeners, groups, kind, name } = of({}, { ports });
    expect([kind, name]).toEqual(["network", "default/web"]);
    expect(listeners.map(({ port, protocol, forward }) => [port, protocol, forward[0]?.groupId])).toEqual([
      [80, "TCP", "80-TCP"],
      [53, "UDP", "53-UDP"],
    ]);
    expect(groups.map(({ id, protocol, healthCheck }) => [id, protocol, healthCheck])).toEqual([
      ["80-TCP", "TCP", undefined],
      ["53-UDP", "UDP", undefined],
    ]);
  });

  test.for([
    ["everybody's", {}, {}, "internet-facing "],
    ["for some networks", {}, { loadBalancerSourceRanges: ["10.0.0.0/8"] }, "internet-facing 10.0.0.0/8"],
    [
      "for some networks by annotation",
      { "service.beta.kubernetes.io/load-balancer-source-ranges": "10.0.0.0/8, 1.2.3.4/32" },
      {},
      "internet-facing 10.0.0.0/8 1.2.3.4/32",
    ],
    [
      "for some networks by annotation, where the field has none",
      { "service.beta.kubernetes.io/load-balancer-source-ranges": "10.0.0.0/8" },
      { loadBalancerSourceRanges: [] },
      "internet-facing 10.0.0.0/8",
    ],
    ["for a network with spaces", {}, { loadBalancerSourceRanges: [" 10.0.0.0/8 "] }, "internet-facing 10.0.0.0/8"],
    ["internal", { [`${nlb}scheme`]: "internal" }, {}, "internal "],
    ["internal by the old word", { [`${nlb}internal`]: "true" }, {}, "internal "],
    ["the machines' own", {}, { type: "ClusterIP", loadBalancerSourceRanges: ["10.0.0.0/8"] }, "internal "],
  ] as const)("is %s", ([_name, annotations, spec, want]) => {
    const { scheme, sourceRanges } = of(annotations, { ...spec } as Partial<Service["spec"]>);
    expect(`${scheme} ${sourceRanges.join(" ")}`).toBe(want);
  });

  test("is told the annotations that are for balancers, and its group", () => {
    const foreign = { "kubectl.kubernetes.io/last-applied-configuration": "{}" };
    const own = { [`${nlb}subnets`]: "a", "alb.ingress.kubernetes.io/tags": "b", "drover.dev/balancer-group": "g" };
    expect(of({ ...foreign, ...own })).toMatchObject({ annotations: own, group: "g" });
    expect(Object.keys(of({ ...foreign, ...own }).annotations)).toHaveLength(3);
  });

  test.for([
    [[], 70],
    [[10], 30],
    [[10, 120], 250],
    [[undefined], 70],
    [[7_200], 3_600],
  ] as const)("lets connections go on while Pods with the graces %j drain and stop: %i s", ([graces, seconds]) => {
    const pods = graces.map((grace, index) => {
      const given = candidate("A", `${index}`);
      const spec = { ...given.pod.spec, ...(grace !== undefined && { terminationGracePeriodSeconds: grace }) };
      return { ...given, pod: { ...given.pod, spec } };
    });
    const { groups } = serviceBalancer(service(), pods, { id: "svc-s", cluster: "test" });
    expect(groups.map(({ drainSeconds }) => drainSeconds)).toEqual([seconds]);
  });
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

const openBook = () => {
  const clock = new VirtualClock();
  return { clock, book: openBalancerBook(clock) };
};

test("a machine is not released while a call goes on that may yet register it, however long that takes", async () => {
  const { book, clock } = openBook();
  book.observed([], 0, true);
  const call = book.ensuring(specOf([active("1")]));
  await clock.advance(60_000);
  book.observed([], 59_000, true);
  expect([book.released("1"), book.isSettled("svc-s")]).toEqual([false, false]);
  call.done();
  expect([book.released("1"), book.carriedOut("svc-s")]).toEqual([false, specOf([active("1")])]);
});

test("a machine is released once looks show that a call which failed has made nothing", async () => {
  const { book, clock } = openBook();
  book.observed([], 0, true);
  const call = book.ensuring(specOf([active("1")]));
  await clock.advance(60_000);
  call.failed();
  book.observed([], 65_000, true);
  expect([book.released("1"), book.isSettled("svc-s")]).toEqual([false, true]);
  book.observed([], 70_000, true);
  expect(book.released("1")).toBe(true);
});

describe("a machine is released", () => {
  test("by nobody before everything was seen", async () => {
    const { book } = openBook();
    expect(book.released("1")).toBe(false);
    book.observed([], 0, false);
    expect(book.released("1")).toBe(false);
    book.observed([], 0, true);
    expect(book.released("1")).toBe(true);
  });

  test("when it was told to drain and is seen to be drained after that", async () => {
    const { book, clock } = openBook();
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
    const { book } = openBook();
    book.observed([], 0, true);
    book.ensuring(specOf([active("1")]));
    book.observed([state()], 10, true);
    expect(book.released("1")).toBe(false);
    book.ensuring(specOf([])).done();
    expect(book.released("1")).toBe(true);
  });

  test("counts the time of draining only from when every balancer was told", async () => {
    const { book, clock } = openBook();
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

  test("from one group while another uses it: by time, and it is not let go of", async () => {
    const { book, clock } = openBook();
    book.observed([], 0, true);
    const { groups, ...rest } = specOf([active("1")]);
    const both = [
      ...groups,
      ...specOf([{ ...active("1"), draining: true }]).groups.map((each) => ({ ...each, id: "old" })),
    ];
    book.ensuring({ ...rest, groups: both }).done();
    const seen = () => [book.isUsed("svc-s", "1"), book.isCut("svc-s", "old", "1"), book.released("1")];
    expect(seen()).toEqual([true, false, false]);
    expect(book.drainingForMs("1")).toBeUndefined();
    await clock.advance(70_000);
    expect(seen()).toEqual([true, true, false]);
    expect(book.isCut("svc-s", "80-TCP", "1")).toBe(false);
    const leaving = both.map((each) => ({ ...each, targets: [{ ...active("1"), draining: true }] }));
    book.ensuring({ ...rest, groups: leaving }).done();
    expect(seen()).toEqual([false, false, false]);
    book.observed([state(["1", "drained"])], 75_000, true);
    expect(book.released("1")).toBe(true);
  });

  test("by a balancer of an earlier process when that says so", async () => {
    const { book } = openBook();
    book.observed([state(["1", "healthy"], ["2", "drained"])], 0, true);
    expect([book.released("1"), book.released("2"), book.released("3")]).toEqual([false, true, true]);
    book.observed([], 10, true);
    expect(book.released("1")).toBe(true);
  });
});
