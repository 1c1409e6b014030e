import { equal } from "../equal.ts";
import { forbiddenField, invalidValue, required } from "../problems.ts";
import type { FieldProblem } from "../status.ts";
import type { Container, Pod, PodSpec, Toleration } from "../types.gen.ts";
import { imageSpaceProblems } from "./containers.ts";
import { goDifference } from "./go-dump.ts";
import { rulesFor } from "./kind-rules.ts";
import { podSpecProblems } from "./pod-spec.ts";
import { podWarnings } from "./pod-warnings.ts";

/** What holds for Pods, though not for templates of Pods. */
const specProblems = ({ spec }: Pod): FieldProblem[] => [
  ...podSpecProblems(spec, "spec"),
  ...imageSpaceProblems(spec.containers, "spec.containers"),
  ...imageSpaceProblems(spec.initContainers, "spec.initContainers"),
];

const createProblems = (pod: Pod): FieldProblem[] => [
  ...specProblems(pod),
  ...(pod.spec.ephemeralContainers ? [forbiddenField("spec.ephemeralContainers", "cannot be set on create")] : []),
];

const updatable =
  "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`," +
  "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations)," +
  "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

type Containers = readonly Container[] | null | undefined;

function imageProblems(next: Containers, old: Containers, at: string): { problems: FieldProblem[]; stop: boolean } {
  const containers = next ?? [];
  if (containers.length !== (old ?? []).length) {
    return { problems: [forbiddenField(at, "pod updates may not add or remove containers")], stop: true };
  }
  const problems = containers.flatMap(({ image = "" }, index) =>
    image === "" ? [required(`${at}[${index}].image`)] : [],
  );
  return { problems: [...problems, ...imageSpaceProblems(containers, at)], stop: false };
}

function deadlineProblems(next: PodSpec, old: PodSpec): FieldProblem[] {
  const at = "spec.activeDeadlineSeconds";
  const [after, before] = [next.activeDeadlineSeconds, old.activeDeadlineSeconds];
  if (after === undefined) {
    return before === undefined ? [] : [invalidValue(at, null, "must not update from a positive integer to nil value")];
  }
  if (after < 0 || after > 2 ** 31 - 1) {
    return [invalidValue(at, after, "must be between 0 and 2147483647, inclusive")];
  }
  const isLonger = before !== undefined && before < after;
  return isLonger ? [invalidValue(at, after, "must be less than or equal to previous value")] : [];
}

/** How long something is tolerated may change. */
const untimed = ({ tolerationSeconds: _, ...rest }: Toleration): object => rest;

function tolerationProblems(next: PodSpec, old: PodSpec): FieldProblem[] {
  const kept = (old.tolerations ?? []).every((before) =>
    next.tolerations?.some((after) => equal(untimed(after), untimed(before))),
  );
  const why = "existing toleration can not be modified except its tolerationSeconds";
  return kept ? [] : [forbiddenField("spec.tolerations", why)];
}

/** `next` with everything that may change as it was. */
function withoutAllowed(next: PodSpec, old: PodSpec): PodSpec {
  const images = (containers: Containers, before: Containers) =>
    (containers ?? []).map((container, index) => ({ ...container, image: before?.[index]?.image }));
  const munged: PodSpec = { ...next, containers: images(next.containers, old.containers) };
  if (next.initContainers) munged.initContainers = images(next.initContainers, old.initContainers);
  munged.activeDeadlineSeconds = old.activeDeadlineSeconds;
  munged.tolerations = old.tolerations;
  const grace = old.terminationGracePeriodSeconds ?? 0;
  if (grace < 0 && next.terminationGracePeriodSeconds === 1) munged.terminationGracePeriodSeconds = grace;
  munged.schedulingGates = old.schedulingGates;
  if ((old.schedulingGates?.length ?? 0) > 0) {
    munged.nodeSelector = old.nodeSelector;
    munged.affinity = old.affinity;
  }
  return munged;
}

function gateProblems(next: PodSpec, old: PodSpec): FieldProblem[] {
  const before = new Set(old.schedulingGates?.map(({ name }) => name));
  return (next.schedulingGates ?? []).flatMap(({ name }, index) => {
    const why = `only deletion is allowed, but found new scheduling gate '${name}'`;
    return before.has(name) ? [] : [forbiddenField(`spec.schedulingGates[${index}].name`, why)];
  });
}

function updateProblems(next: Pod, old: Pod): FieldProblem[] {
  const problems = specProblems(next);
  for (const list of ["containers", "initContainers"] as const) {
    const images = imageProblems(next.spec[list], old.spec[list], `spec.${list}`);
    problems.push(...images.problems);
    if (images.stop) return problems;
  }
  problems.push(...deadlineProblems(next.spec, old.spec), ...gateProblems(next.spec, old.spec));
  problems.push(...tolerationProblems(next.spec, old.spec));
  const munged = withoutAllowed(next.spec, old.spec);
  if (!equal(munged, old.spec)) {
    problems.push(forbiddenField("spec", `${updatable}\n${goDifference("core.v1.PodSpec", old.spec, munged)}`));
  }
  return problems;
}

/** A debugging container joins a Pod and stays. */
function ephemeralProblems(next: Pod, old: Pod): FieldProblem[] {
  const at = "spec.ephemeralContainers";
  const after = new Map((next.spec.ephemeralContainers ?? []).map((container) => [container.name, container]));
  const problems: FieldProblem[] = [];
  for (const container of old.spec.ephemeralContainers ?? []) {
    const kept = after.get(container.name);
    if (!kept) {
      problems.push(
        forbiddenField(at, `existing ephemeral containers ${JSON.stringify(container.name)} may not be removed\n`),
      );
    } else if (!equal(kept, container)) {
      problems.push(
        forbiddenField(at, `existing ephemeral containers ${JSON.stringify(container.name)} may not be changed\n`),
      );
    }
  }
  for (const [index, { name, image = "" }] of (next.spec.ephemeralContainers ?? []).entries()) {
    if (name === "") problems.push(required(`${at}[${index}].name`));
    if (image === "") problems.push(required(`${at}[${index}].image`));
  }
  return problems;
}

export const podRules = rulesFor<Pod>({
  create: createProblems,
  update: updateProblems,
  subresource: (next, old, subresource) => (subresource === "ephemeralcontainers" ? ephemeralProblems(next, old) : []),
  warnings: (pod, old) => (old ? [] : podWarnings(pod)),
});
