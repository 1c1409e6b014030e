import type { ObjectMeta } from "./types.gen.ts";

/** Any object of the API, built in or custom, in its JSON form. */
export type KubeObject = {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
  spec?: unknown;
  status?: unknown;
  [field: string]: unknown;
};

/** A kind's place, e.g. `deployments.apps` or `pods`: Kubernetes' GroupResource in its own spelling. */
export type Resource = string;

/** Where one object lives. `namespace` is empty for cluster-scoped kinds. */
export type ObjectKey = { resource: Resource; namespace: string; name: string };
