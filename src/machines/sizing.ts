import { bytes, cpuMillis } from "../api/quantity.ts";
import type { Container, PodSpec } from "../api/types.gen.ts";

/** What a machine must offer. */
export type Size = { cpuMillis: number; memoryBytes: number; diskBytes: number };

const MiB = 2 ** 20;
const GiB = 2 ** 30;

/** What the machine keeps for itself: kernel, sshd, agent, and podman while it starts a container. */
export const machineOverhead: Size = { cpuMillis: 100, memoryBytes: 320 * MiB, diskBytes: 4 * GiB };

/** Taken for each resource that no container of the Pod requests. */
const sizeWithoutRequests: Size = { cpuMillis: 300, memoryBytes: 192 * MiB, diskBytes: 4 * GiB };

const nothing: Size = { cpuMillis: 0, memoryBytes: 0, diskBytes: 0 };

const combine = (left: Size, right: Size, join: (a: number, b: number) => number): Size => ({
  cpuMillis: join(left.cpuMillis, right.cpuMillis),
  memoryBytes: join(left.memoryBytes, right.memoryBytes),
  diskBytes: join(left.diskBytes, right.diskBytes),
});
const add = (left: Size, right: Size): Size => combine(left, right, (a, b) => a + b);
const larger = (left: Size, right: Size): Size => combine(left, right, Math.max);
const orElse = (asked: Size, otherwise: Size): Size => combine(asked, otherwise, (a, b) => (a === 0 ? b : a));

function requests({ resources }: Container): Size {
  const asked = resources?.requests ?? {};
  const limit = resources?.limits ?? {};
  return {
    cpuMillis: cpuMillis(asked["cpu"] ?? limit["cpu"]),
    memoryBytes: bytes(asked["memory"] ?? limit["memory"]),
    diskBytes: bytes(asked["ephemeral-storage"] ?? limit["ephemeral-storage"]),
  };
}

/**
 * The size of a Pod's machine: what its containers request together, or what its hungriest init container does beside
 * the sidecars that run by then, whichever is more, and the machine's overhead on top.
 */
export function machineSize(spec: PodSpec): Size {
  let sidecars = nothing;
  let peak = nothing;
  for (const container of spec.initContainers ?? []) {
    const own = requests(container);
    peak = larger(peak, add(sidecars, own));
    if (container.restartPolicy === "Always") sidecars = add(sidecars, own);
  }
  const together = spec.containers.map(requests).reduce(add, sidecars);
  return add(orElse(larger(peak, together), sizeWithoutRequests), machineOverhead);
}

/** The resource that counts graphics processors. */
export const gpuResource = "nvidia.com/gpu";

/** Graphics processors of a Pod's machine: those of its containers together, or its hungriest init container's. */
export function gpusOf(spec: PodSpec): number {
  const count = ({ resources }: Container) =>
    bytes(resources?.limits?.[gpuResource] ?? resources?.requests?.[gpuResource]);
  const sum = (containers: readonly Container[]) => containers.reduce((total, each) => total + count(each), 0);
  const inits = spec.initContainers ?? [];
  const together = sum([...spec.containers, ...inits.filter(({ restartPolicy }) => restartPolicy === "Always")]);
  return Math.max(together, ...inits.map(count));
}
