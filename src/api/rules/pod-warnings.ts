import { dnsLabel } from "../names.ts";
import { parseQuantity } from "../quantity.ts";
import type { Container, ObjectMeta, Pod, PodSpec } from "../types.gen.ts";

/** Labels of nodes that have newer names. */
const renamedLabels: Readonly<Record<string, string>> = {
  "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
  "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
  "failure-domain.beta.kubernetes.io/region": 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
  "failure-domain.beta.kubernetes.io/zone": 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
  "beta.kubernetes.io/instance-type": 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
};

const deadAnnotation = 'non-functional in v1.27+; use the "seccompProfile" field instead';
const seccompPod = "seccomp.security.alpha.kubernetes.io/pod";
const seccompContainer = "container.seccomp.security.alpha.kubernetes.io/";

const isFractional = (amount: string): boolean => parseQuantity(amount).nanos % 1_000_000_000n !== 0n;

/** Amounts of memory and storage that are no whole number of bytes. */
export function fractionWarnings(amounts: Record<string, string> | undefined, at: string): string[] {
  return ["memory", "storage", "ephemeral-storage"].flatMap((name) => {
    const amount = amounts?.[name];
    if (amount === undefined || !isFractional(amount)) return [];
    return [`${at}[${name}]: fractional byte value ${JSON.stringify(amount)} is invalid, must be an integer`];
  });
}

function envWarnings({ env = [] }: Container, at: string): string[] {
  const names = new Set<string>();
  return env.flatMap(({ name }, index) => {
    const isRepeated = names.has(name);
    names.add(name);
    const why = `hides previous definition of ${JSON.stringify(name)}, which may be dropped when using apply`;
    return isRepeated ? [`${at}.env[${index}]: ${why}`] : [];
  });
}

function portWarnings({ ports = [] }: Container, at: string): string[] {
  const seen = new Map<string, number>();
  return ports.flatMap(({ containerPort, protocol, hostPort, hostIP }, index) => {
    const id = `${containerPort}/${protocol}/${hostPort ?? 0}/${hostIP ?? ""}`;
    const first = seen.get(id);
    if (first === undefined) seen.set(id, index);
    return first === undefined ? [] : [`${at}.ports[${index}]: duplicate port definition with ${at}.ports[${first}]`];
  });
}

function containerWarnings(containers: readonly Container[] | null | undefined, at: string): string[] {
  return (containers ?? []).flatMap((container, index) => {
    const field = `${at}[${index}]`;
    const { resources } = container;
    return [
      ...fractionWarnings(resources?.limits, `${field}.resources.limits`),
      ...fractionWarnings(resources?.requests, `${field}.resources.requests`),
      ...envWarnings(container, field),
      ...portWarnings(container, field),
    ];
  });
}

const graceWarnings = ({ terminationGracePeriodSeconds: seconds = 0 }: PodSpec, at: string): string[] =>
  seconds < 0 ? [`${at}: must be >= 0; negative values are invalid and will be treated as 1`] : [];

/** What is odd about a Pod's spec and metadata; `metadata` and `spec` are the paths of the two. */
export function podTemplateWarnings(
  { annotations = {} }: Pick<ObjectMeta, "annotations">,
  spec: PodSpec,
  at: { metadata: string; spec: string },
): string[] {
  const warnings: string[] = [];
  for (const label of Object.keys(spec.nodeSelector ?? {})) {
    const why = renamedLabels[label];
    if (why) warnings.push(`${at.spec}.nodeSelector[${label}]: ${why}`);
  }
  for (const name of Object.keys(annotations)) {
    if (name !== seccompPod && !name.startsWith(seccompContainer)) continue;
    warnings.push(`${at.metadata}.annotations[${name}]: ${deadAnnotation}`);
  }
  return [
    ...warnings,
    ...containerWarnings(spec.initContainers, `${at.spec}.initContainers`),
    ...containerWarnings(spec.containers, `${at.spec}.containers`),
    ...graceWarnings(spec, `${at.spec}.terminationGracePeriodSeconds`),
  ];
}

/** A name that becomes a host name should be one label. */
export function hostNameWarnings(name: string | undefined, use: string): string[] {
  const complaints = name ? dnsLabel(name) : [];
  if (complaints.length === 0) return [];
  const why = "which can result in surprising behavior; a DNS label is recommended";
  return [`metadata.name: this is used in ${use}, ${why}: [${complaints.join(" ")}]`];
}

export const podWarnings = ({ metadata, spec }: Pod): string[] => [
  ...hostNameWarnings(metadata.name, "the Pod's hostname"),
  ...podTemplateWarnings(metadata, spec, { metadata: "metadata", spec: "spec" }),
];
