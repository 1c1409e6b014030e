import { labelSelectorMatcher } from "../api/labels.ts";
import type { PodReadinessGate, Service } from "../api/types.gen.ts";

const prefix = "drover.dev/balancer-";

/** Whether the cloud has a balancer for this Service. */
export const hasBalancer = ({ spec }: Service): boolean =>
  spec.type !== "ExternalName" && spec.clusterIP !== "None" && Object.keys(spec.selector ?? {}).length > 0;

const gateType = (serviceUid: string): string => prefix + serviceUid;

/** The uid of the Service that a readiness gate waits for; undefined for gates of others. */
export const gatedService = (conditionType: string): string | undefined =>
  conditionType.startsWith(prefix) ? conditionType.slice(prefix.length) : undefined;

/** The gates of a Pod with these labels, fixed when it is made: one for each Service whose balancer is to reach it. */
export const gatesFor = (
  services: readonly Service[],
  labels: Record<string, string> | undefined,
): PodReadinessGate[] =>
  services
    .filter((service) => hasBalancer(service) && service.metadata.deletionTimestamp === undefined)
    .filter(({ spec }) => labelSelectorMatcher({ matchLabels: spec.selector ?? {} })(labels))
    .map(({ metadata }) => ({ conditionType: gateType(metadata.uid ?? "") }));
