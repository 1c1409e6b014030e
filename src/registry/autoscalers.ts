import type { KubeObject } from "../api/object.ts";

type Metric = { type?: string; resource?: { name?: string } & Record<"target" | "current", Utilization | undefined> };
type Utilization = { type?: string; averageUtilization?: number };
type V1 = {
  spec: { targetCPUUtilizationPercentage?: number } & Record<string, unknown>;
  status: { currentCPUUtilizationPercentage?: number } & Record<string, unknown>;
};
type V2 = {
  spec: { metrics?: Metric[]; behavior?: unknown } & Record<string, unknown>;
  status: { currentMetrics?: Metric[] | null; conditions?: unknown } & Record<string, unknown>;
};

/** Where the first version keeps what it has no fields for, as JSON. */
const prefix = "autoscaling.alpha.kubernetes.io/";
const kept = { metrics: `${prefix}metrics`, behavior: `${prefix}behavior`, conditions: `${prefix}conditions` } as const;

const isCpu = ({ type, resource }: Metric): boolean => type === "Resource" && resource?.name === "cpu";
const byUtilization = (metric: Metric): boolean => isCpu(metric) && metric.resource?.target?.type === "Utilization";

function cpu(side: "target" | "current", utilization: Utilization): unknown {
  return { type: "Resource", resource: { name: "cpu", [side]: utilization } };
}

/** A HorizontalPodAutoscaler of v2, validated before, in the form of v1. */
export function autoscalerToV1(object: KubeObject): unknown {
  const {
    spec: { metrics = [], behavior, ...spec },
    status: { currentMetrics, conditions, ...status },
  } = {
    spec: {},
    status: {},
    ...object,
  } as unknown as V2;
  const target = metrics.find(byUtilization);
  const others = metrics.filter((metric) => metric !== target);
  const annotations = {
    ...object.metadata.annotations,
    ...(others.length > 0 && { [kept.metrics]: JSON.stringify(others) }),
    ...(behavior !== undefined && { [kept.behavior]: JSON.stringify(behavior) }),
    ...(conditions !== undefined && { [kept.conditions]: JSON.stringify(conditions) }),
  };
  const current = (currentMetrics ?? []).find(isCpu)?.resource?.current?.averageUtilization;
  return {
    ...object,
    apiVersion: "autoscaling/v1",
    metadata: { ...object.metadata, annotations },
    spec: { ...spec, targetCPUUtilizationPercentage: target?.resource?.target?.averageUtilization },
    status: { ...status, currentCPUUtilizationPercentage: current },
  };
}

/** A HorizontalPodAutoscaler of v1, validated before, in the form of v2. */
export function autoscalerToV2(object: KubeObject): unknown {
  const {
    spec: { targetCPUUtilizationPercentage: target, ...spec },
    status: { currentCPUUtilizationPercentage: current, ...status },
  } = { spec: {}, status: {}, ...object } as unknown as V1;
  const {
    [kept.metrics]: metrics,
    [kept.behavior]: behavior,
    [kept.conditions]: conditions,
    ...annotations
  } = object.metadata.annotations ?? {};
  const own = target === undefined ? [] : [cpu("target", { type: "Utilization", averageUtilization: target })];
  const others = metrics === undefined ? [] : read(metrics);
  return {
    ...object,
    apiVersion: "autoscaling/v2",
    metadata: { ...object.metadata, annotations },
    spec: {
      ...spec,
      metrics: [...own, ...(Array.isArray(others) ? others : [])],
      behavior: behavior && read(behavior),
    },
    status: {
      ...status,
      conditions: conditions && read(conditions),
      ...(current !== undefined && { currentMetrics: [cpu("current", { averageUtilization: current })] }),
    },
  };
}

/** Anybody may write an annotation; one that is no JSON says nothing. */
function read(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
