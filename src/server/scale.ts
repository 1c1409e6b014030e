import { decodeObject } from "../api/decode.ts";
import type { KubeObject } from "../api/object.ts";
import { patchObject } from "../api/patch/patch.ts";
import { badRequest, conflict, type FieldProblem, invalid, objectModified } from "../api/status.ts";
import type { LabelSelector } from "../api/types.gen.ts";
import type { UpdateOptions } from "../registry/requests.ts";
import type { Call } from "./call.ts";
import { find } from "./read.ts";
import { sendValue } from "./reply.ts";
import { readBody } from "./request-body.ts";
import type { Context } from "./services.ts";
import type { Target } from "./target.ts";
import { scaleKind, virtualBody } from "./virtual-kinds.ts";
import { patchTypeOf, writeOptions } from "./write.ts";

/** What a kind that can be scaled has, whichever it is; read only from objects that are stored. */
type Scalable = {
  spec?: { replicas?: number; selector?: LabelSelector | Record<string, string> };
  status?: { replicas?: number };
};
type Scale = KubeObject & { spec: { replicas?: number } };

/** The scale of an object: its size and nothing else. */
function scaleOf(object: KubeObject): KubeObject {
  const { spec, status } = object as Scalable;
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  const selector = selectorText(spec?.selector ?? {});
  const replicas = spec?.replicas ?? 0;
  return {
    kind: "Scale",
    apiVersion: "autoscaling/v1",
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: replicas === 0 ? {} : { replicas },
    status: { replicas: status?.replicas ?? 0, ...(selector !== "" && { selector }) },
  };
}

/** A selector in the syntax of queries, sorted by key. */
function selectorText(selector: LabelSelector | Record<string, string>): string {
  const structured = "matchLabels" in selector || "matchExpressions" in selector;
  const { matchLabels = {}, matchExpressions = [] }: LabelSelector = structured
    ? selector
    : { matchLabels: selector as Record<string, string> };
  const terms = Object.entries(matchLabels).map(([key, value]) => [key, `${key}=${value}`] as const);
  const words: Record<string, string> = { In: "in", NotIn: "notin" };
  const more = matchExpressions.map(({ key, operator, values = [] }) => {
    const word = words[operator];
    const set = `${key} ${word} (${[...values].sort().join(",")})`;
    return [key, word !== undefined ? set : operator === "Exists" ? key : `!${key}`] as const;
  });
  return [...terms, ...more]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, text]) => text)
    .join(",");
}

export async function getScale(context: Context, call: Call, target: Target): Promise<void> {
  await sendValue(call, 200, scaleOf(find(context, target).object));
}

export async function replaceScale(context: Context, call: Call, target: Target): Promise<void> {
  const options = writeOptions(call, "UpdateOptions");
  const scale = checked(await virtualBody(call, scaleKind), target);
  await resize(context, call, target, () => scale, options);
}

export async function patchScale(context: Context, call: Call, target: Target): Promise<void> {
  const type = patchTypeOf(call);
  const options = writeOptions(call, "PatchOptions");
  const bytes = await readBody(call.request);
  const patched = (current: KubeObject) =>
    checked(decodeObject(scaleKind, patchObject(scaleKind, type, scaleOf(current), bytes)).object, target);
  await resize(context, call, target, patched, { ...options, patched: true });
}

function checked(value: KubeObject, { name }: Target): Scale {
  const { metadata } = value;
  const scale = { ...value, spec: (value.spec ?? {}) as Scale["spec"] }; // Decoded as a Scale before.
  if (metadata.name !== undefined && metadata.name !== "" && metadata.name !== name) {
    throw badRequest(`the name of the object (${metadata.name}) does not match the name on the URL (${name})`);
  }
  const { replicas = 0 } = scale.spec;
  if (replicas >= 0) return scale;
  const message = `Invalid value: ${replicas}: must be greater than or equal to 0`;
  const problem: FieldProblem = { reason: "FieldValueInvalid", message, field: "spec.replicas" };
  throw invalid("autoscaling", "Scale", name, [problem]);
}

async function resize(
  context: Context,
  call: Call,
  { kind, namespace, name }: Target,
  make: (current: KubeObject) => Scale,
  options: UpdateOptions,
): Promise<void> {
  const change = (current: KubeObject) => {
    const { metadata, spec } = make(current);
    const { resourceVersion = "", uid = "" } = metadata;
    const stale = resourceVersion !== "" && resourceVersion !== current.metadata.resourceVersion;
    if (stale || (uid !== "" && uid !== current.metadata.uid)) {
      throw conflict({ group: kind.group, resource: kind.plural, name }, objectModified);
    }
    return { ...current, spec: { ...Object(current.spec), replicas: spec.replicas ?? 0 } };
  };
  const { stored } = await context.registry.update(kind, namespace, name, change, { ...options, subresource: "scale" });
  await sendValue(call, 200, scaleOf(stored.object));
}
