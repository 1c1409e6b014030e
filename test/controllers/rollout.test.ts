import { expect, test } from "vitest";
import type { Deployment, ReplicaSet } from "../../src/api/types.gen.ts";
import type { Action } from "../../src/controllers/reconciler.ts";
import { planRollout } from "../../src/controllers/rollout.ts";
import { proportional, replicaSetAnnotations, rolloutRoom } from "../../src/controllers/rollout-math.ts";

type Knobs = {
  replicas: number;
  surge?: number | string;
  unavailable?: number | string;
  type?: string;
  limit?: number;
};

const deploymentOf = ({ replicas, surge = 1, unavailable = 0, type = "RollingUpdate", limit }: Knobs): Deployment => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "web", namespace: "default", uid: "d" },
  spec: {
    replicas,
    selector: { matchLabels: { app: "web" } },
    template: {},
    strategy:
      type === "Recreate" ? { type } : { type, rollingUpdate: { maxSurge: surge, maxUnavailable: unavailable } },
    ...(limit !== undefined && { revisionHistoryLimit: limit }),
  },
});

/** "A" is an available Pod, "a" one that is not yet; the name is that of the ReplicaSet. */
const setOf = (deployment: Deployment, name: string, pods: string, revision = 1): ReplicaSet => ({
  apiVersion: "apps/v1",
  kind: "ReplicaSet",
  metadata: {
    name,
    uid: name,
    resourceVersion: "1",
    generation: 1,
    annotations: { ...replicaSetAnnotations(deployment), "deployment.kubernetes.io/revision": `${revision}` },
  },
  spec: { replicas: pods.length, selector: {}, template: {} },
  status: {
    replicas: pods.length,
    availableReplicas: [...pods].filter((pod) => pod < "a").length,
    observedGeneration: 1,
  },
});

const told = (actions: readonly Action[]): string =>
  actions
    .map((action) => {
      if (action.do === "delete") return `-${action.key.name}`;
      return action.do === "write" ? `${action.key.name}=${(action.next as ReplicaSet).spec.replicas}` : action.do;
    })
    .join(" ");

test.for([
  ["surges one before it takes one away", { replicas: 2 }, "AA", "", "new=1"],
  ["waits while the new Pod boots", { replicas: 2 }, "AA", "a", ""],
  ["takes one away when the new one serves", { replicas: 2 }, "AA", "A", "old=1"],
  ["goes on by one for one", { replicas: 2 }, "A", "A", "new=2"],
  ["ends with the last old Pod", { replicas: 2 }, "A", "AA", "old=0"],
  ["rests when every Pod is new and serves", { replicas: 2 }, "", "AA", ""],
  ["an old Pod that never served goes first", { replicas: 2 }, "aA", "A", "old=1"],
  ["what does not serve makes no room under the floor", { replicas: 3 }, "AAa", "a", ""],
  ["without surge it takes one away first", { replicas: 2, surge: 0, unavailable: 1 }, "AA", "", "old=1"],
  ["without surge it then adds one", { replicas: 2, surge: 0, unavailable: 1 }, "A", "", "new=1"],
  ["a bound in percent is rounded up for the surge", { replicas: 5, surge: "25%" }, "AAAAA", "", "new=2"],
  ["and down for what may be missing", { replicas: 5, surge: 0, unavailable: "25%" }, "AAAAA", "", "old=4"],
  ["both bounds zero mean one may be missing", { replicas: 3, surge: 0, unavailable: "10%" }, "AAA", "", "old=2"],
  ["a broken new revision stops the rollout", { replicas: 4, surge: 1, unavailable: 1 }, "AAA", "aa", ""],
  ["Recreate ends the old ones first", { replicas: 2, type: "Recreate" }, "AA", "", "old=0"],
  ["Recreate then makes the new ones", { replicas: 2, type: "Recreate" }, "", "", "new=2"],
] as const)("%s", ([_name, knobs, old, fresh, want]) => {
  const deployment = deploymentOf(knobs);
  const world = { deployment, fresh: setOf(deployment, "new", fresh, 2), old: [setOf(deployment, "old", old)] };
  const podsLeft = new Map([["old", old.length]]);
  expect(told(planRollout({ ...world, podsLeft }))).toBe(want);
});

test("Recreate waits for the last old Pod to be gone, not only unwanted", () => {
  const deployment = deploymentOf({ replicas: 2, type: "Recreate" });
  const world = { deployment, fresh: setOf(deployment, "new", "", 2), old: [setOf(deployment, "old", "")] };
  expect(told(planRollout({ ...world, podsLeft: new Map([["old", 1]]) }))).toBe("");
});

test("a ReplicaSet that has not looked at its new size yet stops the shrinking", () => {
  const deployment = deploymentOf({ replicas: 2 });
  const old = setOf(deployment, "old", "AA");
  const stale = { ...old, metadata: { ...old.metadata, generation: 2 } };
  const world = { deployment, fresh: setOf(deployment, "new", "A", 2), old: [stale], podsLeft: new Map() };
  expect(told(planRollout(world))).toBe("");
});

test.for([
  ["the only ReplicaSet takes the new size", { replicas: 5 }, "", "AAA", "new=5"],
  ["scaling to zero is at once", { replicas: 0 }, "", "AAA", "new=0"],
  ["in the middle of a rollout it is shared out by size", { replicas: 10, surge: 2 }, "AAAA", "A", "old=10 new=2"],
  ["a complete new revision keeps nothing of the old", { replicas: 2 }, "A", "AA", "old=0"],
] as const)("a new size: %s", ([_name, knobs, old, fresh, want]) => {
  const before = deploymentOf({ ...knobs, replicas: old.length + fresh.length - (old === "" ? 0 : 1) });
  const deployment = deploymentOf(knobs);
  const world = {
    deployment,
    fresh: setOf(before, "new", fresh, 2),
    old: old === "" ? [] : [setOf(before, "old", old)],
  };
  expect(told(planRollout({ ...world, podsLeft: new Map() }))).toBe(want);
});

test("shares of a new size add up to it", () => {
  const before = deploymentOf({ replicas: 10, surge: 3, unavailable: 2 });
  const deployment = deploymentOf({ replicas: 30, surge: 3, unavailable: 2 });
  const sets = [setOf(before, "old", "AAAAAAAA"), setOf(before, "new", "AAAAA", 2)];
  const sizes = proportional(deployment, sets);
  expect(sizes).toEqual([20, 13]);
  expect(sizes.reduce((a, b) => a + b)).toBe(30 + rolloutRoom(deployment).surge);
});

test("old revisions beyond the limit go once the rollout is done, the lowest first", () => {
  const deployment = deploymentOf({ replicas: 1, limit: 1 });
  const old = [setOf(deployment, "r3", "", 3), setOf(deployment, "r1", "", 1), setOf(deployment, "r2", "", 2)];
  const done = { deployment, fresh: setOf(deployment, "r4", "A", 4), old, podsLeft: new Map() };
  expect(told(planRollout(done))).toBe("-r1 -r2");
  expect(told(planRollout({ ...done, fresh: setOf(deployment, "r4", "a", 4) }))).toBe("");
});
