import { describe, expect, test } from "vitest";
import type { Pod, PodCondition } from "../../src/api/types.gen.ts";
import type { Contact, Report } from "../../src/clouds/box.ts";
import type { Machine } from "../../src/clouds/cloud.ts";
import type { PodWorld } from "../../src/controllers/pod-world.ts";
import { planPod } from "../../src/controllers/pods.ts";
import type { Plan } from "../../src/controllers/reconciler.ts";

const nowMs = Date.parse("2026-01-01T01:00:00Z");
const before = (seconds: number): string => new Date(nowMs - seconds * 1_000).toISOString().replace(".000", "");
const machine: Machine = {
  id: "i-1",
  launchId: "l-1",
  slot: 0,
  state: "running",
  type: "small",
  zone: "a",
  address: "10.0.0.7",
};
const seat = { recordName: "l-1", slot: 0, requestedAt: before(60), machine };
type Given = { node?: string; going?: number; phase?: string; conditions?: PodCondition[] };
const podOf = ({ node = "i-1", going, phase = "Pending", conditions = [] }: Given = {}): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: {
    name: "p",
    namespace: "default",
    uid: "u",
    resourceVersion: "5",
    ...(going !== undefined && { deletionTimestamp: before(-going), deletionGracePeriodSeconds: going }),
  },
  spec: { containers: [{ name: "web", image: "web:1" }], ...(node !== "" && { nodeName: node }) },
  status: { phase, conditions },
});
const report = (more: Partial<Report> = {}): Report => ({
  version: 1,
  agentVersion: "1",
  bootId: "b",
  uid: "u",
  initContainerStatuses: [],
  containerStatuses: [
    { name: "web", ready: true, restartCount: 0, image: "web:1", imageID: "", state: { running: {} } },
  ],
  finished: false,
  stopping: false,
  events: [],
  ...more,
});
const told = (of: Report): Contact => ({ reachable: true, report: of });
const blank = (): Contact => {
  const { uid: _, ...unbound } = report({ containerStatuses: [] });
  return told(unbound);
};
const leaving = (kind: "interruption" | "rebalance" | "retirement"): Contact =>
  told(report({ notice: { kind, atMs: 0 } }));
const owned = (): Pod => {
  const pod = podOf();
  const owner = { apiVersion: "apps/v1", kind: "ReplicaSet", name: "web", uid: "rs", controller: true };
  return { ...pod, metadata: { ...pod.metadata, ownerReferences: [owner] } };
};
const world = (more: Partial<PodWorld> = {}): PodWorld => ({
  pod: podOf(),
  seat,
  machine,
  gone: false,
  hasNode: true,
  gates: [],
  released: true,
  spare: false,
  toldUpTo: 0,
  sources: "",
  ...more,
});
/** Statuses are told by their stage or step. */
const said = ({ actions }: Plan): string =>
  actions
    .map((action) => {
      if (action.do === "delete") return `delete ${action.graceSeconds ?? "with grace"}`;
      if (action.do !== "write") return action.do;
      const pod = action.next as Pod;
      if (action.subresource === "binding") return `bound to ${pod.spec.nodeName}`;
      const find = (type: string) => pod.status?.conditions?.find((each) => each.type === type)?.reason;
      return pod.status?.reason ?? find("drover.dev/Ending") ?? find("drover.dev/Stage");
    })
    .join(", ");

describe("a Pod on its way up", () => {
  test.for<[string, Partial<PodWorld>, string]>([
    ["without a launch nothing is done", { seat: undefined, machine: undefined, pod: podOf({ node: "" }) }, ""],
    [
      "has asked for a machine",
      { seat: { recordName: "l-1", slot: 0, requestedAt: "" }, machine: undefined, pod: podOf({ node: "" }) },
      "Requested",
    ],
    ["has one that boots", { machine: { ...machine, state: "pending" }, pod: podOf({ node: "" }) }, "Booting"],
    ["waits for its Node", { pod: podOf({ node: "" }), hasNode: false }, "Booting"],
    ["is bound to it", { pod: podOf({ node: "" }) }, "bound to i-1"],
    ["waits for the machine to answer", {}, "Configuring"],
    ["gives a blank machine the Pod", { contact: blank() }, "Configuring, bind"],
    ["never gives it one that has another", { contact: told(report({ uid: "another" })) }, "Configuring"],
    ["serves when its containers are ready", { contact: told(report()) }, "InService"],
    [
      "waits for the balancer that it has a gate for",
      {
        pod: { ...podOf(), spec: { ...podOf().spec, readinessGates: [{ conditionType: "g" }] } },
        contact: told(report()),
        gates: [{ type: "g", open: false, reason: "TargetInitial", message: "" }],
      },
      "Registering",
    ],
    [
      "serves when the balancer says so",
      {
        pod: { ...podOf(), spec: { ...podOf().spec, readinessGates: [{ conditionType: "g" }] } },
        contact: told(report()),
        gates: [{ type: "g", open: true, reason: "Healthy", message: "" }],
      },
      "InService",
    ],
    [
      "is replaced at once when its machine is taken away",
      { pod: owned(), contact: leaving("interruption") },
      "delete with grace",
    ],
    ["stays while another one is missing", { pod: owned(), contact: leaving("rebalance") }, "InService"],
    [
      "is replaced when none is missing",
      { pod: owned(), contact: leaving("retirement"), spare: true },
      "delete with grace",
    ],
    ["stays to the end when nobody would replace it", { contact: leaving("interruption"), spare: true }, "InService"],
    ["has failed when its machine is gone", { gone: true, cause: "spot" }, "MachineLost"],
    ["stays as it is when it has failed", { pod: podOf({ phase: "Failed" }), gone: true }, ""],
    [
      "is given new files when what they come from has changed",
      { contact: told(report()), sources: "b", sourcesSent: { sources: "a", ageMs: 0 } },
      "InService, updateFiles",
    ],
    [
      "is told again while a container lacks something",
      {
        contact: told(
          report({
            containerStatuses: [
              {
                name: "web",
                ready: false,
                restartCount: 0,
                image: "",
                imageID: "",
                state: { waiting: { reason: "CreateContainerConfigError" } },
              },
            ],
          }),
        ),
        sources: "b",
        sourcesSent: { sources: "a", ageMs: 0 },
      },
      "Configuring, bind",
    ],
  ])("%s", ([_name, more, want]) => {
    expect(said(planPod(world(more), nowMs)).replace(/^(Starting|Pulling)/, "Configuring")).toBe(want);
  });

  test("events of the machine are told once, with the container that they are about", () => {
    const events = [1, 2, 3].map(
      (id) => ({ id, type: "Normal", reason: "Pulled", message: "", container: "web", atMs: 7 }) as const,
    );
    const { actions } = planPod(world({ contact: told(report({ events })), toldUpTo: 2 }), nowMs);
    expect(actions.find((action) => action.do === "tellReported")).toMatchObject({
      upTo: 3,
      notices: [{ occurrence: { id: 3, atMs: 7 }, fieldPath: "spec.containers{web}" }],
    });
  });
});

test("a Pod that waits for balancers says whose they are", () => {
  const gate = (name: string, open: boolean) => ({
    ...{ type: `drover.dev/balancer-${name}`, open, reason: "", message: "" },
    ...(!open && { of: `Service ${name}` }),
  });
  const gates = [gate("web", false), gate("inner", true), gate("tls", false)];
  const readinessGates = gates.map(({ type }) => ({ conditionType: type }));
  const pod = podOf();
  const gated = { ...pod, spec: { ...pod.spec, readinessGates } };
  const [write] = planPod(world({ pod: gated, contact: told(report()), gates }), nowMs).actions;
  expect(write?.do === "write" && write.told?.message).toBe(
    "The containers are ready; waiting for Service web, Service tls",
  );
});

describe("a machine that can't be got into", () => {
  const since = (seconds: number): PodCondition => ({
    ...{ type: "drover.dev/Stage", status: "False", reason: "Configuring" },
    lastTransitionTime: before(seconds),
  });
  const failure = "203.0.113.9:22 can't be reached: it does not answer";
  const waiting = (seconds: number, more: Partial<PodWorld> = {}) => {
    const { actions, againInMs } = planPod(
      world({ pod: podOf({ conditions: [since(seconds)] }), contact: { reachable: false, failure }, ...more }),
      nowMs,
    );
    const messages = actions.flatMap((action) => (action.do === "tell" ? action.notice.message : []));
    return [messages, againInMs];
  };

  test("is told of by its reason when it has had the time to boot, once", () => {
    expect(waiting(100)).toEqual([[], 80_000]);
    expect(waiting(200)[0]).toEqual([`drover can't get into machine i-1 to give it the Pod: ${failure}`]);
    expect(waiting(200, { isUnreachedTold: true })).toEqual([[], undefined]);
  });

  test("is told of when it could not be reached for so long, whatever the Pod has waited for before", () => {
    const failing = (seconds: number) => ({
      contact: { reachable: false, failure, failingSinceMs: nowMs - 1_000 * seconds },
    });
    expect(waiting(900, failing(10))).toEqual([[], 170_000]);
    expect(waiting(900, failing(200))[0]).toHaveLength(1);
    expect(waiting(100, failing(200))).toEqual([[], 80_000]);
  });

  test("is nobody's trouble once it has its Pod", () => {
    expect(waiting(200, { contact: { reachable: false, failure, report: report() } })[0]).toEqual([]);
    expect(waiting(200, { contact: blank() })[0]).toEqual([]);
  });
});

describe("a Pod on its way out", () => {
  const ending = (reason: string, secondsAgo: number): PodCondition => ({
    type: "drover.dev/Ending",
    status: "True",
    reason,
    lastTransitionTime: before(secondsAgo),
  });
  const going = (...conditions: PodCondition[]) => podOf({ going: 30, phase: "Running", conditions });
  test.for<[string, Partial<PodWorld>, string]>([
    ["is drained first", { pod: going(), contact: told(report()), released: false }, "Draining"],
    ["is written down as stopping before it is stopped", { pod: going(), contact: told(report()) }, "Stopping"],
    ["is stopped", { pod: going(ending("Stopping", 1)), contact: told(report()) }, "Stopping, stop"],
    [
      "waits for its containers",
      { pod: going(ending("Stopping", 1)), contact: told(report({ stopping: true })) },
      "Stopping",
    ],
    [
      "goes when they have ended",
      { pod: going(ending("Stopping", 1)), contact: told(report({ stopping: true, finished: true })) },
      "Stopping, delete 0",
    ],
    [
      "waits for a machine that is silent",
      { pod: going(ending("Stopping", 20)), contact: { reachable: false, report: report() } },
      "Stopping",
    ],
    [
      "goes when its grace is over",
      { pod: going(ending("Stopping", 36)), contact: { reachable: false, report: report() } },
      "Stopping, delete 0",
    ],
    [
      "is not stopped while a balancer has it, for the length of the grace",
      { pod: going(ending("Draining", 20)), contact: told(report()), released: false },
      "Draining",
    ],
    [
      "is not stopped while a balancer may still open connections",
      { pod: going(ending("Draining", 300)), contact: told(report()), released: false },
      "Draining",
    ],
    [
      "is then asked to close the connections that idle",
      { pod: going(ending("Draining", 31)), contact: told(report()), released: false, drainingForMs: 30_000 },
      "Stopping",
    ],
    ["goes at once when nothing was ever told to the machine", { pod: going(), contact: blank() }, "delete 0"],
    ["goes at once when its machine is gone", { pod: going(), gone: true }, "delete 0"],
  ])("%s", ([_name, more, want]) => {
    expect(said(planPod(world(more), nowMs))).toBe(want);
  });
});
