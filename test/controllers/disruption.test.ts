import { expect, test } from "vitest";
import type { Pod, PodDisruptionBudget } from "../../src/api/types.gen.ts";
import { planDisruption } from "../../src/controllers/disruption.ts";

const nowMs = 1_800_000_000_000;
/** "R" is ready, "n" is not, "D" was let go just now, "x" is on its way out. */
const podOf = (letter: string, index: number): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: `p${index}`, ...(letter === "x" && { deletionTimestamp: "2027-01-15T08:00:00Z" }) },
  spec: { containers: [] },
  status: { conditions: [{ type: "Ready", status: letter === "n" ? "False" : "True" }] },
});

function budgetOf(spec: PodDisruptionBudget["spec"], letters: string, sinceMs: number): PodDisruptionBudget {
  const since = new Date(sinceMs).toISOString();
  const disruptedPods = Object.fromEntries([...letters].flatMap((each, i) => (each === "D" ? [[`p${i}`, since]] : [])));
  return {
    apiVersion: "policy/v1",
    kind: "PodDisruptionBudget",
    metadata: { name: "b", namespace: "default", generation: 3 },
    spec,
    status: { disruptedPods },
  };
}

test.for([
  ["leaves a count", { minAvailable: 2 }, "RRR", 3, { disruptionsAllowed: 1, currentHealthy: 3, desiredHealthy: 2 }],
  ["counts only what is ready", { minAvailable: 2 }, "RRn", 3, { disruptionsAllowed: 0, currentHealthy: 2 }],
  ["nor what is on its way out", { minAvailable: 1 }, "Rxx", 3, { disruptionsAllowed: 0, currentHealthy: 1 }],
  ["nor what was let go just now", { minAvailable: 1 }, "RRD", 3, { disruptionsAllowed: 1, currentHealthy: 2 }],
  ["rounds a share up", { minAvailable: "50%" }, "RRR", 3, { disruptionsAllowed: 1, desiredHealthy: 2 }],
  ["a share is of what is wanted", { minAvailable: "50%" }, "RRR", 6, { disruptionsAllowed: 0, desiredHealthy: 3 }],
  ["takes away a count", { maxUnavailable: 1 }, "RRR", 3, { disruptionsAllowed: 1, desiredHealthy: 2 }],
  ["nothing is there to take", { maxUnavailable: 1 }, "", 0, { disruptionsAllowed: 0, expectedPods: 0 }],
] as const)("%s", ([, spec, letters, scale, want]) => {
  const pods = [...letters].map(podOf);
  const plan = planDisruption({ budget: budgetOf(spec, letters, nowMs), pods, scale }, nowMs);
  const [action] = plan.actions;
  expect(action).toMatchObject({ do: "write", subresource: "status", next: { status: want } });
});

test("says so in a condition, and rests once that is written", () => {
  const world = { budget: budgetOf({ minAvailable: 1 }, "RR", nowMs), pods: [..."RR"].map(podOf), scale: 2 };
  const [action] = planDisruption(world, nowMs).actions;
  const next = (action as { next: PodDisruptionBudget }).next;
  expect(next.status?.conditions).toMatchObject([
    { type: "DisruptionAllowed", status: "True", reason: "SufficientPods" },
  ]);
  expect(planDisruption({ ...world, budget: next }, nowMs + 5_000)).toEqual({ actions: [] });
});

test("counts a Pod again that stayed although it was let go", () => {
  const at = (sinceMs: number) => {
    const world = { budget: budgetOf({ minAvailable: 1 }, "RD", sinceMs), pods: [..."RD"].map(podOf), scale: 2 };
    return planDisruption(world, nowMs);
  };
  expect(at(nowMs - 60_000).againInMs).toBe(60_000);
  expect(at(nowMs - 121_000).actions[0]).toMatchObject({ next: { status: { currentHealthy: 2 } } });
});
