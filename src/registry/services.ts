import { isIPv4 } from "node:net";
import type { Kind } from "../api/kinds.ts";
import type { KubeObject } from "../api/object.ts";
import { invalidValue } from "../api/problems.ts";
import { ApiError, type FieldProblem, invalid } from "../api/status.ts";
import type { Service, ServiceSpec } from "../api/types.gen.ts";
import { storeKey } from "../store/keys.ts";
import type { Context } from "./context.ts";

/** 10.96.0.0/16 without its first and last address; the first usable one is for the Service `kubernetes`. */
const addressFirst = 2;
const addressLast = 0xfffe;
/** Addresses below are left to those who ask for one by name, as long as there are others. */
const addressChosen = 0x1000;
const nodePortFirst = 30_000;
const nodePortLast = 32_767;
const triesMax = 64;

const nothing = () => {};
const addressOf = (offset: number): string => `10.96.${offset >> 8}.${offset & 0xff}`;
const isOurs = (address: string): boolean => isIPv4(address) && address.startsWith("10.96.");

/**
 * Gives a Service the cluster address and the node ports that it needs and does not have, in place, and checks those
 * that it asks for. Returns the way to let go of them once the Service is stored, or is not.
 * @throws ApiError 422, 500 (none left)
 */
export function allocateAddresses(context: Context, kind: Kind, object: KubeObject): () => void {
  if (kind.resource !== "services") return nothing;
  const { metadata, spec } = object as Service; // By its kind.
  if (spec === undefined || spec.type === "ExternalName") return nothing;
  const { namespace = "", name } = metadata;
  const key = storeKey({ resource: kind.resource, namespace, name });
  const reserved: string[] = [];
  const reserve = (address: string): boolean => {
    const free = context.addresses.reserve(address, key);
    if (free) reserved.push(address);
    return free;
  };
  const settle = () => context.addresses.settle(reserved, key, namespace, name);
  try {
    const problems = [...giveAddress(context, spec, reserve), ...giveNodePorts(context, spec, reserve)];
    if (problems.length > 0) throw invalid(kind.group, kind.kind, name, problems);
    return settle;
  } catch (error) {
    settle();
    throw error;
  }
}

type Reserve = (address: string) => boolean;

function giveAddress(context: Context, spec: ServiceSpec, reserve: Reserve): FieldProblem[] {
  const asked = spec.clusterIP ?? "";
  if (asked === "None") return [];
  if (asked === "") {
    spec.clusterIP = draw(context, reserve, [addressChosen, addressLast], [addressFirst, addressChosen - 1], addressOf);
    spec.clusterIPs = [spec.clusterIP];
    return [];
  }
  const problem = (why: string) => [invalidValue("spec.clusterIPs", [asked], `failed to allocate IP ${asked}: ${why}`)];
  if (!isOurs(asked)) return problem("the provided network does not match the current range");
  return reserve(asked) ? [] : problem("provided IP is already allocated");
}

function giveNodePorts(context: Context, spec: ServiceSpec, reserve: Reserve): FieldProblem[] {
  const { type, allocateLoadBalancerNodePorts, externalTrafficPolicy } = spec;
  const every = type === "NodePort" || (type === "LoadBalancer" && allocateLoadBalancerNodePorts !== false);
  const problems: FieldProblem[] = [];
  const take = (field: string, asked: number) => {
    const range = `provided port is not in the valid range. The range of valid ports is ${nodePortFirst}-${nodePortLast}`;
    if (asked < nodePortFirst || asked > nodePortLast) problems.push(invalidValue(field, asked, range));
    else if (!reserve(String(asked))) problems.push(invalidValue(field, asked, "provided port is already allocated"));
  };
  const ports = spec.ports ?? [];
  for (const [index, port] of ports.entries()) {
    if (port.nodePort) take(`spec.ports[${index}].nodePort`, port.nodePort);
  }
  if (spec.healthCheckNodePort) take("spec.healthCheckNodePort", spec.healthCheckNodePort);
  if (problems.length > 0) return problems;
  const drawPort = () => Number(draw(context, reserve, [nodePortFirst, nodePortLast], undefined, String));
  for (const port of every ? ports : []) port.nodePort ||= drawPort();
  if (type === "LoadBalancer" && externalTrafficPolicy === "Local") spec.healthCheckNodePort ||= drawPort();
  return [];
}

type Span = readonly [first: number, last: number];

/** One that is free, by chance as long as most are, else the first in order; from `second` when `first` has none. */
function draw(
  context: Context,
  reserve: Reserve,
  first: Span,
  second: Span | undefined,
  name: (number: number) => string,
): string {
  const free = (number: number) => !context.addresses.isTaken(name(number)) && reserve(name(number));
  for (let tries = 0; tries < triesMax; tries++) {
    const number = first[0] + Math.floor(context.random.next() * (first[1] - first[0] + 1));
    if (free(number)) return name(number);
  }
  for (const [low, high] of second ? [first, second] : [first]) {
    for (let number = low; number <= high; number++) if (free(number)) return name(number);
  }
  throw new ApiError(
    500,
    "InternalError",
    "Internal error occurred: failed to allocate a service address: range is full",
  );
}
