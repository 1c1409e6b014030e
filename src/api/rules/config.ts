import { equal } from "../equal.ts";
import { jsonSyntaxProblem } from "../json-syntax.ts";
import { configKey } from "../names.ts";
import { forbiddenField, immutable, invalidValue, required, tooLong } from "../problems.ts";
import type { FieldProblem } from "../status.ts";
import type { ConfigMap, Secret } from "../types.gen.ts";
import { rulesFor } from "./kind-rules.ts";

const dataBytesMax = 1024 * 1024;
const locked = "field is immutable when `immutable` is set";

const keyProblems = (key: string, at: string): FieldProblem[] =>
  configKey(key).map((why) => invalidValue(`${at}[${key}]`, key, why));

/** Bytes that base64 stands for. */
const decodedBytes = (text: string): number => Buffer.byteLength(text, "base64");

function configMapProblems({ data = {}, binaryData = {} }: ConfigMap): FieldProblem[] {
  const problems: FieldProblem[] = [];
  let bytes = 0;
  for (const [key, value] of Object.entries(data)) {
    problems.push(...keyProblems(key, "data"));
    if (Object.hasOwn(binaryData, key)) {
      problems.push(invalidValue(`data[${key}]`, key, "duplicate of key present in binaryData"));
    }
    bytes += Buffer.byteLength(value);
  }
  for (const [key, value] of Object.entries(binaryData)) {
    problems.push(...keyProblems(key, "binaryData"));
    bytes += decodedBytes(value);
  }
  return bytes > dataBytesMax ? [...problems, tooLong("[]", dataBytesMax)] : problems;
}

/** Fields that an object which calls itself immutable keeps. */
function lockedProblems<Shape extends { immutable?: boolean | undefined }>(
  next: Shape,
  old: Shape,
  fields: readonly (keyof Shape & string)[],
): FieldProblem[] {
  if (old.immutable !== true) return [];
  const problems = next.immutable === true ? [] : [forbiddenField("immutable", locked)];
  for (const name of fields) if (!equal(next[name], old[name])) problems.push(forbiddenField(name, locked));
  return problems;
}

export const configMapRules = rulesFor<ConfigMap>({
  create: configMapProblems,
  update: (next, old) => [...lockedProblems(next, old, ["data", "binaryData"]), ...configMapProblems(next)],
});

const missing = (data: Record<string, string>, key: string): FieldProblem[] =>
  (data[key] ?? "") === "" && !Object.hasOwn(data, key) ? [required(`data[${key}]`)] : [];

function dockerProblems(data: Record<string, string>, key: string): FieldProblem[] {
  const text = data[key];
  if (text === undefined) return [required(`data[${key}]`)];
  const bytes = Buffer.from(text, "base64");
  try {
    JSON.parse(bytes.toString("utf8"));
    return [];
  } catch {
    const why = jsonSyntaxProblem(bytes) ?? "unexpected end of JSON input";
    return [invalidValue(`data[${key}]`, "<secret contents redacted>", why)];
  }
}

/** What a type of Secret must hold. */
const typeRules: Readonly<Record<string, (secret: Secret, data: Record<string, string>) => FieldProblem[]>> = {
  "kubernetes.io/service-account-token": ({ metadata }) => {
    const name = "kubernetes.io/service-account.name";
    return (metadata.annotations?.[name] ?? "") === "" ? [required(`metadata.annotations[${name}]`)] : [];
  },
  "kubernetes.io/dockercfg": (_, data) => dockerProblems(data, ".dockercfg"),
  "kubernetes.io/dockerconfigjson": (_, data) => dockerProblems(data, ".dockerconfigjson"),
  "kubernetes.io/basic-auth": (_, data) =>
    Object.hasOwn(data, "username") || Object.hasOwn(data, "password")
      ? []
      : [required("data[username]"), required("data[password]")],
  "kubernetes.io/ssh-auth": (_, data) =>
    (data["ssh-privatekey"] ?? "") === "" ? [required("data[ssh-privatekey]")] : [],
  "kubernetes.io/tls": (_, data) => [...missing(data, "tls.crt"), ...missing(data, "tls.key")],
};

function secretProblems(secret: Secret): FieldProblem[] {
  const data = secret.data ?? {};
  const problems = Object.keys(data).flatMap((key) => keyProblems(key, "data"));
  const bytes = Object.values(data).reduce((sum, value) => sum + decodedBytes(value), 0);
  if (bytes > dataBytesMax) problems.push(tooLong("data", dataBytesMax));
  return [...problems, ...(typeRules[secret.type ?? ""]?.(secret, data) ?? [])];
}

export const secretRules = rulesFor<Secret>({
  create: secretProblems,
  update: (next, old) => [
    ...(next.type === old.type ? [] : [invalidValue("type", next.type, immutable)]),
    ...lockedProblems(next, old, ["data"]),
    ...secretProblems(next),
  ],
});
