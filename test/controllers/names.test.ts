import { expect, test } from "vitest";
import type { Pod, Service } from "../../src/api/types.gen.ts";
import { frontendRecord } from "../../src/controllers/frontend.ts";
import { type NamesWorld, planNames } from "../../src/controllers/names.ts";
import type { Action } from "../../src/controllers/reconciler.ts";

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
  pods: [],
  written: new Map(),
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
  [
    "another name for what is outside",
    { service: service({ type: "ExternalName", externalName: "db.example.com" }) },
    "@ CNAME db.example.com",
  ],
  [
    "those of the ready Pods",
    { service: headless, pods: [pod("10.0.0.2"), pod("10.0.0.1"), pod("10.0.0.3", false)] },
    "@ A 10.0.0.1+10.0.0.2",
  ],
  [
    "one for each Pod that has a host name",
    { service: headless, pods: [pod("10.0.0.2", true, "db-0")], record: recordOf(name, `db-0.${name}`) },
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
