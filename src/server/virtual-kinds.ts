import { decodeObject } from "../api/decode.ts";
import type { Kind } from "../api/kinds.ts";
import { recordUpdate } from "../api/managed.ts";
import type { KubeObject } from "../api/object.ts";
import { rfc3339 } from "../base/clock.ts";
import type { Call } from "./call.ts";
import { bodyOf } from "./request-body.ts";

/** A kind that is never stored: only the body and the answer of a subresource. */
const virtual = (apiVersion: string, kind: string): Kind => {
  const [version = "", group = ""] = apiVersion.split("/").reverse();
  const type = `${group === "" ? "core" : group.split(".")[0]}.${version}.${kind}`;
  return {
    group,
    version,
    kind,
    apiVersion,
    type,
    listKind: "",
    plural: `${kind.toLowerCase()}s`,
    singular: "",
    shortNames: [],
    categories: [],
    namespaced: true,
    verbs: [],
    subresources: {},
    resource: "",
  };
};

export const scaleKind = virtual("autoscaling/v1", "Scale");
export const evictionKind = virtual("policy/v1", "Eviction");
export const bindingKind = virtual("v1", "Binding");
export const tokenRequestKind = virtual("authentication.k8s.io/v1", "TokenRequest");

/** An object that is answered and not stored, with the owner that a stored one would have. */
export function managed(
  kind: Kind,
  object: KubeObject,
  manager: string,
  nowMs: number,
  subresource?: string,
): KubeObject {
  const by = { manager, time: rfc3339(nowMs), ...(subresource !== undefined && { subresource }) };
  const managedFields = recordUpdate(kind, undefined, object, by);
  return managedFields.length === 0 ? object : { ...object, metadata: { ...object.metadata, managedFields } };
}

/** The request's body as an object of such a kind. @throws 400, 413, 415 */
export async function virtualBody(call: Call, kind: Kind): Promise<KubeObject> {
  const { value } = await bodyOf(call, kind.kind);
  return decodeObject(kind, value).object;
}
