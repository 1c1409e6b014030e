import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { decodeObject } from "../../src/api/decode.ts";
import { applyDefaults } from "../../src/api/defaults.ts";
import { type Kind, kinds, schema } from "../../src/api/kinds.ts";
import { type FieldSupport, podFields, serviceFields, storedOnly } from "../../src/machines/support.ts";
import { supportWarnings } from "../../src/machines/support-warnings.ts";

const kindOf = (id: string): Kind => {
  const kind = kinds.get(id);
  if (!kind) throw new Error(`no kind ${id}`);
  return kind;
};

function warningsOf(id: string, value: object): string[] {
  const kind = kindOf(id);
  const { object } = decodeObject(kind, { apiVersion: kind.apiVersion, kind: kind.kind, ...value });
  applyDefaults(kind, object, "defaults");
  return supportWarnings(kind, object);
}

const metadata = { name: "a" };
const container = { name: "c", image: "i" };
const pod = (spec: object) => warningsOf("v1/Pod", { metadata, spec: { containers: [container], ...spec } });
const inContainer = (fields: object) => pod({ containers: [{ ...container, ...fields }] });
const service = (spec: object) => warningsOf("v1/Service", { metadata, spec });

type Case = readonly [string, () => string[], string | undefined];
const cases: readonly Case[] = [
  ["an ordinary Pod", () => pod({}), undefined],
  [
    "hostPID",
    () => pod({ hostPID: true }),
    "spec.hostPID: drover ignores it: each container sees its own processes only",
  ],
  ["hostPID that is false", () => pod({ hostPID: false }), undefined],
  [
    "hostNetwork with its port",
    () => pod({ hostNetwork: true, containers: [{ ...container, ports: [{ containerPort: 80 }] }] }),
    undefined,
  ],
  [
    "another port of the host",
    () => inContainer({ ports: [{ containerPort: 80, hostPort: 8080 }] }),
    "spec.containers[0].ports[0].hostPort",
  ],
  [
    "a device of another kind",
    () => inContainer({ resources: { limits: { "example.com/fpga": "1" } } }),
    "spec.containers[0].resources.limits[example.com/fpga]",
  ],
  ["a GPU", () => inContainer({ resources: { limits: { "nvidia.com/gpu": "1" } } }), undefined],
  ["CPU and memory", () => inContainer({ resources: { limits: { cpu: "1", memory: "1Gi" } } }), undefined],
  ["runAsNonRoot alone", () => pod({ securityContext: { runAsNonRoot: true } }), "spec.securityContext.runAsNonRoot"],
  ["runAsNonRoot with a user", () => pod({ securityContext: { runAsNonRoot: true, runAsUser: 7 } }), undefined],
  [
    "runAsNonRoot of a container with the Pod's user",
    () =>
      pod({
        securityContext: { runAsUser: 7 },
        containers: [{ ...container, securityContext: { runAsNonRoot: true } }],
      }),
    undefined,
  ],
  ["a sidecar", () => pod({ initContainers: [{ ...container, name: "s", restartPolicy: "Always" }] }), undefined],
  [
    "a field of an init container",
    () => pod({ initContainers: [{ ...container, stdinOnce: true }] }),
    "spec.initContainers[0].stdinOnce",
  ],
  ["a claim", () => pod({ volumes: [{ name: "v", persistentVolumeClaim: { claimName: "c" } }] }), undefined],
  [
    "a limit on disk",
    () => pod({ volumes: [{ name: "v", emptyDir: { sizeLimit: "1Gi" } }] }),
    "spec.volumes[0].emptyDir.sizeLimit",
  ],
  [
    "a limit on memory",
    () => pod({ volumes: [{ name: "v", emptyDir: { medium: "Memory", sizeLimit: "1Gi" } }] }),
    undefined,
  ],
  ["a folder of the machine", () => pod({ volumes: [{ name: "v", hostPath: { path: "/srv" } }] }), undefined],
  [
    "Pods that keep apart by machine",
    () =>
      pod({
        affinity: {
          podAntiAffinity: {
            requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: "kubernetes.io/hostname" }],
          },
        },
      }),
    undefined,
  ],
  [
    "Pods that keep apart by zone",
    () =>
      pod({
        affinity: {
          podAntiAffinity: {
            requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: "topology.kubernetes.io/zone" }],
          },
        },
      }),
    undefined,
  ],
  [
    "Pods that want to be on the machine of another",
    () =>
      pod({
        affinity: {
          podAffinity: {
            requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: "kubernetes.io/hostname" }],
          },
        },
      }),
    "spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution",
  ],
  ["a Node", () => pod({ nodeName: "n" }), undefined],
  ["a Service", () => service({ selector: { a: "b" }, ports: [{ port: 80 }] }), undefined],
  ["a published Service", () => service({ type: "LoadBalancer", ports: [{ port: 80 }] }), undefined],
  ["a node port", () => service({ type: "NodePort", ports: [{ port: 80, nodePort: 30_080 }] }), undefined],
  ["UDP", () => service({ ports: [{ port: 53, protocol: "UDP" }] }), "spec.ports[0].protocol"],
  ["sticky clients", () => service({ sessionAffinity: "ClientIP", ports: [{ port: 80 }] }), "spec.sessionAffinity"],
];

test.for(cases)("%s is answered as it is meant", ([, warnings, expected]) => {
  const found = warnings();
  expect(found).toHaveLength(expected === undefined ? 0 : 1);
  expect(found[0] ?? "").toContain(expected ?? "");
});

test("a template's fields are named by their whole path", () => {
  const template = { metadata: { labels: { a: "b" } }, spec: { containers: [container], hostPID: true } };
  const value = { metadata, spec: { selector: { matchLabels: { a: "b" } }, template } };
  const [warning] = warningsOf("apps/v1/Deployment", value);
  expect(warning).toMatch(/^spec\.template\.spec\.hostPID: drover ignores it: /);
});

test("a CronJob's template is found three levels down", () => {
  const template = { spec: { containers: [container], restartPolicy: "Never", hostPID: true } };
  const [warning] = warningsOf("batch/v1/CronJob", { metadata, spec: { jobTemplate: { spec: { template } } } });
  expect(warning).toMatch(/^spec\.jobTemplate\.spec\.template\.spec\.hostPID: /);
});

test("the manifest that everybody begins with is honoured whole", () => {
  for (const document of parseAllDocuments(readFileSync("manifests/web.yaml", "utf8"))) {
    const value = document.toJS() as { apiVersion: string; kind: string };
    expect(warningsOf(`${value.apiVersion}/${value.kind}`, value)).toEqual([]);
  }
});

/** Types whose own fields are looked at one by one; below all others the row above them decides. */
const open = new Set([
  ...["PodSpec", "Container", "SecurityContext", "PodSecurityContext", "Volume", "Affinity", "NodeAffinity"],
  ...["PodAffinity", "PodAntiAffinity", "ResourceRequirements", "ServiceSpec", "ServicePort", "PodOS"],
]);

function fieldsBelow(type: string, at = ""): string[] {
  return Object.entries(schema.types[`core.v1.${type}`]?.f ?? {}).flatMap(([name, [of]]) => {
    const inner = /^(list<)?ref:core\.v1\.(\w+)/.exec(of);
    const path = `${at}${name}${inner?.[1] ? "[]" : ""}`.replace("initContainers[]", "containers[]");
    return inner?.[2] && open.has(inner[2]) ? fieldsBelow(inner[2], `${path}.`) : [path];
  });
}
const known = (fields: readonly FieldSupport[]) => fields.flatMap(({ paths }) => paths);
const plain = (path: string) => path.replace(/\[\]$/, "");

test.for([
  ["PodSpec", podFields],
  ["ServiceSpec", serviceFields],
] as const)("every field of a %s has a row", ([type, fields]) => {
  const rows = known(fields);
  const isKnown = (path: string) =>
    rows.some((each) => each === plain(path) || path.startsWith(`${each}.`) || path.startsWith(`${each}[]`));
  const isSplit = (path: string) => rows.some((each) => each.startsWith(`${path}.`));
  expect(fieldsBelow(type).filter((path) => !isKnown(path) && !isSplit(path))).toEqual([]);
});

/** Follows a row's path through the schema table. */
function typeAt(type: string, path: string): string | undefined {
  return path.split(".").reduce<string | undefined>((at, name) => {
    const map = /^map<(.+)>$/.exec(at ?? "")?.[1];
    if (map) return map;
    const of = schema.types[(at ?? "").replace(/^ref:/, "")]?.f[name.replace(/\[\]$/, "")]?.[0];
    return name.endsWith("[]") ? /^list<(.+)>$/.exec(of ?? "")?.[1] : of;
  }, `ref:core.v1.${type}`);
}

test.for([
  ["PodSpec", podFields],
  ["ServiceSpec", serviceFields],
] as const)("every row of a %s names fields that there are", ([type, fields]) => {
  expect(known(fields).filter((path) => typeAt(type, path) === undefined)).toEqual([]);
});

test("every kind that waits is one of the table", () => {
  const types = new Set([...kinds.values()].map((kind) => kind.type));
  expect(Object.keys(storedOnly).filter((type) => !types.has(type))).toEqual([]);
});
