import type { KubeObject } from "../api/object.ts";
import { patchObject, patchText } from "../api/patch/patch.ts";
import { ApiError, badRequest, methodNotAllowed } from "../api/status.ts";
import { supportWarnings } from "../machines/support-warnings.ts";
import type { RequestOptions, UpdateOptions } from "../registry/requests.ts";
import { negotiate } from "./accept.ts";
import { applying, applyType } from "./apply.ts";
import type { Call } from "./call.ts";
import { deleteOptions } from "./delete-options.ts";
import { type OptionsKind, writeParameters } from "./query.ts";
import { selectors } from "./read.ts";
import { sendList, sendObject } from "./render.ts";
import { sendValue } from "./reply.ts";
import { bodyOf, readBody } from "./request-body.ts";
import type { Context } from "./services.ts";
import type { Target } from "./target.ts";

/** Kinds that a PUT to an absent name creates. */
const createdByPut = new Set([
  "services",
  "endpoints",
  "events",
  "events.events.k8s.io",
  "limitranges",
  "leases.coordination.k8s.io",
  "runtimeclasses.node.k8s.io",
  "roles.rbac.authorization.k8s.io",
  "rolebindings.rbac.authorization.k8s.io",
  "clusterroles.rbac.authorization.k8s.io",
  "clusterrolebindings.rbac.authorization.k8s.io",
]);

/** The registry's options for a write. Without a field manager the client's program name is it. */
export function writeOptions(call: Call, kind: OptionsKind): RequestOptions {
  const { fieldManager, dryRun, fieldValidation } = writeParameters(call.query, kind);
  const program = (call.request.headers["user-agent"] ?? "").split("/")[0] ?? "";
  const manager = fieldManager !== "" ? fieldManager : program.slice(0, 128) || "unknown";
  return { manager, dryRun, fieldValidation, user: call.user.name };
}

export async function create(context: Context, call: Call, target: Target): Promise<void> {
  const { kind, namespace } = target;
  const form = negotiate(call.request.headers.accept, false);
  const options = writeOptions(call, "CreateOptions");
  const body = await bodyOf(call, kind.kind);
  const { stored, warnings } = await context.registry.create(kind, namespace, body.value, { ...options, parsed: body });
  call.warnings.push(...warnings, ...supportWarnings(kind, stored.object));
  await sendObject(call, 201, kind, stored, form, context.clock.wallMs());
}

export async function replace(context: Context, call: Call, target: Target): Promise<void> {
  const { kind } = target;
  const options = writeOptions(call, "UpdateOptions");
  const body = await bodyOf(call, kind.kind);
  requireName(body.value, target.name);
  const createAllowed = target.subresource === "" && createdByPut.has(kind.resource);
  await change(context, call, target, () => body.value, { ...options, parsed: body, createAllowed });
}

/** A body of a PUT must say which object it is. @throws 400 */
function requireName(value: unknown, name: string): void {
  const { metadata } = Object(value) as { metadata?: { name?: unknown } | null };
  if (metadata?.name !== undefined && metadata.name !== null && metadata.name !== "") return;
  throw badRequest(`the name of the object (${name} based on URL) was undeterminable: name must be provided`);
}

const strategicMerge = "application/strategic-merge-patch+json";
const patchTypes = new Set(["application/json-patch+json", "application/merge-patch+json", strategicMerge, applyType]);

/** The patch's media type. @throws 415 */
export function patchTypeOf(call: Call): string {
  const type = (call.request.headers["content-type"] ?? "").split(";")[0]?.trim().toLowerCase() ?? "";
  if (patchTypes.has(type)) return type;
  throw new ApiError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {});
}

export async function patch(context: Context, call: Call, target: Target): Promise<void> {
  const type = patchTypeOf(call);
  const options = writeOptions(call, type === applyType ? "ApplyOptions" : "PatchOptions");
  const bytes = await readBody(call.request);
  if (type === applyType) {
    const applied = applying(context, call, target, bytes, options);
    return await change(context, call, target, applied.make, applied.options);
  }
  const patched = (current: KubeObject) => patchObject(target.kind, type, current, bytes);
  const shown = type === strategicMerge && { patchText: () => patchText(bytes) };
  await change(context, call, target, patched, { ...options, ...shown, patched: true });
}

/** Where a write may ask for something that machines can't do; an empty name is the object itself. */
const asksOfMachines = new Set(["", "ephemeralcontainers"]);

async function change(
  context: Context,
  call: Call,
  { kind, namespace, name, subresource }: Target,
  make: (current: KubeObject) => unknown,
  options: UpdateOptions,
): Promise<void> {
  const form = negotiate(call.request.headers.accept, false);
  const all = { ...options, ...(subresource !== "" && { subresource }) };
  const { stored, created, warnings } = await context.registry.update(kind, namespace, name, make, all);
  call.warnings.push(...warnings);
  if (asksOfMachines.has(subresource)) call.warnings.push(...supportWarnings(kind, stored.object));
  await sendObject(call, created ? 201 : 200, kind, stored, form, context.clock.wallMs());
}

export async function remove(context: Context, call: Call, target: Target): Promise<void> {
  const { kind, namespace, name } = target;
  const form = negotiate(call.request.headers.accept, false);
  const asked = deleteOptions(await readBody(call.request), call);
  const options = { manager: writeOptions(call, "UpdateOptions").manager, dryRun: asked.dryRun, user: call.user.name };
  const { stored, deleted } = await context.registry.delete(kind, namespace, name, asked.options, options);
  if (stored !== undefined && (!deleted || answersWithObject.has(kind.resource))) {
    return await sendObject(call, 200, kind, stored, form, context.clock.wallMs());
  }
  const uid = stored?.object.metadata.uid;
  const details = {
    name,
    ...(kind.group !== "" && { group: kind.group }),
    kind: kind.plural,
    ...(uid !== undefined && { uid }),
  };
  await sendValue(call, 200, { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", details });
}

/** Kinds of which a DELETE answers with the object it deleted, others with a Status. */
const answersWithObject = new Set([
  "namespaces",
  "pods",
  "services",
  "persistentvolumeclaims",
  "persistentvolumes",
  "serviceaccounts",
  "resourcequotas",
  "podtemplates",
]);

export async function removeCollection(context: Context, call: Call, target: Target): Promise<void> {
  const { kind, namespace } = target;
  if (kind.namespaced && namespace === "") throw methodNotAllowed();
  const form = negotiate(call.request.headers.accept, false);
  const asked = deleteOptions(await readBody(call.request), call);
  const options = { manager: writeOptions(call, "UpdateOptions").manager, dryRun: asked.dryRun, user: call.user.name };
  const selection = { ...(namespace !== "" && { namespace }), ...selectors(kind, call.query) };
  const items = await context.registry.deleteCollection(kind, selection, asked.options, options);
  const resourceVersion = String(context.registry.revision());
  await sendList(call, kind, { items, resourceVersion }, form, context.clock.wallMs());
}
