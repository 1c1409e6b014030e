import { expect, test } from "vitest";
import type { Deployment, ReplicaSet } from "../../src/api/types.gen.ts";
import { deadlineMs, deploymentStatus } from "../../src/controllers/deployment-status.ts";
import { planDeployment } from "../../src/controllers/deployments.ts";
import { replicaSetAnnotations, sameTemplate, templateHash } from "../../src/controllers/rollout-math.ts";

const nowMs = Date.parse("2026-01-01T01:00:00Z");
const template = {
  metadata: { name: "", labels: { app: "x" } },
  spec: { containers: [{ name: "c", image: "nginx" }] },
};
const deployment = (spec: Partial<Deployment["spec"]> = {}, status: Deployment["status"] = {}): Deployment => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "web", namespace: "default", uid: "d", resourceVersion: "1", generation: 1 },
  spec: { replicas: 2, selector: { matchLabels: { app: "x" } }, template, ...spec },
  status,
});
const replicaSet = (name: string, counts: Partial<NonNullable<ReplicaSet["status"]>>, replicas = 2): ReplicaSet => ({
  apiVersion: "apps/v1",
  kind: "ReplicaSet",
  metadata: {
    name,
    namespace: "default",
    uid: name,
    resourceVersion: "1",
    labels: { app: "x" },
    annotations: { ...replicaSetAnnotations(deployment()), "deployment.kubernetes.io/revision": "1" },
    ownerReferences: [{ apiVersion: "apps/v1", kind: "Deployment", name: "web", uid: "d", controller: true }],
  },
  spec: { replicas, selector: {}, template },
  status: { replicas: 0, ...counts },
});
const told = (status: Deployment["status"]): string[] =>
  (status?.conditions ?? []).map(({ type, status: is, reason }) => `${type}=${is} ${reason}`);
const statusFor = (given: Deployment, fresh?: ReplicaSet, old: ReplicaSet[] = []) =>
  deploymentStatus({ deployment: given, fresh, all: fresh ? [...old, fresh] : old }, nowMs);

const available = { replicas: 2, readyReplicas: 2, availableReplicas: 2, terminatingReplicas: 0 };
const made = (reason: string, status = "True", lastUpdateTime = "2026-01-01T00:59:59Z") => ({
  conditions: [
    { type: "Progressing", status, reason, message: "", lastUpdateTime, lastTransitionTime: lastUpdateTime },
  ],
});

// What the real controllers answer, from the recordings of Kubernetes 1.36.
test("an available Deployment looks as Kubernetes' own", () => {
  const status = statusFor(deployment({}, made("ReplicaSetUpdated")), replicaSet("web-h", available));
  expect(status).toMatchObject({
    availableReplicas: 2,
    observedGeneration: 1,
    readyReplicas: 2,
    replicas: 2,
    terminatingReplicas: 0,
    updatedReplicas: 2,
  });
  expect(status).not.toHaveProperty("unavailableReplicas");
  expect(told(status).sort()).toEqual([
    "Available=True MinimumReplicasAvailable",
    "Progressing=True NewReplicaSetAvailable",
  ]);
  expect(status?.conditions?.find(({ type }) => type === "Progressing")?.message).toBe(
    'ReplicaSet "web-h" has successfully progressed.',
  );
});

test("an unschedulable Deployment looks as Kubernetes' own", () => {
  const status = statusFor(deployment({}, made("NewReplicaSetCreated")), replicaSet("web-h", { replicas: 2 }));
  expect(status).toMatchObject({ observedGeneration: 1, replicas: 2, unavailableReplicas: 2, updatedReplicas: 2 });
  expect(told(status).sort()).toEqual([
    "Available=False MinimumReplicasUnavailable",
    "Progressing=True ReplicaSetUpdated",
  ]);
});

test("a Deployment created paused has no ReplicaSet and no revision", () => {
  const given = deployment({ paused: true });
  const { actions } = planDeployment({ deployment: given, replicaSets: [], podsLeft: new Map() }, nowMs);
  expect(actions.map((action) => action.do)).toEqual(["write"]);
  const status = statusFor(given);
  expect(told(status).sort()).toEqual([
    "Available=False MinimumReplicasUnavailable",
    "Progressing=Unknown DeploymentPaused",
  ]);
  expect(status).toMatchObject({ observedGeneration: 1, terminatingReplicas: 0 });
});

test.for<[string, Deployment, string]>([
  [
    "has timed out after the deadline",
    deployment({ progressDeadlineSeconds: 1 }, { ...made("ReplicaSetUpdated"), replicas: 2, updatedReplicas: 2 }),
    "Progressing=False ProgressDeadlineExceeded",
  ],
  [
    "has time until then",
    deployment({ progressDeadlineSeconds: 60 }, { ...made("ReplicaSetUpdated"), replicas: 2, updatedReplicas: 2 }),
    "Progressing=True ReplicaSetUpdated",
  ],
  ["is resumed", deployment({}, made("DeploymentPaused", "Unknown")), "Progressing=Unknown DeploymentResumed"],
  [
    "is not excused by a pause",
    deployment({ paused: true }, made("ProgressDeadlineExceeded", "False")),
    "Progressing=False ProgressDeadlineExceeded",
  ],
])("a Deployment %s", ([_name, given, want]) => {
  expect(told(statusFor(given, replicaSet("web-h", { replicas: 2 })))).toContain(want);
});

test("the deadline counts from the last progress and ends with it", () => {
  const given = deployment({ progressDeadlineSeconds: 10 }, made("ReplicaSetUpdated"));
  expect(deadlineMs(given)).toBe(nowMs - 1_000 + 10_000);
  expect(deadlineMs(deployment({ paused: true }, made("ReplicaSetUpdated")))).toBeUndefined();
  expect(deadlineMs(deployment({}, made("NewReplicaSetAvailable")))).toBeUndefined();
});

test("a new template makes a ReplicaSet of its own hash, with the next revision", () => {
  const changed = deployment({ template: { ...template, spec: { containers: [{ name: "c", image: "nginx:2" }] } } });
  const old = replicaSet("web-old", available);
  const { actions } = planDeployment({ deployment: changed, replicaSets: [old], podsLeft: new Map() }, nowMs);
  const [create] = actions;
  const hash = templateHash(changed.spec.template, 0);
  expect(create).toMatchObject({
    do: "create",
    object: {
      metadata: {
        name: `web-${hash}`,
        labels: { app: "x", "pod-template-hash": hash },
        annotations: { "deployment.kubernetes.io/revision": "2", "deployment.kubernetes.io/desired-replicas": "2" },
      },
      spec: { replicas: 1, selector: { matchLabels: { app: "x", "pod-template-hash": hash } } },
    },
    told: { message: `Scaled up replica set web-${hash} from 0 to 1` },
  });
});

test("templates are the same but for the hash label", () => {
  const labelled = { ...template, metadata: { name: "", labels: { app: "x", "pod-template-hash": "h" } } };
  expect(sameTemplate(template, labelled)).toBe(true);
  expect(sameTemplate(template, { ...template, spec: { containers: [] } })).toBe(false);
});

test("an orphan that matches is taken over, one that no longer does is let go", () => {
  const { ownerReferences: _, ...free } = replicaSet("web-o", {}).metadata;
  const orphan = { ...replicaSet("web-o", {}), metadata: free };
  const strayed = { ...replicaSet("web-s", {}), metadata: { ...replicaSet("web-s", {}).metadata, labels: {} } };
  const { actions } = planDeployment(
    { deployment: deployment(), replicaSets: [orphan, strayed], podsLeft: new Map() },
    nowMs,
  );
  const owners = actions.map(
    (action) => action.do === "write" && action.next.metadata.ownerReferences?.map(({ uid }) => uid),
  );
  expect(owners).toEqual([["d"], []]);
});
