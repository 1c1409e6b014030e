import type { Kind } from "../api/kinds.ts";
import type { KubeObject } from "../api/object.ts";
import { parseTimeMs } from "../base/clock.ts";
import type { Context } from "./context.ts";

const createdMs = ({ metadata }: KubeObject): number => parseTimeMs(metadata.creationTimestamp ?? "");

type Rule = { classes: string; mark: string; field: string; instead: string };

/** Kinds whose objects get the cluster's default class when they name none. */
const rules: Readonly<Record<string, Rule>> = {
  persistentvolumeclaims: {
    classes: "storageclasses.storage.k8s.io",
    mark: "storageclass.kubernetes.io/is-default-class",
    field: "storageClassName",
    instead: "volume.beta.kubernetes.io/storage-class",
  },
  "ingresses.networking.k8s.io": {
    classes: "ingressclasses.networking.k8s.io",
    mark: "ingressclass.kubernetes.io/is-default-class",
    field: "ingressClassName",
    instead: "kubernetes.io/ingress.class",
  },
};

/** Names the default class in a new object that names none, in place; of several the newest, then the first by name. */
export function nameDefaultClass({ cache }: Context, kind: Kind, object: KubeObject): void {
  const rule = rules[kind.resource];
  if (rule === undefined) return;
  const spec = object.spec as Record<string, unknown> | undefined; // Both kinds have a struct there.
  if (spec === undefined || spec[rule.field] !== undefined) return;
  if (object.metadata.annotations?.[rule.instead] !== undefined) return;
  const [newest] = cache
    .list(rule.classes)
    .filter(({ metadata }) => metadata.annotations?.[rule.mark] === "true")
    .sort((a, b) => createdMs(b) - createdMs(a));
  if (newest !== undefined) spec[rule.field] = newest.metadata.name;
}
