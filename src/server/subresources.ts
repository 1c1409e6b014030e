import { bindPod } from "./binding.ts";
import type { Call } from "./call.ts";
import { evict } from "./eviction.ts";
import { sendLog } from "./pod-log.ts";
import { refuseStream } from "./pod-streams.ts";
import { getScale, patchScale, replaceScale } from "./scale.ts";
import type { Context } from "./services.ts";
import type { Target } from "./target.ts";
import { requestToken } from "./token-request.ts";

type Handler = (context: Context, call: Call, target: Target) => Promise<void>;

const byVerb =
  (handlers: Readonly<Record<string, Handler>>): Handler =>
  async (context, call, target) =>
    await handlers[target.verb]?.(context, call, target);

/** Subresources that are more than a part of their object, by name or by `plural/name`. */
export const subresources: Readonly<Record<string, Handler>> = {
  scale: byVerb({ get: getScale, update: replaceScale, patch: patchScale }),
  "pods/eviction": evict,
  "pods/binding": bindPod,
  "pods/log": sendLog,
  "pods/exec": refuseStream,
  "pods/attach": refuseStream,
  "pods/portforward": refuseStream,
  "serviceaccounts/token": requestToken,
};
