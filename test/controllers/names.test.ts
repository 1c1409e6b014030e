import { describe, expect, onTestFinished, test } from "vitest";
import type { Pod, Service } from "../../src/api/types.gen.ts";
import { VirtualClock } from "../../src/base/virtual.ts";
import { frontendRecord } from "../../src/controllers/frontend.ts";
import { type NamesWorld, planNames } from "../../src/controllers/names.ts";
import { openNamesBook } from "../../src/controllers/names-book.ts";
import { openNamesOnly } from "../../src/controllers/names-only.ts";
import type { Action } from "../../src/controllers/reconciler.ts";
import { redirectedPorts, redirectsOf } from "../../src/controllers/redirected-ports.ts";
import type { View } from "../../src/registry/view.ts";
import { manager, openCluster, webDeployment, webService } from "./cluster.ts";

const service = (spec: Service["spec"]): Service => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "web", namespace: "team", uid: "s" },
  spec,
});
const name = "web.team.svc.cluster.local";
const recordOf = (...names: string[]) => {
  const record = frontendRecord("service", service({}));
  return { ...record, metadata: { name: "svc-s", uid: "r", resourceVersion: "1" }, spec: { ...record.spec, names } };
};
const world = (more: Partial<NamesWorld>): NamesWorld => ({
  clusterDomain: "cluster.local",
  service: service({ clusterIP: "10.96.0.9", ports: [{ port: 80 }] }),
  record: recordOf(name),
  standsForPods: false,
  pods: [],
  isBalanced: false,
  written: new Map(),
  notices: [],
  ...more,
});
const pod = (podIP: string, ready = true, hostname?: string): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: podIP, namespace: "team" },
  spec: { containers: [], ...(hostname !== undefined && { hostname, subdomain: "web" }) },
  status: { podIP, conditions: [{ type: "Ready", status: ready ? "True" : "False" }] },
});
const told = (actions: readonly Action[]): string =>
  actions
    .map((action) => {
      if (action.do !== "changeNames") return action.do;
      return action.records
        .map(({ name: of, type, values }) => `${of.replace(name, "@")} ${type} ${values.join("+")}`)
        .join("; ");
    })
    .join(", ");
const headless = service({ clusterIP: "None", selector: { app: "x" } });
const state = (address: { ip?: string; hostname?: string }) => ({
  name: "default/web",
  id: "svc-s",
  ready: true,
  addresses: [address],
  targets: [],
});

test.for<[string, Partial<NamesWorld>, string]>([
  ["written down first", { record: recordOf() }, "write"],
  ["the Service's own address", {}, "@ A 10.96.0.9"],
  ["not where only the outside reaches it", { state: state({ ip: "127.1.2.3" }) }, "@ A 10.96.0.9"],
  ["that of a balancer known by name", { state: state({ hostname: "lb.aws" }) }, "@ CNAME lb.aws"],
  ["what it was until the balancer has been seen", { isBalanced: true }, ""],
  ["what it was until the balancer accepts", { isBalanced: true, state: { ...state({}), ready: false } }, ""],
  ["its own where the balancer has no name", { isBalanced: true, state: state({}) }, "@ A 10.96.0.9"],
  [
    "another name for what is outside",
    { service: service({ type: "ExternalName", externalName: "db.example.com" }) },
    "@ CNAME db.example.com",
  ],
  [
    "those of the ready Pods",
    { service: headless, standsForPods: true, pods: [pod("10.0.0.2"), pod("10.0.0.1"), pod("10.0.0.3", false)] },
    "@ A 10.0.0.1+10.0.0.2",
  ],
  [
    "one for each Pod that has a host name",
    {
      service: headless,
      standsForPods: true,
      pods: [pod("10.0.0.2", true, "db-0")],
      record: recordOf(name, `db-0.${name}`),
    },
    "@ A 10.0.0.2; db-0.@ A 10.0.0.2",
  ],
  ["gone with the Service", { service: undefined }, "@ A , write"],
  [
    "not written twice",
    { written: new Map([[name, JSON.stringify({ ttlSeconds: 30, name, type: "A", values: ["10.96.0.9"] })]]) },
    "",
  ],
])("a name is %s", ([_name, more, want]) => {
  expect(told(planNames(world(more)).actions)).toBe(want);
});

const reader = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "reader", namespace: "default" },
  spec: { containers: [{ name: "c", image: "c:1" }] },
};

describe("a Service without a balancer", () => {
  const said = (of?: string) => (of === undefined ? {} : { annotations: { "drover.dev/balancer": of } });
  const spec = { selector: { app: "web" }, ports: [{ port: 80, targetPort: 8080 }] };
  const view = (objects: readonly { kind: string; metadata: { name: string; namespace?: string } }[]) =>
    ({
      get: (_resource: string, _namespace: string, name: string) =>
        objects.find(({ metadata }) => metadata.name === name),
      list: () => objects.filter(({ kind }) => kind === "Service"),
    }) as unknown as View;

  test.for([
    ["by default has one", {}, undefined, undefined, false, false],
    ["is one that says so", {}, "names", undefined, false, true],
    ["is one whose Namespace says so", {}, undefined, "names", false, true],
    ["is one of a cluster that says so", {}, undefined, undefined, true, true],
    ["has one where it says so itself", {}, "balancer", "names", true, false],
    ["is not of another type", { type: "LoadBalancer" }, "names", "names", true, false],
    ["is not headless", { clusterIP: "None" }, "names", undefined, false, false],
    ["is not without a selector", { selector: {} }, "names", undefined, false, false],
  ] as const)("%s", ([_name, more, own, home, byDefault, want]) => {
    const place = { kind: "Namespace", metadata: { name: "team", ...said(home) } };
    const of = service({ ...spec, ...more } as Service["spec"]);
    const given = { ...of, metadata: { ...of.metadata, ...said(own) } };
    expect(openNamesOnly(view([place]), byDefault)(given)).toBe(want);
  });

  test("has its ports redirected by the machines of its Pods, where they are others", () => {
    const ports = [
      { port: 80, targetPort: 8080 },
      { port: 53, targetPort: 5353, protocol: "UDP" },
      { port: 9, targetPort: 9 },
      { port: 7, targetPort: "absent" },
    ];
    const all = view([
      service({ ...spec, ports }),
      service({ ...spec, ports: [{ port: 80, targetPort: 1 }] }),
    ] as never);
    const web = { ...pod("10.0.0.1"), metadata: { name: "p", namespace: "team", labels: { app: "web" } } };
    expect(redirectsOf(all, () => true, web)).toEqual([
      { port: 80, targetPort: 8080, protocol: "TCP" },
      { port: 53, targetPort: 5353, protocol: "UDP" },
    ]);
    expect(redirectsOf(all, () => false, web)).toEqual([]);
    // A name may stand for another port on some Pod.
    expect(redirectedPorts(all, () => true)).toEqual([
      { port: 7, protocol: "TCP" },
      { port: 53, protocol: "UDP" },
      { port: 80, protocol: "TCP" },
    ]);
    expect(redirectedPorts(all, () => false)).toEqual([]);
  });

  test("of type NodePort has its node ports open on the machines of its Pods, and nobody else's", () => {
    const ports = [
      { port: 80, targetPort: 8080, nodePort: 30_080 },
      { port: 53, protocol: "UDP", nodePort: 30_053 },
    ];
    const all = view([
      service({ ...spec, type: "NodePort", ports }),
      service({ type: "NodePort", ports: [{ port: 1, nodePort: 30_001 }] }),
    ] as never);
    const podOf = (app: string) => ({
      ...pod("10.0.0.1"),
      metadata: { name: "p", namespace: "team", labels: { app } },
    });
    expect(redirectsOf(all, openNamesOnly(all, true), podOf("web"))).toEqual([
      { port: 30_080, targetPort: 8080, protocol: "TCP" },
      { port: 30_053, targetPort: 53, protocol: "UDP" },
    ]);
    expect(redirectsOf(all, openNamesOnly(all, true), podOf("other"))).toEqual([]);
    expect(redirectedPorts(all, () => false)).toEqual([
      { port: 30_053, protocol: "UDP" },
      { port: 30_080, protocol: "TCP" },
    ]);
  });

  test("lets a machine go when no name stands for it and none is remembered", async () => {
    const clock = new VirtualClock();
    const book = openNamesBook(clock);
    const record = (...values: string[]) => ({ name, type: "A" as const, values, ttlSeconds: 5 });
    expect([book.forgotten(name, "1", false), book.forgotten(name, "1", true)]).toEqual([true, false]);
    book.changed([record("1", "2")]);
    expect([book.forgotten(name, "1", true), book.forgotten(name, "3", true)]).toEqual([false, false]);
    await clock.advance(5_000);
    expect([book.forgotten(name, "1", true), book.forgotten(name, "3", true)]).toEqual([false, true]);
    book.changed([record("2")]);
    expect(book.forgotten(name, "1", true)).toBe(false);
    await clock.advance(4_999);
    book.changed([record("3")]);
    expect(book.forgotten(name, "1", true)).toBe(false);
    await clock.advance(1);
    expect([book.forgotten(name, "1", true), book.forgotten(name, "2", true)]).toEqual([true, false]);
  });

  test("in a cluster: its name is that of its ready Pods, which go after the name is forgotten", async () => {
    const cluster = await openCluster();
    onTestFinished(cluster.close);
    const { client, world, clock } = cluster;
    const plain = webService("ClusterIP");
    const annotated = { ...plain, metadata: { ...plain.metadata, ...said("names") } };
    await client.create("services", annotated as never, manager);
    await client.create("deployments.apps", webDeployment(2) as never, manager);
    const values = () => world.names.get("web.default.svc.cluster.local")?.values ?? [];
    await cluster.until("two addresses", () => values().length === 2);
    expect(world.balancers.size).toBe(0);
    expect(cluster.pods().flatMap(({ spec: of }) => of.readinessGates ?? [])).toEqual([]);
    const bound = [...world.machines.values()].map(({ box }) => box.binding()?.redirects);
    expect(bound).toEqual(Array(2).fill([{ port: 80, targetPort: 8080, protocol: "TCP" }]));
    await client.create("pods", reader as never, manager);
    const read = () => [...world.machines.values()].find(({ box }) => box.binding()?.name === "reader")?.box.binding();
    await cluster.until("another Pod is bound", () => read() !== undefined);
    expect(read()?.containers[0]?.env).toContainEqual(["WEB_SERVICE_HOST", "web.default.svc.cluster.local"]);
    const [victim] = cluster.pods().filter(({ metadata }) => metadata.name !== "reader");
    const machine = world.machines.get(victim?.spec.nodeName ?? "");
    const address = victim?.status?.podIP ?? "";
    await client.delete({ resource: "pods", namespace: "default", name: victim?.metadata.name ?? "" }, {});
    await cluster.until("its address is out", () => !values().includes(address));
    expect(machine?.box.report().stopping).toBe(false);
    await clock.advance(4_000);
    expect(machine?.box.report().stopping).toBe(false);
    await cluster.until("it is told to stop", () => machine?.box.report().stopping === true, 10);
  });
});
