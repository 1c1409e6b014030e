import { bytes, cpuMillis } from "../api/quantity.ts";
import type { Container, PodSpec } from "../api/types.gen.ts";
import type { Binding, BoundContainer } from "../clouds/box.ts";
import { environmentOf, expand } from "./environment.ts";
import { boundHandler, boundProbe } from "./probes.ts";
import { gpuResource } from "./sizing.ts";
import { resolveVolumes } from "./volumes.ts";
import { type BindingWorld, configError, NotReadyToBind, namespaceOf } from "./world.ts";

/**
 * What the Pod's machine is told, with no reference left in it. A container that lacks something, e.g. a ConfigMap,
 * says so in `configError`; once that exists, binding the same Pod again sets it going.
 */
export function bindingFor(world: BindingWorld): Binding {
  const { pod, surroundings } = world;
  const { spec } = pod;
  const { volumes, problems } = resolveVolumes(world);
  const [problem] = problems;
  const blocked =
    problem && `ContainerCreating: MountVolume.SetUp failed for volume "${problem.name}": ${problem.message}`;
  const bound = (container: Container) => boundContainer(world, container, blocked);
  const { fsGroup, supplementalGroups = [] } = spec.securityContext ?? {};
  const groups = fsGroup === undefined ? supplementalGroups : [...supplementalGroups, fsGroup];
  return {
    version: 1,
    uid: pod.metadata.uid ?? "",
    namespace: namespaceOf(pod),
    name: pod.metadata.name,
    ...names(world),
    restartPolicy: restartPolicy(spec),
    graceSeconds: spec.terminationGracePeriodSeconds ?? 30,
    activeDeadlineSeconds: spec.activeDeadlineSeconds ?? 0,
    ...(surroundings.registryMirror !== undefined && { registryMirror: surroundings.registryMirror }),
    ...(groups.length > 0 && { groups }),
    ...(fsGroup !== undefined && { fsGroup }),
    volumes,
    initContainers: (spec.initContainers ?? []).map(bound),
    containers: spec.containers.map(bound),
  };
}

const restartPolicy = ({ restartPolicy: policy }: PodSpec): Binding["restartPolicy"] =>
  policy === "OnFailure" || policy === "Never" ? policy : "Always";

/** The Pod's own name and how it finds others. */
function names(world: BindingWorld) {
  const { pod, address, surroundings, clusterDomain } = world;
  const { spec } = pod;
  const short = (spec.hostname ?? pod.metadata.name).slice(0, 63).replace(/[-.]+$/, "");
  const services = `${namespaceOf(pod)}.svc.${clusterDomain}`;
  const full = spec.subdomain ? [`${short}.${spec.subdomain}.${services}`] : [];
  const own = { ip: address, hostnames: [...full, short] };
  const clusterFirst = spec.dnsPolicy !== "Default" && spec.dnsPolicy !== "None";
  const { nameservers = [], searches = [], options } = spec.dnsConfig ?? {};
  const texts = options?.flatMap(({ name, value }) => (name ? [value ? `${name}:${value}` : name] : []));
  return {
    hostname: (spec.setHostnameAsFQDN ? full[0] : undefined) ?? short,
    nameservers: [...(clusterFirst ? surroundings.nameservers : []), ...nameservers],
    searchDomains: [...(clusterFirst ? [services, `svc.${clusterDomain}`, clusterDomain] : []), ...searches],
    ...(texts && { resolverOptions: clusterFirst ? ["ndots:5", ...texts] : texts }),
    hostAliases: [own, ...(spec.hostAliases ?? []).map(({ ip, hostnames = [] }) => ({ ip, hostnames }))],
  };
}

function boundContainer(world: BindingWorld, container: Container, blocked: string | undefined): BoundContainer {
  const { image = "", workingDir, terminationMessagePath, terminationMessagePolicy } = container;
  const limits = container.resources?.limits ?? {};
  let details: ReturnType<typeof resolved> = { env: [], mounts: [] };
  let problem = blocked;
  try {
    details = resolved(world, container);
  } catch (error) {
    if (!(error instanceof NotReadyToBind)) throw error;
    problem ??= error.message;
  }
  return {
    name: container.name,
    image,
    pullPolicy: pullPolicy(container),
    ...(workingDir !== undefined && { workingDir }),
    ...security(world.pod.spec, container),
    ...details,
    cpuMillisMax: cpuMillis(limits["cpu"]),
    memoryBytesMax: bytes(limits["memory"]),
    ...(bytes(limits[gpuResource]) > 0 && { gpus: true }),
    tty: container.tty ?? false,
    stdin: container.stdin ?? false,
    sidecar: container.restartPolicy === "Always",
    terminationMessagePath: terminationMessagePath ?? "/dev/termination-log",
    ...(terminationMessagePolicy === "FallbackToLogsOnError" && { messageFromLog: true }),
    ...(problem !== undefined && { configError: problem }),
  };
}

/** The parts of a container that name other things, and so may fail. */
function resolved(
  world: BindingWorld,
  container: Container,
): Partial<BoundContainer> & Pick<BoundContainer, "env" | "mounts"> {
  const { address } = world;
  const { command, args, lifecycle, startupProbe, readinessProbe, livenessProbe } = container;
  const env = environmentOf(world, container);
  const expanded = (texts: readonly string[]) => texts.map((text) => expand(text, (name) => env.get(name)));
  const postStart = lifecycle?.postStart && boundHandler(lifecycle.postStart, container, address);
  const preStop = lifecycle?.preStop && boundHandler(lifecycle.preStop, container, address);
  refuseRoot(world, container);
  return {
    env: [...env],
    mounts: (container.volumeMounts ?? []).map(({ name, mountPath, readOnly = false, subPath, subPathExpr }) => {
      const below = subPathExpr ? expand(subPathExpr, (variable) => env.get(variable)) : subPath;
      return { volume: name, path: mountPath, readOnly, ...(below && { subPath: below }) };
    }),
    ...(container.volumeDevices && {
      devices: container.volumeDevices.map(({ name, devicePath }) => ({ volume: name, path: devicePath })),
    }),
    ...(command && { command: expanded(command) }),
    ...(args && { args: expanded(args) }),
    ...(startupProbe && { startup: boundProbe(startupProbe, container, address) }),
    ...(readinessProbe && { readiness: boundProbe(readinessProbe, container, address) }),
    ...(livenessProbe && { liveness: boundProbe(livenessProbe, container, address) }),
    ...(postStart && { postStart }),
    ...(preStop && { preStop }),
    ...(lifecycle?.stopSignal && { stopSignal: lifecycle.stopSignal }),
  };
}

function pullPolicy({ image = "", imagePullPolicy: policy }: Container): BoundContainer["pullPolicy"] {
  if (policy === "Always" || policy === "Never" || policy === "IfNotPresent") return policy;
  const name = image.slice(image.lastIndexOf("/") + 1);
  return !name.includes("@") && (!name.includes(":") || name.endsWith(":latest")) ? "Always" : "IfNotPresent";
}

function security(spec: PodSpec, { securityContext }: Container) {
  const own = securityContext ?? {};
  const user = own.runAsUser ?? spec.securityContext?.runAsUser;
  const group = own.runAsGroup ?? spec.securityContext?.runAsGroup;
  const seccomp = (own.seccompProfile ?? spec.securityContext?.seccompProfile)?.type;
  return {
    ...((user !== undefined || group !== undefined) && {
      user: group === undefined ? `${user}` : `${user ?? 0}:${group}`,
    }),
    privileged: own.privileged ?? false,
    readOnlyRoot: own.readOnlyRootFilesystem ?? false,
    ...(seccomp === "RuntimeDefault" && { seccompDefault: true }),
    ...(own.allowPrivilegeEscalation === false && { noNewPrivileges: true }),
    capabilitiesAdd: own.capabilities?.add ?? [],
    capabilitiesDrop: own.capabilities?.drop ?? [],
  };
}

function refuseRoot({ pod }: BindingWorld, { name, securityContext }: Container): void {
  const nonRoot = securityContext?.runAsNonRoot ?? pod.spec.securityContext?.runAsNonRoot;
  const user = securityContext?.runAsUser ?? pod.spec.securityContext?.runAsUser;
  if (!nonRoot || user !== 0) return;
  const whose = `pod: "${pod.metadata.name}_${namespaceOf(pod)}(${pod.metadata.uid})", container: ${name}`;
  throw configError(`container's runAsUser breaks non-root policy (${whose})`);
}
