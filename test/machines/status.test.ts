import { expect, test } from "vitest";
import type { ContainerState, ContainerStatus, Pod, PodStatus } from "../../src/api/types.gen.ts";
import type { Report } from "../../src/clouds/box.ts";
import { stageOf, stageWithSeconds } from "../../src/machines/stage.ts";
import { statusFromReport } from "../../src/machines/status.ts";

const nowMs = 1_700_000_000_000;
const running: ContainerState = { running: { startedAt: "2026-01-01T00:00:00Z" } };
const ended = (exitCode: number): ContainerState => ({
  terminated: { exitCode, reason: exitCode ? "Error" : "Completed" },
});

/** One container in a word: "r" runs, "R" is ready too, "0" and "1" have ended, "w" waits, "b" waits after a crash. */
function container(letter: string, name: string): ContainerStatus {
  const states: Record<string, ContainerState> = {
    r: running,
    R: running,
    0: ended(0),
    1: ended(1),
    w: { waiting: { reason: "ContainerCreating" } },
    b: { waiting: { reason: "CrashLoopBackOff" } },
  };
  return {
    name,
    state: states[letter] ?? {},
    lastState: letter === "b" ? ended(1) : {},
    ready: letter === "R",
    started: /[rR]/.test(letter),
    restartCount: letter === "b" ? 2 : 0,
    image: "i",
    imageID: "",
  };
}
const reportOf = (inits: string, mains: string, more: Partial<Report> = {}): Report => ({
  version: 1,
  agentVersion: "1",
  bootId: "b",
  uid: "u1",
  initContainerStatuses: [...inits].map((letter, index) => container(letter, `i${index}`)),
  containerStatuses: [...mains].map((letter, index) => container(letter, `c${index}`)),
  finished: false,
  stopping: false,
  events: [],
  ...more,
});
const podOf = (inits: string, mains: string, status: PodStatus = {}, spec: Partial<Pod["spec"]> = {}): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "web-0", uid: "u1", creationTimestamp: "2023-11-14T22:12:20Z" },
  spec: {
    initContainers: [...inits].map((_, index) => ({ name: `i${index}` })),
    containers: [...mains].map((_, index) => ({ name: `c${index}` })),
    ...spec,
  },
  status,
});
const condition = (status: PodStatus, type: string) => status.conditions?.find((each) => each.type === type);

test.for([
  ["nothing has started", "", "w", {}, "Pending", "False", "Configuring"],
  ["one of two runs", "", "rw", {}, "Pending", "False", "Starting"],
  ["all run, none is ready", "", "rr", {}, "Running", "False", "Starting"],
  ["all are ready", "", "RR", {}, "Running", "True", "InService"],
  ["a crash loop", "", "b", {}, "Running", "False", "Configuring"],
  ["an init container runs", "r", "w", {}, "Pending", "False", "Starting"],
  ["an init container has succeeded", "0", "R", {}, "Running", "True", "InService"],
  ["an init container has failed for good", "1", "w", { finished: true }, "Failed", "False", "Failed"],
  ["ended well, to be started again", "", "0", {}, "Running", "False", "Configuring"],
  ["ended well for good", "", "00", { finished: true }, "Succeeded", "False", "Succeeded"],
  ["one ended badly for good", "", "01", { finished: true }, "Failed", "False", "Failed"],
  ["its deadline has passed", "", "0", { finished: true, reason: "DeadlineExceeded" }, "Failed", "False", "Failed"],
] as const)("%s", ([_name, inits, mains, more, phase, ready, stage]) => {
  const pod = podOf(inits, mains);
  const status = statusFromReport(pod, reportOf(inits, mains, more), nowMs);
  expect(status.phase).toBe(phase);
  expect(condition(status, "Ready")?.status).toBe(ready);
  expect(stageOf({ ...pod, status })).toBe(stage);
});

test("what is not ready is named", () => {
  const status = statusFromReport(podOf("i", "cc"), reportOf("r", "Rw"), nowMs);
  expect(condition(status, "ContainersReady")).toMatchObject({
    reason: "ContainersNotReady",
    message: "containers with unready status: [c1]",
  });
  expect(condition(status, "Initialized")).toMatchObject({
    status: "False",
    reason: "ContainersNotInitialized",
    message: "containers with incomplete status: [i0]",
  });
});

test("a sidecar counts for Ready and not for completion", () => {
  const pod = podOf("i", "c", {}, { initContainers: [{ name: "i0", restartPolicy: "Always" }] });
  const unready = statusFromReport(pod, reportOf("r", "R"), nowMs);
  expect(condition(unready, "Initialized")?.status).toBe("True");
  expect(condition(unready, "Ready")).toMatchObject({
    status: "False",
    message: "containers with unready status: [i0]",
  });
  expect(statusFromReport(pod, reportOf("1", "0", { finished: true }), nowMs).phase).toBe("Succeeded");
});

test("a readiness gate keeps a Pod from Ready, and the stage says what it waits for", () => {
  const pod = podOf("", "c", {}, { readinessGates: [{ conditionType: "drover.dev/web" }] });
  const status = statusFromReport(pod, reportOf("", "R"), nowMs);
  expect(condition(status, "Ready")).toMatchObject({
    reason: "ReadinessGatesNotReady",
    message: 'corresponding condition of pod readiness gate "drover.dev/web" does not exist.',
  });
  expect(stageWithSeconds({ ...pod, status }, nowMs + 84_000)).toEqual({ stage: "Registering", seconds: 84 });
  const gate = { type: "drover.dev/web", status: "True" };
  const open = { ...pod, status: { ...status, conditions: [...(status.conditions ?? []), gate] } };
  const after = statusFromReport(open, reportOf("", "R"), nowMs + 1);
  expect(condition(after, "Ready")?.status).toBe("True");
  expect(after.conditions).toContainEqual(gate);
});

test("pulling is a stage of its own", () => {
  const event = { id: 1, type: "Normal" as const, reason: "Pulling", message: "", container: "c0", atMs: 0 };
  const pod = podOf("", "c");
  expect(stageOf({ ...pod, status: statusFromReport(pod, reportOf("", "w", { events: [event] }), nowMs) })).toBe(
    "Pulling",
  );
});

test("silence changes nothing that is known", () => {
  const pod = podOf("", "c");
  const known = statusFromReport(pod, reportOf("", "R"), nowMs);
  const silent = statusFromReport({ ...pod, status: known }, undefined, nowMs + 60_000);
  expect(silent.phase).toBe("Running");
  expect(silent.containerStatuses).toEqual(known.containerStatuses);
  expect(condition(silent, "Ready")).toEqual(condition(known, "Ready"));
});

test("a report of another Pod is no report", () => {
  expect(statusFromReport(podOf("", "c"), reportOf("", "R", { uid: "u2" }), nowMs).phase).toBe("Pending");
});

test("conditions keep their time while they stay", () => {
  const pod = podOf("", "c");
  const first = statusFromReport(pod, reportOf("", "r"), nowMs);
  const second = statusFromReport({ ...pod, status: first }, reportOf("", "R"), nowMs + 5000);
  const third = statusFromReport({ ...pod, status: second }, reportOf("", "R"), nowMs + 9000);
  expect(condition(second, "Ready")?.lastTransitionTime).toBe("2023-11-14T22:13:25Z");
  expect(third).toEqual(second);
});

test("restart counts never decrease, and an ended Pod stays ended", () => {
  const pod = podOf("", "c", { phase: "Running", containerStatuses: [{ ...container("R", "c0"), restartCount: 7 }] });
  expect(statusFromReport(pod, reportOf("", "b"), nowMs).containerStatuses?.[0]?.restartCount).toBe(7);
  expect(statusFromReport(podOf("", "c", { phase: "Failed" }), reportOf("", "R"), nowMs).phase).toBe("Failed");
});
