import { expect, test } from "vitest";
import type { BalancerSpec, Listener, Rule } from "../../../src/clouds/balancer.ts";
import { stateOf } from "../../../src/clouds/local/balancer-view.ts";
import { type PresentServer, parseServers, planServers } from "../../../src/clouds/local/haproxy-admin.ts";
import {
  assertBalancer,
  boundTo,
  haproxyConfig,
  optionsOf,
  wantedServers,
} from "../../../src/clouds/local/haproxy-config.ts";

const forward = (groupId: string, weight = 1) => ({ groupId, weight });
const listener = (port: number, protocol: "TCP" | "UDP"): Listener => ({
  port,
  protocol,
  forward: [forward(`${port}-${protocol}`)],
});
const m1 = { machineId: "m1", address: "10.90.0.2", draining: false };
const m2 = { machineId: "m2", address: "10.90.0.3", draining: true };
const group = (id: string, ...targets: BalancerSpec["groups"][number]["targets"]) => ({
  id,
  protocol: id.endsWith("UDP") ? ("UDP" as const) : ("TCP" as const),
  targets,
  drainSeconds: 30,
});
const spec: BalancerSpec = {
  id: "svc-web",
  cluster: "test",
  kind: "network",
  name: "default/web",
  scheme: "internet-facing",
  clusterAddress: "10.96.0.10",
  listeners: [listener(80, "TCP"), listener(53, "UDP"), listener(443, "TCP")],
  groups: [
    group("80-TCP", { ...m1, port: 8080 }, { ...m2, port: 8080 }),
    group("53-UDP", { ...m1, port: 53 }, { ...m2, port: 53 }),
    group("443-TCP", { ...m1, port: 8443 }),
  ],
  sourceRanges: [],
  annotations: {},
};

test("there is a server, and its backup, a TCP listener and target that serves it", () => {
  const servers = wantedServers(spec).map(
    ({ backend, name, port, draining, backup }) => `${backend} ${name} ${port} ${draining} ${backup}`,
  );
  expect(servers).toEqual([
    "tcp-80-TCP m1 8080 false false",
    "tcp-80-TCP m1:backup 8080 false true",
    "tcp-80-TCP m2 8080 true false",
    "tcp-80-TCP m2:backup 8080 true true",
    "tcp-443-TCP m1 8443 false false",
    "tcp-443-TCP m1:backup 8443 false true",
  ]);
});

test("the configuration holds every listener, and no server that drains", () => {
  const text = haproxyConfig(spec, "/f", wantedServers(spec));
  for (const line of [
    "  bind 10.96.0.10:80",
    "  bind unix@/f/80.sock mode 600",
    "  bind 10.96.0.10:443",
    `  server m1 10.90.0.2:8080 weight 1 ${optionsOf({ tls: false, backup: false })}`,
    "  server m1:backup 10.90.0.2:8080 weight 1 backup",
    "  retries 0",
  ]) {
    expect(text.split("\n")).toContain(line);
  }
  expect(text).not.toMatch(/m2|:53|redispatch/);
  expect(haproxyConfig({ ...spec, scheme: "internal" }, "/f", [])).not.toContain("unix@/f/80");
});

test("targets come and go in the running process, listeners don't", () => {
  expect(boundTo({ ...spec, groups: [] })).toBe(boundTo(spec));
  expect(boundTo({ ...spec, listeners: spec.listeners.slice(0, 2) })).not.toBe(boundTo(spec));
  expect(boundTo({ ...spec, listeners: spec.listeners.filter(({ protocol }) => protocol === "TCP") })).toBe(
    boundTo(spec),
  );
});

const server = (more: Partial<PresentServer> = {}): PresentServer => ({
  backend: "p80",
  name: "m1",
  address: "10.90.0.2",
  port: 8080,
  admin: "ready",
  weight: 1,
  sessions: 0,
  up: true,
  unchecked: false,
  ...more,
});
const want = (more: object = {}) => ({
  backend: "p80",
  name: "m1",
  address: "10.90.0.2",
  port: 8080,
  draining: false,
  weight: 1,
  tls: false,
  backup: false,
  ...more,
});

test.for([
  ["nothing to do", [server()], [want()], []],
  ["drain", [server()], [want({ draining: true })], ["set server p80/m1 state drain"]],
  ["drained already", [server({ admin: "drain" })], [want({ draining: true })], []],
  ["back again", [server({ admin: "drain" })], [want()], ["set server p80/m1 state ready"]],
  ["never been there", [], [want({ draining: true })], []],
  ["another share", [server()], [want({ weight: 7 })], ["set server p80/m1 weight 7"]],
  ["moved", [server()], [want({ address: "10.90.0.9", port: 1 })], ["set server p80/m1 addr 10.90.0.9 port 1"]],
  ["gone", [server()], [], ["set server p80/m1 state maint; shutdown sessions server p80/m1; del server p80/m1"]],
  ["the same machine of another listener", [server()], [want(), want({ backend: "p443", draining: true })], []],
] as const)("plan: %s", ([_name, present, wanted, commands]) => expect(planServers(present, wanted)).toEqual(commands));

test("a new server has no weight until it is known to be down, so its first check comes before its first connection", () => {
  const [command = ""] = planServers([], [want()]);
  const steps = command.split("; ").map((step) => step.replace(/^(set server|enable health) p80\/m1 ?/, ""));
  expect(steps.slice(1)).toEqual(["weight 0", "", "state ready", "health down", "weight 1"]);
});

test("a backup has no check to wait for", () => {
  expect(planServers([], [want({ name: "m1:backup", backup: true, weight: 7 })])).toEqual([
    "add server p80/m1:backup 10.90.0.2:8080 backup; set server p80/m1:backup weight 7; set server p80/m1:backup state ready",
  ]);
});

test("haproxy's two tables are read by the names of their columns", () => {
  const states =
    "1\n# be_id be_name srv_name srv_addr srv_admin_state srv_port srv_uweight\n3 p80 m1 10.90.0.2 8 8080 1\n3 p80 m2 10.90.0.3 0 1 256\n";
  const statistics =
    "# pxname,svname,qcur,scur,status,check_status\nf80,FRONTEND,,1,OPEN,\np80,m1,1,2,DRAIN,L4OK\np80,m2,0,0,DOWN 1/2,* INI\n";
  expect(parseServers(states, statistics)).toEqual([
    server({ admin: "drain", sessions: 3 }),
    server({ name: "m2", address: "10.90.0.3", port: 1, weight: 256, up: false, unchecked: true }),
  ]);
});

const on80 = (more: Partial<PresentServer> = {}) => server({ backend: "tcp-80-TCP", ...more });
const on443 = (more: Partial<PresentServer> = {}) => server({ backend: "tcp-443-TCP", port: 8443, ...more });
const both = [on80(), on443()];
const drains = { name: "m2", address: "10.90.0.3", admin: "drain" as const };
test.for([
  ["every port is healthy", both, [], "healthy drained"],
  ["one port is not", [on80(), on443({ up: false })], [], "unhealthy drained"],
  ["one port is not there yet", [on80()], [], "initial drained"],
  ["one port is not checked yet", [on80(), on443({ unchecked: true })], [], "initial drained"],
  ["its backup says nothing", [...both, on80({ name: "m1:backup", up: false })], [], "healthy drained"],
  ["a connection is open", [...both, on80({ ...drains, sessions: 1 })], [], "healthy draining"],
  ["one is open by the backup", [...both, on80({ ...drains, name: "m2:backup", sessions: 1 })], [], "healthy draining"],
  ["none is open", [...both, on80(drains)], [], "healthy drained"],
  ["it may still get a connection", [...both, on80({ ...drains, admin: "ready" })], [], "healthy draining"],
  ["an earlier process carries one", both, ["10.90.0.3:8080"], "healthy draining"],
  ["an earlier process carries another's", both, ["10.90.0.2:8080"], "healthy drained"],
] as const)("a target's state: %s", ([_name, present, lingering, states]) => {
  const state = stateOf(spec, present, lingering, "127.64.0.1");
  expect(state.targets.map((target) => target.state).join(" ")).toBe(states);
  expect(state).toMatchObject({ ready: true, addresses: [{ ip: "127.64.0.1" }] });
});

test("a login that an Ingress asks for is said to be missing", () => {
  const provider = { kind: "cognito", userPoolArn: "arn", clientId: "id", domain: "d" } as const;
  const login = { provider, otherwise: "authenticate", scope: "openid", cookie: "c", sessionSeconds: 60 } as const;
  const rules = [{ path: "/admin", forward: [], login }];
  const guarded: Listener = { port: 443, protocol: "HTTPS", forward: [], rules };
  const told = (...listeners: Listener[]) => stateOf({ ...spec, listeners }, [], [], "127.64.0.1").warnings;
  expect(told(guarded)).toEqual([expect.stringMatching(/^Nobody logs in/)]);
  expect(told({ ...guarded, rules: [] })).toBeUndefined();
});

test.for<[Partial<Rule>, string]>([
  [{ host: "a b" }, "the host a b"],
  [{ path: "x" }, "the path x"],
  [{ patterns: ["/a\nb"] }, 'the text "/a\\nb"'],
  [{ conditions: [{ field: "header", name: "a) -m found", values: ["b"] }] }, "the header a) -m found"],
  [{ conditions: [{ field: "query", values: [{ key: "a b", value: "c" }] }] }, "the query's key a b"],
])("what can't stand in a line of configuration is refused: %o", ([rule, what]) => {
  const rules = [{ forward: [], ...rule }];
  const listeners: Listener[] = [{ port: 80, protocol: "HTTP", forward: [], rules }];
  expect(() => assertBalancer({ ...spec, kind: "application", listeners })).toThrow(
    `The balancer of default/web can't have ${what}.`,
  );
});
