import { methodNotAllowed } from "../api/status.ts";
import type { Call } from "./call.ts";
import { get, list } from "./read.ts";
import { reviews } from "./reviews.ts";
import type { Context } from "./services.ts";
import { subresources } from "./subresources.ts";
import type { Target } from "./target.ts";
import { watch } from "./watch.ts";
import { create, patch, remove, removeCollection, replace } from "./write.ts";

type Handler = (context: Context, call: Call, target: Target) => Promise<void>;

const verbs: Readonly<Record<string, Handler>> = {
  get,
  list,
  watch,
  create,
  update: replace,
  patch,
  delete: remove,
  deletecollection: removeCollection,
};

/** Kinds of which every use is told to use another. */
const deprecated: Readonly<Record<string, string>> = {
  endpoints: "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
  componentstatuses: "v1 ComponentStatus is deprecated in v1.19+",
};

/** Answers a request that is allowed and whose kind and verb exist. */
export const resources = (context: Context) => async (call: Call, target: Target) => {
  const { kind, subresource, verb } = target;
  const notice = deprecated[kind.resource];
  if (notice !== undefined) call.warnings.push(notice);
  const handler =
    subresource === ""
      ? (reviews[`${kind.apiVersion}/${kind.kind}`] ?? verbs[verb])
      : (subresources[`${kind.plural}/${subresource}`] ?? subresources[subresource] ?? verbs[verb]);
  if (handler === undefined) throw methodNotAllowed();
  await handler(context, call, target);
};
