import { scalarZeros } from "../decode-scalars.ts";
import { type Field, type Shape, type StructShape, structureOf } from "../structure.ts";

/**
 * Some refusals of Kubernetes quote the internal Go structures of the server, which have other names, another order
 * and no omitted fields. This file makes the same text from objects in their API form.
 */

/** Names that do not follow from the JSON name by a capital letter. */
const goNames: Readonly<Record<string, string>> = {
  apiGroup: "APIGroup",
  apiVersion: "APIVersion",
  awsElasticBlockStore: "AWSElasticBlockStore",
  cephfs: "CephFS",
  csi: "CSI",
  dnsConfig: "DNSConfig",
  dnsPolicy: "DNSPolicy",
  fc: "FC",
  fsGroup: "FSGroup",
  fsGroupChangePolicy: "FSGroupChangePolicy",
  fsType: "FSType",
  gcePersistentDisk: "GCEPersistentDisk",
  grpc: "GRPC",
  httpGet: "HTTPGet",
  httpHeaders: "HTTPHeaders",
  ip: "IP",
  iscsi: "ISCSI",
  nfs: "NFS",
  os: "OS",
  rbd: "RBD",
  seLinuxChangePolicy: "SELinuxChangePolicy",
  seLinuxOptions: "SELinuxOptions",
  storageos: "StorageOS",
  tcpSocket: "TCPSocket",
  tty: "TTY",
  uid: "UID",
};
const goName = (name: string): string => goNames[name] ?? name.charAt(0).toUpperCase() + name.slice(1);

type Values = Record<string, unknown>;
const valuesOf = (value: unknown): Values => (typeof value === "object" && value !== null ? (value as Values) : {});

const hostFields = ["hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "hostUsers"];
const podOrder = [
  "volumes",
  "initContainers",
  "containers",
  "ephemeralContainers",
  "restartPolicy",
  "terminationGracePeriodSeconds",
  "activeDeadlineSeconds",
  "dnsPolicy",
  "nodeSelector",
  "serviceAccountName",
  "automountServiceAccountToken",
  "nodeName",
  "securityContext",
  "imagePullSecrets",
  "hostname",
  "subdomain",
  "setHostnameAsFQDN",
  "affinity",
  "schedulerName",
  "tolerations",
  "hostAliases",
  "priorityClassName",
  "priority",
  "preemptionPolicy",
  "dnsConfig",
  "readinessGates",
  "runtimeClassName",
  "overhead",
  "enableServiceLinks",
  "topologySpreadConstraints",
  "os",
  "schedulingGates",
  "resourceClaims",
  "resources",
  "hostnameOverride",
  "schedulingGroup",
];
const securityOrder = [
  ...hostFields,
  "seLinuxOptions",
  "windowsOptions",
  "runAsUser",
  "runAsGroup",
  "runAsNonRoot",
  "supplementalGroups",
  "supplementalGroupsPolicy",
  "fsGroup",
  "fsGroupChangePolicy",
  "sysctls",
  "seccompProfile",
  "appArmorProfile",
  "seLinuxChangePolicy",
];

function dumpField({ shape, pointer }: Field, value: unknown): unknown {
  if (value === undefined || value === null) {
    if (pointer || shape.is === "list" || shape.is === "map") return null;
    if (shape.is === "struct") return dumpStruct(shape, {});
    return shape.is === "scalar" ? scalarZeros[shape.type] : null;
  }
  return dumpValue(shape, value);
}

function dumpValue(shape: Shape, value: unknown): unknown {
  if (shape.is === "list" && Array.isArray(value)) return value.map((item) => dumpValue(shape.item, item));
  return shape.is === "struct" ? dumpStruct(shape, valuesOf(value)) : value;
}

function dumpOrdered(shape: StructShape, order: readonly string[], value: Values): Values {
  const out: Values = {};
  for (const name of order) {
    const field = shape.byName.get(name);
    if (field) out[goName(name)] = dumpField(field, value[name]);
  }
  return out;
}

/** Inside the server, what a Pod shares with its host belongs to its security context. */
function dumpPod(shape: StructShape, value: Values): Values {
  const out = dumpOrdered(shape, podOrder, value);
  const security = shape.byName.get("securityContext")?.shape;
  if (security?.is !== "struct" || value["securityContext"] === undefined) return out;
  const shared = dumpOrdered(shape, hostFields, value);
  out["SecurityContext"] = { ...shared, ...dumpOrdered(security, securityOrder, valuesOf(value["securityContext"])) };
  return out;
}

function dumpStruct(shape: StructShape, value: Values): Values {
  // These are the same inside and outside.
  if (shape.name.startsWith("meta.v1.")) return value;
  if (shape.name === "core.v1.PodSpec") return dumpPod(shape, value);
  const out: Values = {};
  for (const field of shape.fields) {
    if (field.name === "metadata") Object.assign(out, value["metadata"]);
    else out[goName(field.name)] = dumpField(field, value[field.name]);
  }
  return out;
}

/** A value of a type of the table as the server's own structure, ready for JSON. */
export const goDump = (type: string, value: object): object => dumpStruct(structureOf(type), valuesOf(value));

type Line = { sign: " " | "-" | "+"; text: string };

/** Cells of the table below; larger changes are shown as everything old and everything new. */
const cellsMax = 4_000_000;

const marked = (sign: Line["sign"], lines: readonly string[]): Line[] => lines.map((text) => ({ sign, text }));

/** The way from one list of lines to the other: what both begin and end with stays. */
function editScript(before: readonly string[], after: readonly string[]): Line[] {
  const shorter = Math.min(before.length, after.length);
  let start = 0;
  while (start < shorter && before[start] === after[start]) start++;
  let end = 0;
  while (end < shorter - start && before.at(-1 - end) === after.at(-1 - end)) end++;
  const [old, next] = [before.slice(start, before.length - end), after.slice(start, after.length - end)];
  const isHuge = (old.length + 1) * (next.length + 1) > cellsMax;
  const middle = isHuge ? [...marked("-", old), ...marked("+", next)] : shortestScript(old, next);
  return [...marked(" ", before.slice(0, start)), ...middle, ...marked(" ", before.slice(before.length - end))];
}

/** The shortest way, by the longest common subsequence. */
function shortestScript(before: readonly string[], after: readonly string[]): Line[] {
  const width = after.length + 1;
  const lengths = new Uint32Array((before.length + 1) * width);
  const at = (row: number, column: number): number => lengths[row * width + column] ?? 0;
  for (let row = before.length - 1; row >= 0; row--) {
    for (let column = after.length - 1; column >= 0; column--) {
      const same = before[row] === after[column];
      lengths[row * width + column] = same
        ? at(row + 1, column + 1) + 1
        : Math.max(at(row + 1, column), at(row, column + 1));
    }
  }
  const script: Line[] = [];
  let [row, column] = [0, 0];
  while (row < before.length || column < after.length) {
    const [old = "", next = ""] = [before[row], after[column]];
    if (row < before.length && column < after.length && old === next) {
      script.push({ sign: " ", text: old });
      row++;
      column++;
    } else if (column >= after.length || (row < before.length && at(row + 1, column) >= at(row, column + 1))) {
      script.push({ sign: "-", text: old });
      row++;
    } else {
      script.push({ sign: "+", text: next });
      column++;
    }
  }
  return script;
}

const contextLines = 3;

/** Changed lines of `script` with three around them, as unified hunks. */
function hunks(script: readonly Line[]): string {
  const near = script.map((_, index) =>
    script.slice(Math.max(0, index - contextLines), index + contextLines + 1).some(({ sign }) => sign !== " "),
  );
  let text = "";
  let [before, after] = [1, 1];
  for (let index = 0; index < script.length; index++) {
    if (near[index]) {
      const end = near.indexOf(false, index);
      const part = script.slice(index, end < 0 ? script.length : end);
      const count = (sign: string): number => part.filter((line) => line.sign !== sign).length;
      text += `@@ -${before},${count("+")} +${after},${count("-")} @@\n`;
      for (const { sign, text: line } of part) text += `${sign}${line}\n`;
      before += count("+");
      after += count("-");
      index += part.length - 1;
    } else {
      before++;
      after++;
    }
  }
  return text;
}

/** How two values of a type differ inside the server, line by line. */
export function goDifference(type: string, before: object, after: object): string {
  const lines = (value: object): string[] => JSON.stringify(goDump(type, value), null, 1).split("\n");
  return hunks(editScript(lines(before), lines(after)));
}
