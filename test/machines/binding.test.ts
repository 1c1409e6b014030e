import { expect, test } from "vitest";
import { parse } from "yaml";
import type { KubeObject } from "../../src/api/object.ts";
import type { Container, Pod } from "../../src/api/types.gen.ts";
import { bindingFor } from "../../src/machines/binding.ts";
import { expand } from "../../src/machines/environment.ts";
import { volumesFor } from "../../src/machines/volumes.ts";
import type { BindingWorld } from "../../src/machines/world.ts";
import type { View } from "../../src/registry/view.ts";

const objects: Record<string, unknown[]> = parse(`
configmaps:
  - {metadata: {name: cfg, namespace: ns}, data: {color: blue, size: "3"}, binaryData: {logo: AAEC}}
secrets:
  - {metadata: {name: pw, namespace: ns}, data: {word: aHVudGVyMg==}}
services:
  - {metadata: {name: kubernetes, namespace: default}, spec: {clusterIP: 10.96.0.1, ports: [{name: https, port: 443}]}}
  - {metadata: {name: my-db, namespace: ns}, spec: {clusterIP: 10.96.0.9, ports: [{name: sql, port: 5432}, {port: 53, protocol: UDP}]}}
  - {metadata: {name: headless, namespace: ns}, spec: {clusterIP: None, ports: [{port: 80}]}}
persistentvolumeclaims:
  - {metadata: {name: csi, namespace: ns, uid: u-csi}, spec: {volumeName: csi}}
  - {metadata: {name: old, namespace: ns, uid: u-old}, spec: {volumeName: old}}
persistentvolumes:
  - metadata: {name: csi, annotations: &there {drover.dev/attached-machine: node-1, drover.dev/device: /dev/disk/by-id/x}}
    spec: {claimRef: {uid: u-csi}, mountOptions: [noatime], csi: {driver: ebs.csi.aws.com, volumeHandle: vol-1, fsType: xfs}}
  - metadata: {name: old, annotations: *there}
    spec: {claimRef: {uid: u-old}, awsElasticBlockStore: {volumeID: vol-2, fsType: ext3, readOnly: true}}
nodes:
  - {metadata: {name: node-1}, status: {allocatable: {cpu: "2", memory: 1Gi}}}
`);

/** Just what a binding asks of the cache. */
const view = {
  get: (resource: string, namespace: string, name: string) =>
    (objects[resource] as KubeObject[] | undefined)?.find(
      ({ metadata }) => metadata.name === name && (metadata.namespace ?? "") === namespace,
    ),
  list: (resource: string, namespace?: string) =>
    (objects[resource] as KubeObject[] | undefined)?.filter(({ metadata }) => metadata.namespace === namespace) ?? [],
  controlledBy: () => [],
} as unknown as View;

const podWith = (container: Partial<Container>, spec: Partial<Pod["spec"]> = {}): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: {
    name: "web-0",
    namespace: "ns",
    uid: "u1",
    labels: { app: "web", tier: 'a"b' },
    annotations: { note: "n" },
  },
  spec: { containers: [{ name: "c", image: "nginx:1.20.1", ...container }], ...spec },
});
const worldOf = (pod: Pod): BindingWorld => ({
  pod,
  address: "10.0.0.5",
  node: "node-1",
  view,
  surroundings: { nameservers: ["10.0.0.2"], registryMirror: "10.0.0.1:5000" },
  clusterDomain: "cluster.local",
  tokenFor: ({ audience = "api", expirationSeconds = 0 }) => `token-for-${audience}-${expirationSeconds}`,
});
const bound = (container: Partial<Container>, spec: Partial<Pod["spec"]> = {}) => {
  const [first] = bindingFor(worldOf(podWith(container, spec))).containers;
  if (!first) throw new Error("a binding has the Pod's containers");
  return first;
};
const environment = (container: string, spec: Partial<Pod["spec"]> = { enableServiceLinks: false }) =>
  Object.fromEntries(bound(parse(container), spec).env);

test.for([
  ["plain values", "env: [{name: A, value: x}]", { A: "x" }],
  [
    "values that name earlier ones",
    "env: [{name: A, value: x}, {name: B, value: '$(A)-$(C)-$$(A)'}]",
    { B: "x-$(C)-$(A)" },
  ],
  ["a ConfigMap's key", "env: [{name: A, valueFrom: {configMapKeyRef: {name: cfg, key: color}}}]", { A: "blue" }],
  ["a Secret's key", "env: [{name: A, valueFrom: {secretKeyRef: {name: pw, key: word}}}]", { A: "hunter2" }],
  [
    "a whole ConfigMap with a prefix",
    "envFrom: [{prefix: P_, configMapRef: {name: cfg}}]",
    { P_color: "blue", P_size: "3" },
  ],
  [
    "entries over sources",
    "{envFrom: [{configMapRef: {name: cfg}}], env: [{name: color, value: red}]}",
    { color: "red" },
  ],
  [
    "an optional key that is missing",
    "env: [{name: A, valueFrom: {secretKeyRef: {name: no, key: k, optional: true}}}]",
    {},
  ],
  ["the Pod's name", "env: [{name: A, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]", { A: "web-0" }],
  ["the Pod's address", "env: [{name: A, valueFrom: {fieldRef: {fieldPath: status.podIP}}}]", { A: "10.0.0.5" }],
  ["the Node's name", "env: [{name: A, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}]", { A: "node-1" }],
  ["a label", `env: [{name: A, valueFrom: {fieldRef: {fieldPath: "metadata.labels['app']"}}}]`, { A: "web" }],
  [
    "limits in units of a divisor, rounded up",
    "{resources: {limits: {cpu: 1500m, memory: 100Mi}}, env: [{name: A, valueFrom: {resourceFieldRef: {resource: limits.cpu}}}, {name: B, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}]}",
    { A: "2", B: "100" },
  ],
  [
    "the machine's own size without a limit",
    "env: [{name: A, valueFrom: {resourceFieldRef: {resource: limits.cpu}}}]",
    { A: "2" },
  ],
  [
    "requests that nobody made",
    "env: [{name: A, valueFrom: {resourceFieldRef: {resource: requests.memory}}}]",
    { A: "0" },
  ],
] as const)("environment: %s", ([_name, container, want]) => {
  expect(environment(container)).toMatchObject(want);
});

test.for([
  [
    "a missing ConfigMap",
    "envFrom: [{configMapRef: {name: no}}]",
    'CreateContainerConfigError: configmap "no" not found',
  ],
  [
    "a missing Secret",
    "env: [{name: A, valueFrom: {secretKeyRef: {name: no, key: k}}}]",
    'CreateContainerConfigError: secret "no" not found',
  ],
  [
    "a missing key",
    "env: [{name: A, valueFrom: {configMapKeyRef: {name: cfg, key: no}}}]",
    "CreateContainerConfigError: couldn't find key no in ConfigMap ns/cfg",
  ],
  [
    "a port without a name",
    "readinessProbe: {httpGet: {port: web}}",
    "CreateContainerConfigError: container c has no port named web",
  ],
] as const)("%s is said in the container's place", ([_name, container, want]) => {
  expect(bound(parse(container)).configError).toBe(want);
});

test("services are told of by their variables, headless ones are not", () => {
  const env = environment("{}", {});
  expect(env).toMatchObject({
    MY_DB_SERVICE_HOST: "10.96.0.9",
    MY_DB_SERVICE_PORT: "5432",
    MY_DB_SERVICE_PORT_SQL: "5432",
    MY_DB_PORT: "tcp://10.96.0.9:5432",
    MY_DB_PORT_53_UDP_PROTO: "udp",
    KUBERNETES_SERVICE_HOST: "10.96.0.1",
  });
  expect(Object.keys(env).some((name) => name.startsWith("HEADLESS"))).toBe(false);
  expect(
    Object.keys(environment("{}", { enableServiceLinks: false })).filter((name) => name.startsWith("MY_DB")),
  ).toEqual([]);
});

test.for([
  ["$(A)", "x"],
  ["$$(A)", "$(A)"],
  ["$$$(A)", "$x"],
  ["$(B)", "$(B)"],
  ["$A $(A", "$A $(A"],
  ["$(A)$(A)", "xx"],
] as const)("expands %s to %s", ([text, want]) => {
  expect(expand(text, (name) => (name === "A" ? "x" : undefined))).toBe(want);
});

const filesOf = (volumes: string) => {
  const [volume] = volumesFor(worldOf(podWith({}, { volumes: parse(volumes) })));
  if (volume?.kind !== "files") throw new Error("a volume of files");
  return Object.fromEntries(
    volume.files.map(({ path, mode, contentBase64 }) => [
      path,
      [mode, Buffer.from(contentBase64, "base64").toString()],
    ]),
  );
};

test.for([
  [
    "a ConfigMap",
    "[{name: v, configMap: {name: cfg}}]",
    { color: [0o644, "blue"], size: [0o644, "3"], logo: [0o644, "\0\x01\x02"] },
  ],
  [
    "chosen keys of a Secret",
    "[{name: v, secret: {secretName: pw, defaultMode: 256, items: [{key: word, path: a/b}]}}]",
    { "a/b": [0o400, "hunter2"] },
  ],
  ["an optional object that is missing", "[{name: v, configMap: {name: no, optional: true}}]", {}],
  [
    "the downward API",
    "[{name: v, downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}}]",
    { labels: [0o644, 'app="web"\ntier="a\\"b"'] },
  ],
  [
    "a projection of several",
    "[{name: v, projected: {sources: [{serviceAccountToken: {path: token, expirationSeconds: 3607}}, {configMap: {name: cfg, items: [{key: color, path: ca.crt}]}}]}}]",
    { token: [0o644, "token-for-api-3607"], "ca.crt": [0o644, "blue"] },
  ],
] as const)("volume: %s", ([_name, volumes, want]) => {
  expect(filesOf(volumes)).toEqual(want);
});

test("a path of the host is one of the Pod's machine, and none of its files comes from here", () => {
  const { volumes } = bindingFor(worldOf(podWith({}, { volumes: parse("[{name: v, hostPath: {path: /etc}}]") })));
  expect(volumes).toEqual([{ name: "v", kind: "host", path: "/etc" }]);
});

test("a volume that lacks its ConfigMap holds back every container", () => {
  const spec = { volumes: parse("[{name: v, configMap: {name: no}}]") };
  expect(bound({}, spec).configError).toBe(
    'ContainerCreating: MountVolume.SetUp failed for volume "v": configmap "no" not found',
  );
});

test("a Pod's names, probes, limits and privileges are resolved", () => {
  const pod = podWith(
    parse(`
command: [serve, --name=$(NAME)]
env: [{name: NAME, value: web}]
ports: [{name: http, containerPort: 8080}]
readinessProbe: {httpGet: {port: http, path: healthz, httpHeaders: [{name: X-A, value: b}]}, periodSeconds: 2}
lifecycle: {preStop: {sleep: {seconds: 5}}}
resources: {limits: {cpu: 500m, memory: 64Mi}}
volumeMounts: [{name: tmp, mountPath: /tmp, subPathExpr: $(NAME)/x}]
securityContext: {runAsUser: 7, allowPrivilegeEscalation: false, capabilities: {drop: [ALL], add: [NET_BIND_SERVICE]}}
`),
    parse(`
subdomain: sub
volumes: [{name: tmp, emptyDir: {medium: Memory, sizeLimit: 1Mi}}]
securityContext: {fsGroup: 99, runAsGroup: 8}
dnsConfig: {options: [{name: ndots, value: "2"}]}
hostAliases: [{ip: 1.2.3.4, hostnames: [x]}]
`),
  );
  expect(bindingFor(worldOf(pod))).toMatchObject({
    uid: "u1",
    hostname: "web-0",
    nameservers: ["10.0.0.2"],
    searchDomains: ["ns.svc.cluster.local", "svc.cluster.local", "cluster.local"],
    resolverOptions: ["ndots:5", "ndots:2"],
    hostAliases: [
      { ip: "10.0.0.5", hostnames: ["web-0.sub.ns.svc.cluster.local", "web-0"] },
      { ip: "1.2.3.4", hostnames: ["x"] },
    ],
    registryMirror: "10.0.0.1:5000",
    restartPolicy: "Always",
    graceSeconds: 30,
    fsGroup: 99,
    groups: [99],
    volumes: [{ name: "tmp", kind: "empty", medium: "memory", sizeBytes: 2 ** 20 }],
    containers: [
      {
        pullPolicy: "IfNotPresent",
        command: ["serve", "--name=web"],
        cpuMillisMax: 500,
        memoryBytesMax: 64 * 2 ** 20,
        user: "7:8",
        noNewPrivileges: true,
        capabilitiesDrop: ["ALL"],
        capabilitiesAdd: ["NET_BIND_SERVICE"],
        mounts: [{ volume: "tmp", path: "/tmp", readOnly: false, subPath: "web/x" }],
        readiness: {
          action: {
            kind: "http",
            scheme: "HTTP",
            host: "10.0.0.5",
            port: 8080,
            path: "/healthz",
            headers: [["X-A", "b"]],
          },
          periodSeconds: 2,
          failureThreshold: 3,
        },
        preStop: { kind: "sleep", seconds: 5 },
      },
    ],
  });
});

test("GPUs and block devices are handed over", () => {
  const made = bound({
    resources: { limits: { "nvidia.com/gpu": "1" } },
    volumeDevices: [{ name: "v", devicePath: "/dev/xvda" }],
  });
  expect(made).toMatchObject({ gpus: true, devices: [{ volume: "v", path: "/dev/xvda" }] });
  expect(bound({})).not.toHaveProperty("gpus");
  expect(bound({})).not.toHaveProperty("devices");
});

test.for([
  ["csi", { fsType: "xfs", mount: ["noatime"], readOnly: false }],
  ["old", { fsType: "ext3", readOnly: true }],
] as const)("a volume made by hand (%s) is mounted as it says", ([claimName, expected]) => {
  const world = worldOf(podWith({}, { volumes: [{ name: "data", persistentVolumeClaim: { claimName } }] }));
  const disk = { name: "data", kind: "disk", device: "/dev/disk/by-id/x" };
  expect(bindingFor(world).volumes).toContainEqual({ ...disk, ...expected });
});
