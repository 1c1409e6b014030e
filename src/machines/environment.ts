import type { Container, EnvFromSource, EnvVar, Service } from "../api/types.gen.ts";
import { fieldValue, resourceValue } from "./fields.ts";
import { type BindingWorld, configError, contentsOf, namespaceOf } from "./world.ts";

/**
 * A container's environment: what its sources and entries say, then what tells it of the Services, entries first.
 * @throws NotReadyToBind when an object or key is missing that is not optional
 */
export function environmentOf(world: BindingWorld, container: Container): Map<string, string> {
  const services = serviceEnvironment(world);
  const result = new Map<string, string>();
  for (const source of container.envFrom ?? []) {
    for (const [name, value] of fromSource(world, source)) result.set(name, value);
  }
  for (const entry of container.env ?? []) {
    const value = entryValue(world, container, entry, (name) => result.get(name) ?? services.get(name));
    if (value !== undefined) result.set(entry.name, value);
  }
  for (const [name, value] of services) {
    if (!result.has(name)) result.set(name, value);
  }
  return result;
}

function fromSource(world: BindingWorld, { prefix = "", configMapRef, secretRef }: EnvFromSource): [string, string][] {
  const [kind, reference] = configMapRef ? (["configmap", configMapRef] as const) : (["secret", secretRef] as const);
  const contents = reference && contentsOf(world, kind, reference.name ?? "");
  if (contents) return [...contents].map(([key, value]) => [prefix + key, value.toString()]);
  if (reference?.optional || !reference) return [];
  throw configError(`${kind} "${reference.name}" not found`);
}

function entryValue(
  world: BindingWorld,
  container: Container,
  { value, valueFrom }: EnvVar,
  known: (name: string) => string | undefined,
): string | undefined {
  if (!valueFrom) return expand(value ?? "", known);
  if (valueFrom.fieldRef) return fieldValue(world, valueFrom.fieldRef.fieldPath);
  if (valueFrom.resourceFieldRef) return resourceValue(world, valueFrom.resourceFieldRef, container);
  if (valueFrom.configMapKeyRef) return keyValue(world, "configmap", "ConfigMap", valueFrom.configMapKeyRef);
  if (valueFrom.secretKeyRef) return keyValue(world, "secret", "Secret", valueFrom.secretKeyRef);
  throw configError("a source of an environment variable that drover does not know");
}

function keyValue(
  world: BindingWorld,
  kind: "configmap" | "secret",
  Kind: string,
  { name = "", key, optional }: { name?: string | undefined; key: string; optional?: boolean | undefined },
): string | undefined {
  const contents = contentsOf(world, kind, name);
  const value = contents?.get(key);
  if (value !== undefined) return value.toString();
  if (optional) return undefined;
  throw configError(
    contents ? `couldn't find key ${key} in ${Kind} ${namespaceOf(world.pod)}/${name}` : `${kind} "${name}" not found`,
  );
}

/** Replaces `$(NAME)` where NAME is known; `$$` is one dollar, so `$$(NAME)` stays `$(NAME)`. */
export const expand = (text: string, known: (name: string) => string | undefined): string =>
  text.replace(/\$(?:\$|\(([^)]*)\))/g, (whole, name: string | undefined) =>
    name === undefined ? "$" : (known(name) ?? whole),
  );

/** The variables that name every Service of the namespace, or with links off only the API's own. */
function serviceEnvironment(world: BindingWorld): Map<string, string> {
  const { pod, view } = world;
  const api = view.get("services", "default", "kubernetes");
  const linked = pod.spec.enableServiceLinks === false ? [] : view.list("services", namespaceOf(pod));
  const services = new Map([...(api ? [api] : []), ...linked].map((service) => [service.metadata.name, service]));
  return new Map([...services.values()].flatMap((service) => variablesOf(world, service)));
}

function variablesOf({ serviceHost }: BindingWorld, { metadata, spec }: Service): [string, string][] {
  const clusterIP = spec.clusterIP ?? "";
  const [first] = spec.ports ?? [];
  if (clusterIP === "" || clusterIP === "None" || !first) return [];
  const asName = (text: string) => text.toUpperCase().replaceAll("-", "_");
  const host = serviceHost?.({ name: metadata.name, namespace: metadata.namespace ?? "", clusterIP }) ?? clusterIP;
  const prefix = asName(metadata.name);
  const variables: [string, string][] = [
    [`${prefix}_SERVICE_HOST`, host],
    [`${prefix}_SERVICE_PORT`, String(first.port)],
    [`${prefix}_PORT`, `${(first.protocol ?? "TCP").toLowerCase()}://${host}:${first.port}`],
  ];
  for (const { name, port, protocol = "TCP" } of spec.ports ?? []) {
    if (name) variables.push([`${prefix}_SERVICE_PORT_${asName(name)}`, String(port)]);
    const link = `${prefix}_PORT_${port}_${protocol}`;
    variables.push([link, `${protocol.toLowerCase()}://${host}:${port}`]);
    variables.push([`${link}_PROTO`, protocol.toLowerCase()], [`${link}_PORT`, String(port)], [`${link}_ADDR`, host]);
  }
  return variables;
}
