import { applyPatch, readConfig } from "../api/apply.ts";
import type { KubeObject } from "../api/object.ts";
import { badRequest, conflict } from "../api/status.ts";
import { rfc3339 } from "../base/clock.ts";
import type { UpdateOptions } from "../registry/requests.ts";
import type { Call } from "./call.ts";
import type { Context } from "./services.ts";
import type { Target } from "./target.ts";

/** The media type of server-side apply. */
export const applyType = "application/apply-patch+yaml";

/** What the body may say of the object it means; `readConfig` has seen to the rest. */
type Named = { metadata?: { name?: unknown; uid?: unknown } | null };

/**
 * Server-side apply of a body to the object that a path names: the change for the registry, and its options. An object
 * that is absent is created. @throws 400
 */
export function applying(
  { clock }: Context,
  call: Call,
  { kind, name, subresource }: Target,
  bytes: Uint8Array,
  options: UpdateOptions,
): { make: (current: KubeObject) => unknown; options: UpdateOptions } {
  const config = readConfig(kind, bytes);
  const { metadata } = config as Named;
  requireName(metadata?.name, name);
  const by = {
    manager: options.manager,
    time: rfc3339(clock.wallMs()),
    force: call.query.get("force") === "true",
    ...(subresource !== "" && { subresource }),
  };
  const make = (current: KubeObject) => {
    const isNew = current.metadata.uid === undefined;
    if (isNew && (metadata?.uid ?? "") !== "") {
      const why = `uid mismatch: the provided object specified uid ${metadata?.uid}, and no existing object was found`;
      throw conflict({ group: kind.group, resource: kind.plural, name }, why);
    }
    const { object, managedFields } = applyPatch(kind, isNew ? undefined : current, config, by);
    // It has a name, as checked; the owners in it are those of the live object.
    const { resourceVersion, managedFields: _, ...rest } = object["metadata"] as KubeObject["metadata"];
    const version = isNew || resourceVersion === undefined ? {} : { resourceVersion };
    const owners = managedFields.length === 0 ? {} : { managedFields };
    return { ...object, metadata: { ...rest, ...version, ...owners } };
  };
  return { make, options: { ...options, createAllowed: subresource === "", patched: true, fieldsManaged: true } };
}

/** @throws 400 */
function requireName(given: unknown, name: string): void {
  if (given === undefined || given === null || given === "") {
    throw badRequest(`the name of the object (${name} based on URL) was undeterminable: name must be provided`);
  }
  if (given !== name) {
    throw badRequest(`the name of the object (${given}) does not match the name on the URL (${name})`);
  }
}
