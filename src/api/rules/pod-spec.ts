import { dnsLabel, dnsSubdomain, labelValue, qualifiedName } from "../names.ts";
import { duplicateValue, forbiddenField, invalidValue, notSupported, required } from "../problems.ts";
import type { FieldProblem } from "../status.ts";
import type { PodSpec, PodTemplateSpec, Toleration, TopologySpreadConstraint } from "../types.gen.ts";
import { ipProblems } from "./addresses.ts";
import { affinityProblems } from "./affinity.ts";
import { containerProblems, idProblems, initContainerProblems } from "./containers.ts";
import { annotationProblems, labelProblems } from "./metadata.ts";
import { resourceProblems } from "./resources.ts";
import { selectorProblems } from "./selectors.ts";
import { volumeProblems } from "./volumes.ts";

const restartPolicies = ["Always", "OnFailure", "Never"];
const dnsPolicies = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
const effects = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

const named = (name: string | undefined, check: (name: string) => string[], at: string): FieldProblem[] =>
  name ? check(name).map((why) => invalidValue(at, name, why)) : [];

function tolerationProblems(toleration: Toleration, at: string): FieldProblem[] {
  const { key = "", operator = "", value = "", effect = "", tolerationSeconds } = toleration;
  const problems = named(key, qualifiedName, `${at}.key`);
  if (key === "" && operator !== "Exists") {
    const why = 'operator must be Exists when `key` is empty, which means "match all values and all keys"';
    problems.push(invalidValue(`${at}.operator`, operator, why));
  }
  if (tolerationSeconds !== undefined && effect !== "NoExecute") {
    problems.push(invalidValue(`${at}.effect`, effect, "effect must be 'NoExecute' when `tolerationSeconds` is set"));
  }
  if (operator === "Equal" || operator === "") {
    for (const why of labelValue(value)) problems.push(invalidValue(`${at}.operator`, value, why));
  } else if (operator === "Exists") {
    if (value !== "") {
      problems.push(invalidValue(`${at}.operator`, value, "value must be empty when `operator` is 'Exists'"));
    }
  } else problems.push(notSupported(`${at}.operator`, operator, ["Equal", "Exists"]));
  if (effect !== "" && !effects.includes(effect)) problems.push(notSupported(`${at}.effect`, effect, effects));
  return problems;
}

const spreadActions = ["DoNotSchedule", "ScheduleAnyway"];

function spreadProblems(constraint: TopologySpreadConstraint, at: string): FieldProblem[] {
  const { maxSkew, topologyKey, whenUnsatisfiable, minDomains } = constraint;
  const problems: FieldProblem[] = [];
  if (maxSkew <= 0) problems.push(invalidValue(`${at}.maxSkew`, maxSkew, "must be greater than zero"));
  if (topologyKey === "") problems.push(required(`${at}.topologyKey`, "can not be empty"));
  else problems.push(...named(topologyKey, qualifiedName, `${at}.topologyKey`));
  if (!spreadActions.includes(whenUnsatisfiable)) {
    problems.push(notSupported(`${at}.whenUnsatisfiable`, whenUnsatisfiable, spreadActions));
  }
  if (minDomains !== undefined && minDomains <= 0) {
    problems.push(invalidValue(`${at}.minDomains`, minDomains, "must be greater than zero"));
  }
  if (minDomains !== undefined && whenUnsatisfiable !== "DoNotSchedule") {
    const why = `can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ${whenUnsatisfiable}`;
    problems.push(invalidValue(`${at}.minDomains`, minDomains, why));
  }
  for (const name of ["nodeAffinityPolicy", "nodeTaintsPolicy"] as const) {
    const policy = constraint[name];
    if (policy !== undefined && !spreadHonors.includes(policy)) {
      problems.push(notSupported(`${at}.${name}`, policy, spreadHonors));
    }
  }
  return [...problems, ...selectorProblems(constraint.labelSelector, `${at}.labelSelector`)];
}

const spreadHonors = ["Honor", "Ignore"];

/** Two constraints cannot say different things of the same spread. */
function repeatedSpread(constraints: readonly TopologySpreadConstraint[], index: number, at: string): FieldProblem[] {
  const idOf = ({ topologyKey, whenUnsatisfiable }: TopologySpreadConstraint) =>
    `{${topologyKey}, ${whenUnsatisfiable}}`;
  const [own, ...later] = constraints.slice(index).map(idOf);
  const field = `${at}.{topologyKey, whenUnsatisfiable}`;
  return own !== undefined && later.includes(own) ? [duplicateValue(field, own)] : [];
}

const nameserversMax = 3;

function dnsProblems({ dnsPolicy, dnsConfig }: PodSpec, at: string): FieldProblem[] {
  if (dnsPolicy === "None") {
    if (!dnsConfig) return [required(at, "must provide `dnsConfig` when `dnsPolicy` is None")];
    if (!dnsConfig.nameservers) {
      return [required(`${at}.nameservers`, "must provide at least one DNS nameserver when `dnsPolicy` is None")];
    }
  }
  const { nameservers = [], searches = [], options = [] } = dnsConfig ?? {};
  const problems: FieldProblem[] = [];
  if (nameservers.length > nameserversMax) {
    const why = `must not have more than ${nameserversMax} nameservers`;
    problems.push(invalidValue(`${at}.nameservers`, nameservers, why));
  }
  problems.push(...nameservers.flatMap((address, index) => ipProblems(address, `${at}.nameservers[${index}]`)));
  for (const [index, domain] of searches.entries()) {
    problems.push(...named(domain.replace(/\.$/, ""), dnsSubdomain, `${at}.searches[${index}]`));
  }
  for (const [index, { name = "" }] of options.entries()) {
    if (name === "") problems.push(required(`${at}.options[${index}]`, "must not be empty"));
  }
  return problems;
}

/** Conditions that count for readiness, and gates that hold a Pod back. */
function gateProblems(spec: PodSpec, at: string): FieldProblem[] {
  const problems = (spec.readinessGates ?? []).flatMap(({ conditionType }, index) =>
    named(conditionType, qualifiedName, `${at}.readinessGates[${index}].conditionType`),
  );
  const seen = new Set<string>();
  for (const [index, { name }] of (spec.schedulingGates ?? []).entries()) {
    const field = `${at}.schedulingGates[${index}]`;
    problems.push(...qualifiedName(name).map((why) => invalidValue(field, name, why)));
    if (seen.has(name)) problems.push(duplicateValue(field, name));
    seen.add(name);
  }
  return problems;
}

const systems = ["linux", "windows"];

function placementProblems(spec: PodSpec, at: string): FieldProblem[] {
  const problems: FieldProblem[] = [];
  if (spec.affinity) problems.push(...affinityProblems(spec.affinity, `${at}.affinity`));
  problems.push(...dnsProblems(spec, `${at}.dnsConfig`), ...gateProblems(spec, at));
  const constraints = spec.topologySpreadConstraints ?? [];
  for (const [index, constraint] of constraints.entries()) {
    const field = `${at}.topologySpreadConstraints[${index}]`;
    problems.push(...repeatedSpread(constraints, index, field), ...spreadProblems(constraint, field));
  }
  problems.push(...named(spec.serviceAccountName, dnsSubdomain, `${at}.serviceAccountName`));
  problems.push(...named(spec.nodeName, dnsSubdomain, `${at}.nodeName`));
  const deadline = spec.activeDeadlineSeconds;
  if (deadline !== undefined && (deadline < 1 || deadline > 2 ** 31 - 1)) {
    problems.push(invalidValue(`${at}.activeDeadlineSeconds`, deadline, "must be between 1 and 2147483647, inclusive"));
  }
  problems.push(...named(spec.hostname, dnsLabel, `${at}.hostname`));
  problems.push(...named(spec.subdomain, dnsLabel, `${at}.subdomain`));
  for (const [index, toleration] of (spec.tolerations ?? []).entries()) {
    problems.push(...tolerationProblems(toleration, `${at}.tolerations[${index}]`));
  }
  for (const [index, { ip = "", hostnames }] of (spec.hostAliases ?? []).entries()) {
    const field = `${at}.hostAliases[${index}]`;
    problems.push(...ipProblems(ip, `${field}.ip`));
    for (const [order, host] of (hostnames ?? []).entries()) {
      problems.push(...named(host, dnsSubdomain, `${field}.hostnames[${order}]`));
    }
  }
  problems.push(...named(spec.priorityClassName, dnsSubdomain, `${at}.priorityClassName`));
  problems.push(...named(spec.runtimeClassName, dnsSubdomain, `${at}.runtimeClassName`));
  if (spec.os && !systems.includes(spec.os.name)) problems.push(notSupported(`${at}.os`, spec.os.name, systems));
  return problems;
}

/** A Pod's spec, its own or a template's. */
export function podSpecProblems(spec: PodSpec, at: string): FieldProblem[] {
  const volumes = volumeProblems(spec.volumes, `${at}.volumes`);
  const problems = volumes.problems;
  const pod = { volumes: volumes.names, graceSeconds: spec.terminationGracePeriodSeconds ?? 30 };
  problems.push(...containerProblems(spec.containers, pod, `${at}.containers`));
  if (spec.initContainers) {
    const names = new Set(spec.containers?.map(({ name }) => name));
    problems.push(...initContainerProblems(spec.initContainers, names, pod, `${at}.initContainers`));
  }
  problems.push(...resourceProblems(spec.resources, `${at}.resources`));
  const { restartPolicy = "", dnsPolicy = "", securityContext } = spec;
  if (!restartPolicies.includes(restartPolicy)) {
    problems.push(notSupported(`${at}.restartPolicy`, restartPolicy, restartPolicies));
  }
  if (!dnsPolicies.includes(dnsPolicy)) problems.push(notSupported(`${at}.dnsPolicy`, dnsPolicy, dnsPolicies));
  problems.push(...labelProblems(spec.nodeSelector, `${at}.nodeSelector`));
  if (securityContext) {
    for (const name of ["fsGroup", "runAsUser", "runAsGroup"] as const) {
      problems.push(...idProblems(securityContext[name], `${at}.securityContext.${name}`));
    }
    for (const [index, id] of (securityContext.supplementalGroups ?? []).entries()) {
      problems.push(...idProblems(id, `${at}.securityContext.supplementalGroups[${index}]`));
    }
    if (spec.shareProcessNamespace === true && spec.hostPID === true) {
      const field = `${at}.securityContext.shareProcessNamespace`;
      problems.push(invalidValue(field, true, "ShareProcessNamespace and HostPID cannot both be enabled"));
    }
  }
  return [...problems, ...placementProblems(spec, at)];
}

/** The template of the Pods that a workload makes; `at` is the template's path. */
export const podTemplateProblems = (template: PodTemplateSpec, at: string): FieldProblem[] => [
  ...labelProblems(template.metadata?.labels, `${at}.labels`),
  ...annotationProblems(template.metadata?.annotations, `${at}.annotations`),
  ...podSpecProblems(template.spec ?? { containers: [] }, `${at}.spec`),
  ...(template.spec?.ephemeralContainers
    ? [forbiddenField(`${at}.spec.ephemeralContainers`, "ephemeral containers not allowed in pod template")]
    : []),
];
