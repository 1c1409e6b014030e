import { configMapRules, secretRules } from "./config.ts";
import type { KindRules } from "./kind-rules.ts";
import { podRules } from "./pods.ts";
import { serviceRules } from "./services.ts";
import { deploymentRules, replicaSetRules, replicationControllerRules } from "./workloads.ts";

/** Rules by the type's name in the table; kinds without an entry have none beyond their structure and metadata. */
export const kindRules: Readonly<Record<string, KindRules>> = {
  "core.v1.ConfigMap": configMapRules,
  "core.v1.Pod": podRules,
  "core.v1.ReplicationController": replicationControllerRules,
  "core.v1.Secret": secretRules,
  "core.v1.Service": serviceRules,
  "apps.v1.Deployment": deploymentRules,
  "apps.v1.ReplicaSet": replicaSetRules,
};
