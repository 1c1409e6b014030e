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
