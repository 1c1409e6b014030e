import { dnsLabel, portName, port as portNumber } from "../names.ts";
import { duplicateValue, forbiddenField, invalidValue, notFoundValue, notSupported, required } from "../problems.ts";
import type { FieldProblem } from "../status.ts";
import type { Container, ContainerPort, SecurityContext, VolumeMount } from "../types.gen.ts";
import { envProblems } from "./env.ts";
import { goDump } from "./go-dump.ts";
import { lifecycleProblems } from "./probes.ts";
import { resourceProblems } from "./resources.ts";
import { descendingProblems } from "./volumes.ts";

/** What a container is checked against: its Pod. */
export type PodContext = { volumes: ReadonlySet<string>; graceSeconds: number };

const protocols = ["SCTP", "TCP", "UDP"];

function portProblems(ports: readonly ContainerPort[], at: string): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const names = new Set<string>();
  for (const [index, { name, containerPort, hostPort, protocol = "" }] of ports.entries()) {
    const field = `${at}[${index}]`;
    if (name !== undefined) {
      const complaints = portName(name);
      for (const why of complaints) problems.push(invalidValue(`${field}.name`, name, why));
      if (complaints.length === 0 && names.has(name)) problems.push(duplicateValue(`${field}.name`, name));
      names.add(name);
    }
    if (containerPort === 0) problems.push(required(`${field}.containerPort`));
    else
      for (const why of portNumber(containerPort))
        problems.push(invalidValue(`${field}.containerPort`, containerPort, why));
    if (hostPort)
      for (const why of portNumber(hostPort)) problems.push(invalidValue(`${field}.hostPort`, hostPort, why));
    if (!protocols.includes(protocol)) problems.push(notSupported(`${field}.protocol`, protocol, protocols));
  }
  return problems;
}

function mountProblems(mounts: readonly VolumeMount[], volumes: ReadonlySet<string>, at: string): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const paths = new Set<string>();
  for (const [index, { name, mountPath, subPath, subPathExpr }] of mounts.entries()) {
    const field = `${at}[${index}]`;
    if (name === "") problems.push(required(`${field}.name`));
    if (!volumes.has(name)) problems.push(notFoundValue(`${field}.name`, name));
    if (mountPath === "") problems.push(required(`${field}.mountPath`));
    if (paths.has(mountPath)) problems.push(invalidValue(`${field}.mountPath`, mountPath, "must be unique"));
    paths.add(mountPath);
    if (subPath) problems.push(...descendingProblems(subPath, `${at}.subPath`));
    if (subPathExpr && subPath) {
      problems.push(
        invalidValue(`${field}.subPathExpr`, subPathExpr, "subPathExpr and subPath are mutually exclusive"),
      );
    }
  }
  return problems;
}

const idMax = 2 ** 31 - 1;
/** A user's or group's number. */
export const idProblems = (id: number | undefined, at: string): FieldProblem[] =>
  id !== undefined && (id < 0 || id > idMax) ? [invalidValue(at, id, `must be between 0 and ${idMax}, inclusive`)] : [];

const mountTypes = ["Default", "Unmasked"];

function securityProblems(context: SecurityContext, at: string): FieldProblem[] {
  const problems = [
    ...idProblems(context.runAsUser, `${at}.runAsUser`),
    ...idProblems(context.runAsGroup, `${at}.runAsGroup`),
  ];
  const { procMount } = context;
  if (procMount !== undefined && !mountTypes.includes(procMount)) {
    problems.push(notSupported(`${at}.procMount`, procMount, mountTypes));
  }
  if (context.allowPrivilegeEscalation !== false) return problems;
  const shown = goDump("core.v1.SecurityContext", context);
  const clash = (what: string) => `cannot set \`allowPrivilegeEscalation\` to false and ${what}`;
  if (context.privileged === true) problems.push(invalidValue(at, shown, clash("`privileged` to true")));
  if (context.capabilities?.add?.includes("CAP_SYS_ADMIN")) {
    problems.push(invalidValue(at, shown, clash("`capabilities.Add` CAP_SYS_ADMIN")));
  }
  return problems;
}

const messagePolicies = ["File", "FallbackToLogsOnError"];
const pullPolicies = ["Always", "IfNotPresent", "Never"];

/** An absent value is missing, another is none of those. */
const oneOf = (value: string | undefined, values: readonly string[], at: string): FieldProblem[] => {
  if (value === undefined || value === "") return [required(at)];
  return values.includes(value) ? [] : [notSupported(at, value, values)];
};

function commonProblems(container: Container, pod: PodContext, at: string): FieldProblem[] {
  const { name, image, ports, volumeMounts, securityContext } = container;
  const problems: FieldProblem[] = [];
  if (name === "") problems.push(required(`${at}.name`));
  else for (const why of dnsLabel(name)) problems.push(invalidValue(`${at}.name`, name, why));
  if ((image ?? "") === "") problems.push(required(`${at}.image`));
  problems.push(...oneOf(container.terminationMessagePolicy, messagePolicies, `${at}.terminationMessagePolicy`));
  if (ports) problems.push(...portProblems(ports, `${at}.ports`));
  problems.push(...envProblems(container, at));
  if (volumeMounts) problems.push(...mountProblems(volumeMounts, pod.volumes, `${at}.volumeMounts`));
  problems.push(...oneOf(container.imagePullPolicy, pullPolicies, `${at}.imagePullPolicy`));
  problems.push(...resourceProblems(container.resources, `${at}.resources`));
  if (securityContext) problems.push(...securityProblems(securityContext, `${at}.securityContext`));
  return problems;
}

/** Two containers cannot have the same port of the host. */
function hostPortProblems(containers: readonly Container[], at: string): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const taken = new Set<string>();
  for (const [index, { ports }] of containers.entries()) {
    for (const [order, { hostPort, hostIP = "", protocol = "" }] of (ports ?? []).entries()) {
      if (!hostPort) continue;
      const id = `${protocol}/${hostIP}/${hostPort}`;
      if (taken.has(id)) problems.push(duplicateValue(`${at}[${index}].ports[${order}].hostPort`, id));
      taken.add(id);
    }
  }
  return problems;
}

const restartPolicies = ["Always", "Never", "OnFailure"];

/** The containers that do a Pod's work; `at` is the list's own path. */
export function containerProblems(
  containers: readonly Container[] | null,
  pod: PodContext,
  at: string,
): FieldProblem[] {
  if (!containers || containers.length === 0) return [required(at)];
  const problems: FieldProblem[] = [];
  const names = new Set<string>();
  for (const [index, container] of containers.entries()) {
    const field = `${at}[${index}]`;
    problems.push(...commonProblems(container, pod, field));
    if (names.has(container.name)) problems.push(duplicateValue(`${field}.name`, container.name));
    names.add(container.name);
    problems.push(...lifecycleProblems(container, pod.graceSeconds, field));
    const { restartPolicy } = container;
    if (restartPolicy !== undefined && !restartPolicies.includes(restartPolicy)) {
      problems.push(notSupported(`${field}.restartPolicy`, restartPolicy, restartPolicies));
    }
  }
  return [...problems, ...hostPortProblems(containers, at)];
}

const notOnInit = ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] as const;

/** Containers that run before the others, or beside them all along (`restartPolicy: Always`). */
export function initContainerProblems(
  containers: readonly Container[],
  others: ReadonlySet<string>,
  pod: PodContext,
  at: string,
): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const names = new Set(others);
  for (const [index, container] of containers.entries()) {
    const field = `${at}[${index}]`;
    problems.push(...commonProblems(container, pod, field));
    if (names.has(container.name)) problems.push(duplicateValue(`${field}.name`, container.name));
    names.add(container.name);
    if (container.restartPolicy === "Always") problems.push(...lifecycleProblems(container, pod.graceSeconds, field));
    else {
      for (const name of notOnInit) {
        if (container[name] === undefined) continue;
        problems.push(
          forbiddenField(`${field}.${name}`, "may not be set for init containers without restartPolicy=Always"),
        );
      }
    }
  }
  return problems;
}

/** What a Pod's image may not look like, though a template's may. */
export const imageSpaceProblems = (containers: readonly Container[] | null | undefined, at: string): FieldProblem[] =>
  (containers ?? []).flatMap(({ image = "" }, index) =>
    image === image.trim()
      ? []
      : [invalidValue(`${at}[${index}].image`, image, "must not have leading or trailing whitespace")],
  );
