import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type Kind, kinds } from "../../src/api/kinds.ts";
import type { KubeObject } from "../../src/api/object.ts";
import { tableFor } from "../../src/server/table.ts";
import { exchanges } from "../oracle/recorded.ts";

type Table = {
  metadata: object;
  columnDefinitions: { name: string; type: string; format: string; priority: number }[] | null;
  rows: { cells: unknown[]; object: unknown; conditions?: unknown }[];
};
const nowMs = Date.UTC(2026, 0, 2);
const kindOf = (id: string): Kind => {
  const kind = kinds.get(id);
  if (!kind) throw new Error(`the table has no ${id}`);
  return kind;
};
const table = (id: string, objects: object[], options: Partial<Parameters<typeof tableFor>[2]> = {}): Table =>
  tableFor(kindOf(id), objects as KubeObject[], {
    includeObject: "None",
    nowMs,
    withColumns: true,
    ...options,
  }) as Table;
const cell = (id: string, object: object, column: string): unknown => {
  const { columnDefinitions, rows } = table(id, [object]);
  return rows[0]?.cells[columnDefinitions?.findIndex(({ name }) => name === column) ?? -1];
};

/** What a controller had written into the status before the Table was asked for. */
const statuses: Record<string, object> = {
  "table Deployment": { updatedReplicas: 2 },
  "table ReplicaSet": { replicas: 2 },
  "table Job suspended": { conditions: [{ type: "Suspended", status: "True" }] },
};
const recorded = exchanges(/^table (?!include|Namespace)/).flatMap(({ name, exchanges: [created, asked] }) =>
  created && asked ? [{ name, object: created.answer.body, answer: asked.answer.body }] : [],
);

/** Values that differ between runs, masked as the recording masks them. */
const masked = (value: unknown): unknown => {
  if (typeof value !== "string") return value;
  if (/^(\d+[smhd])+$/.test(value) || value === "<unknown>") return "<age>";
  return value.replaceAll(/:\d{5}\//g, ":<port>/");
};

describe("recorded Tables", () => {
  test("are there", () => expect(recorded.length).toBeGreaterThan(15));

  test.for(recorded)("$name", ({ name, object, answer }) => {
    const text = JSON.stringify({ ...object, ...(statuses[name] && { status: statuses[name] }) });
    const subject = JSON.parse(text.replaceAll('"<port>"', "30001").replaceAll('"<time>"', '"2026-01-01T23:59:00Z"'));
    const id = `${object["apiVersion"]}/${object["kind"]}`;
    const made = table(id, [subject], { includeObject: "Metadata", resourceVersion: "<rv>" });
    const want = answer as unknown as Table;
    expect(made.metadata).toEqual(want.metadata);
    expect(made.columnDefinitions).toEqual(
      want.columnDefinitions?.map((column) => ({ ...column, description: expect.any(String) })),
    );
    expect(made.rows[0]?.cells.map(masked)).toEqual(want.rows[0]?.cells.map(masked));
    expect(Object.keys(made.rows[0] ?? {})).toEqual(Object.keys(want.rows[0] ?? {}));
    expect(made.rows[0]?.object).toMatchObject({ kind: "PartialObjectMetadata", apiVersion: "meta.k8s.io/v1" });
  });
});

test("every column of every kind is known and shows an empty object", () => {
  const { kinds: rows } = JSON.parse(readFileSync("src/api/data/columns.json", "utf8"));
  for (const id of Object.keys(rows)) {
    const kind = kinds.get(id) ?? {
      ...kindOf("v1/Pod"),
      apiVersion: id.replace(/\/\w+$/, ""),
      kind: id.replace(/.*\//, ""),
    };
    const made = tableFor(kind, [{ metadata: { name: "a" } } as KubeObject], {
      includeObject: "None",
      nowMs,
      withColumns: true,
    });
    expect(
      (made as Table).rows[0]?.cells.every((one) => one !== undefined),
      id,
    ).toBe(true);
  }
});

const container = (state: object, more: object = {}) => ({ name: "c", state, ...more });
const running = container({ running: {} }, { ready: true });
const ended = (exitCode: number, reason?: string) => container({ terminated: { exitCode, ...(reason && { reason }) } });
test.for([
  ["Pending", { phase: "Pending" }],
  ["Evicted", { phase: "Failed", reason: "Evicted" }],
  [
    "SchedulingGated",
    { phase: "Pending", conditions: [{ type: "PodScheduled", status: "False", reason: "SchedulingGated" }] },
  ],
  ["Running", { phase: "Running", containerStatuses: [running] }],
  ["ErrImagePull", { phase: "Pending", containerStatuses: [container({ waiting: { reason: "ErrImagePull" } })] }],
  ["Error", { phase: "Failed", containerStatuses: [ended(1, "Error")] }],
  ["ExitCode:3", { phase: "Failed", containerStatuses: [ended(3)] }],
  ["Signal:9", { phase: "Failed", containerStatuses: [container({ terminated: { exitCode: 137, signal: 9 } })] }],
  ["Completed", { phase: "Succeeded", containerStatuses: [ended(0, "Completed")] }],
  ["NotReady", { phase: "Running", containerStatuses: [ended(0, "Completed"), running] }],
  [
    "Running",
    {
      phase: "Running",
      conditions: [{ type: "Ready", status: "True" }],
      containerStatuses: [ended(0, "Completed"), running],
    },
  ],
  ["Init:0/2", { phase: "Pending", initContainerStatuses: [container({ running: {} })] }],
  ["Init:Error", { phase: "Pending", initContainerStatuses: [ended(1, "Error")] }],
  ["Init:ExitCode:2", { phase: "Pending", initContainerStatuses: [ended(2)] }],
  [
    "Init:CrashLoopBackOff",
    { phase: "Pending", initContainerStatuses: [container({ waiting: { reason: "CrashLoopBackOff" } })] },
  ],
  [
    "Init:1/2",
    { phase: "Pending", initContainerStatuses: [ended(0), container({ waiting: { reason: "PodInitializing" } })] },
  ],
] as const)("the status of a Pod is %s", ([want, status]) => {
  const spec = { containers: [{ name: "c" }], initContainers: [{ name: "c" }, { name: "d" }] };
  expect(cell("v1/Pod", { spec, status }, "Status")).toBe(want);
});

test.for([
  ["Terminating", { phase: "Running" }],
  ["Unknown", { phase: "Running", reason: "NodeLost" }],
  ["Succeeded", { phase: "Succeeded" }],
] as const)("the status of a Pod that is being deleted is %s", ([want, status]) => {
  expect(cell("v1/Pod", { metadata: { deletionTimestamp: "2026-01-01T00:00:00Z" }, status }, "Status")).toBe(want);
});

test("sidecars count for readiness and restarts, and restarts say when the last was", () => {
  const spec = { containers: [{ name: "c" }], initContainers: [{ name: "s", restartPolicy: "Always" }, { name: "i" }] };
  const lastState = { terminated: { finishedAt: "2026-01-01T23:58:00Z" } };
  const initContainerStatuses = [
    { name: "s", state: { running: {} }, started: true, ready: true, restartCount: 1 },
    { name: "i", state: { terminated: { exitCode: 0 } }, restartCount: 4 },
  ];
  const status = {
    phase: "Running",
    initContainerStatuses,
    containerStatuses: [{ ...running, restartCount: 2, lastState }],
  };
  expect(cell("v1/Pod", { spec, status }, "Ready")).toBe("2/2");
  expect(cell("v1/Pod", { spec, status }, "Restarts")).toBe("3 (2m ago)");
});

test("a finished Pod's row says so", () => {
  const [row] = table("v1/Pod", [{ status: { phase: "Succeeded" } }]).rows;
  expect(row?.conditions).toEqual([
    { type: "Completed", status: "True", reason: "Succeeded", message: "The pod has completed successfully." },
  ]);
});

test.for([
  [1, "1s"],
  [119, "119s"],
  [120, "2m"],
  [200, "3m20s"],
  [600, "10m"],
  [10_799, "179m"],
  [10_800, "3h"],
  [11_100, "3h5m"],
  [28_800, "8h"],
  [172_799, "47h"],
  [172_800, "2d"],
  [183_600, "2d3h"],
  [691_200, "8d"],
  [63_072_000, "2y"],
  [-1, "0s"],
  [-5, "<invalid>"],
] as const)("%d seconds are %s", ([seconds, want]) => {
  const creationTimestamp = new Date(nowMs - seconds * 1000).toISOString();
  expect(cell("v1/ConfigMap", { metadata: { creationTimestamp } }, "Age")).toBe(want);
});

test("Tables carry what the list said, and columns only when asked", () => {
  const made = table("v1/ConfigMap", [], {
    continue: "c",
    remainingItemCount: 3,
    resourceVersion: "5",
    withColumns: false,
  });
  expect(made).toMatchObject({ metadata: { continue: "c", remainingItemCount: 3, resourceVersion: "5" }, rows: [] });
  expect(made.columnDefinitions).toBeNull();
  const object = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a" } };
  expect(table("v1/ConfigMap", [object]).rows[0]?.object).toBeNull();
  expect(table("v1/ConfigMap", [object], { includeObject: "Object" }).rows[0]?.object).toEqual(object);
});

test("names of Services, sources of Events and targets of autoscalers read as everywhere", () => {
  const service = {
    spec: { type: "LoadBalancer", externalIPs: ["9.9.9.9"] },
    status: { loadBalancer: { ingress: [{ hostname: "h" }, { ip: "1.2.3.4" }] } },
  };
  expect(cell("v1/Service", service, "External-IP")).toBe("1.2.3.4,h,9.9.9.9");
  expect(
    cell(
      "v1/Node",
      { metadata: { labels: { "node-role.kubernetes.io/worker": "" } }, spec: { unschedulable: true } },
      "Status",
    ),
  ).toBe("Unknown,SchedulingDisabled");
  const metrics = [{ type: "Resource", resource: { name: "cpu", target: { averageUtilization: 80 } } }];
  const currentMetrics = [
    { type: "Resource", resource: { name: "cpu", current: { averageUtilization: 7, averageValue: "7m" } } },
  ];
  expect(
    cell("autoscaling/v2/HorizontalPodAutoscaler", { spec: { metrics }, status: { currentMetrics } }, "Targets"),
  ).toBe("cpu: 7%/80%");
  expect(
    cell("autoscaling/v1/HorizontalPodAutoscaler", { spec: { targetCPUUtilizationPercentage: 50 } }, "Targets"),
  ).toBe("cpu: <unknown>/50%");
  const usage = { cpu: "5m", memory: "1Mi" };
  expect(
    table("metrics.k8s.io/v1beta1/NodeMetrics", [{ metadata: { name: "n" }, usage, window: "20s" }]).rows[0]?.cells,
  ).toEqual(["n", "5m", "1Mi", "20s"]);
  const pod = { metadata: { name: "p" }, containers: [{ usage }, { usage }], window: "20s" };
  expect(table("metrics.k8s.io/v1beta1/PodMetrics", [pod]).rows[0]?.cells).toEqual(["p", "10m", "2Mi", "20s"]);
});
