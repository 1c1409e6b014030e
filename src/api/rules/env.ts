import { configKey, dnsSubdomain, envName } from "../names.ts";
import { invalidValue, required } from "../problems.ts";
import type { FieldProblem } from "../status.ts";
import type { ConfigMapKeySelector, Container, EnvFromSource, EnvVar, EnvVarSource } from "../types.gen.ts";
import { envFields, fieldRefProblems, resourceRefProblems } from "./downward.ts";

function keyProblems({ name, key }: ConfigMapKeySelector, at: string): FieldProblem[] {
  const problems = dnsSubdomain(name ?? "").map((why) => invalidValue(`${at}.name`, name ?? "", why));
  if (key === "") return [...problems, required(`${at}.key`)];
  return [...problems, ...configKey(key).map((why) => invalidValue(`${at}.key`, key, why))];
}

function sourceProblems(source: EnvVarSource, hasValue: boolean, at: string): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const { fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef, fileKeyRef } = source;
  if (fieldRef) problems.push(...fieldRefProblems(fieldRef, envFields, `${at}.fieldRef`));
  if (resourceFieldRef) problems.push(...resourceRefProblems(resourceFieldRef, false, `${at}.resourceFieldRef`));
  if (configMapKeyRef) problems.push(...keyProblems(configMapKeyRef, `${at}.configMapKeyRef`));
  if (secretKeyRef) problems.push(...keyProblems(secretKeyRef, `${at}.secretKeyRef`));
  const given = [fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef, fileKeyRef].filter(Boolean).length;
  if (given === 0) {
    const why =
      "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`";
    problems.push(invalidValue(at, "", why));
  } else if (hasValue) problems.push(invalidValue(at, "", "may not be specified when `value` is not empty"));
  else if (given > 1) problems.push(invalidValue(at, "", "may not have more than one field specified at a time"));
  return problems;
}

function variableProblems({ name, value, valueFrom }: EnvVar, at: string): FieldProblem[] {
  const problems =
    name === "" ? [required(`${at}.name`)] : envName(name).map((why) => invalidValue(`${at}.name`, name, why));
  if (valueFrom) problems.push(...sourceProblems(valueFrom, (value ?? "") !== "", `${at}.valueFrom`));
  return problems;
}

/** `list`: the path of all, at which what is said of a source as a whole is said. */
function fromProblems({ prefix, configMapRef, secretRef }: EnvFromSource, at: string, list: string): FieldProblem[] {
  const problems = prefix ? envName(prefix).map((why) => invalidValue(`${at}.prefix`, prefix, why)) : [];
  if (configMapRef && (configMapRef.name ?? "") === "") problems.push(required(`${at}.configMapRef.name`));
  if (secretRef && (secretRef.name ?? "") === "") problems.push(required(`${at}.secretRef.name`));
  if (!configMapRef && !secretRef) {
    problems.push(invalidValue(list, "", "must specify one of: `configMapRef` or `secretRef`"));
  } else if (configMapRef && secretRef) {
    problems.push(invalidValue(list, "", "may not have more than one field specified at a time"));
  }
  return problems;
}

/** A container's variables, one by one and in bulk. */
export const envProblems = ({ env, envFrom }: Pick<Container, "env" | "envFrom">, at: string): FieldProblem[] => [
  ...(env ?? []).flatMap((variable, index) => variableProblems(variable, `${at}.env[${index}]`)),
  ...(envFrom ?? []).flatMap((source, index) => fromProblems(source, `${at}.envFrom[${index}]`, `${at}.envFrom`)),
];
