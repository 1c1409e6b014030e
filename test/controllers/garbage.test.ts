import { expect, test } from "vitest";
import type { KubeObject } from "../../src/api/object.ts";
import { type GarbageWorld, type OwnerState, planGarbage } from "../../src/controllers/garbage.ts";
import type { Action } from "../../src/controllers/reconciler.ts";

const reference = (uid: string) => ({ apiVersion: "v1", kind: "ConfigMap", name: uid, uid, blockOwnerDeletion: true });
const object = (uid: string, more: Partial<KubeObject["metadata"]> = {}): KubeObject => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name: uid, namespace: "default", uid, resourceVersion: "1", ...more },
});
/** "P" is present, "w" waits for this one to go, "g" is gone. */
const states: Record<string, OwnerState["state"]> = { P: "present", w: "waiting", g: "gone" };
const world = (owners: string, more: Partial<GarbageWorld> = {}): GarbageWorld => ({
  key: { resource: "configmaps", namespace: "default", name: "x" },
  object: object("x"),
  owners: [...owners].map((letter, index) => ({
    reference: reference(`o${index}`),
    state: states[letter] ?? "present",
  })),
  dependents: [],
  ...more,
});
const told = (actions: readonly Action[]): string =>
  actions
    .flatMap((action) => (action.do === "together" ? action.actions : [action]))
    .map((action) => {
      if (action.do === "delete") return `delete ${action.propagation}`;
      if (action.do !== "write") return action.do;
      const { ownerReferences = [], finalizers = [], name } = action.next.metadata;
      return `${name}: [${ownerReferences.map(({ uid }) => uid).join(" ")}] [${finalizers.join(" ")}]`;
    })
    .join(", ");
const going = (finalizer: string) =>
  object("x", { deletionTimestamp: "2026-01-01T00:00:00Z", finalizers: [finalizer] });
const child = (...owners: string[]) => object("c", { ownerReferences: owners.map(reference) });

test.for<[string, GarbageWorld, string]>([
  ["what nobody owns stays", world(""), ""],
  ["what has its owners stays", world("PP"), ""],
  ["what has lost all of them goes", world("gg"), "delete Background"],
  ["what has one left loses the others' references", world("gPw"), "x: [o1] []"],
  ["what its owner waits for goes", world("w"), "delete Background"],
  ["and waits for its own dependents in turn", world("w", { dependents: [child("x")] }), "delete Foreground"],
  ["what is on its way out is left to itself", world("g", { object: object("x", { deletionTimestamp: "t" }) }), ""],
  [
    "an owner waits for what holds it",
    world("", { object: going("foregroundDeletion"), dependents: [child("x")] }),
    "",
  ],
  ["and goes after it", world("", { object: going("foregroundDeletion") }), "x: [] []"],
  ["dependents are set free", world("", { object: going("orphan"), dependents: [child("x", "y")] }), "c: [y] []"],
  ["before their owner goes", world("", { object: going("orphan") }), "x: [] []"],
])("%s", ([_name, given, want]) => {
  expect(told(planGarbage(given).actions)).toBe(want);
});
