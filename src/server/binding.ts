import type { KubeObject } from "../api/object.ts";
import { conflict } from "../api/status.ts";
import type { PodSpec, PodStatus } from "../api/types.gen.ts";
import { rfc3339 } from "../base/clock.ts";
import type { Call } from "./call.ts";
import { sendValue } from "./reply.ts";
import type { Context } from "./services.ts";
import type { Target } from "./target.ts";
import { bindingKind, virtualBody } from "./virtual-kinds.ts";
import { writeOptions } from "./write.ts";

/** Gives a Pod its Node, once. POST to `pods/NAME/binding`, or to `bindings` with the Pod's name inside. */
export async function bindPod(context: Context, call: Call, { namespace, name }: Target): Promise<void> {
  const { registry, clock } = context;
  const options = writeOptions(call, "CreateOptions");
  const binding = await virtualBody(call, bindingKind);
  const pod = name === "" ? (binding.metadata.name ?? "") : name;
  const { name: node = "" } = Object(binding["target"]) as { name?: string }; // Decoded as a Binding before.
  const bind = (current: KubeObject) => {
    const spec = current.spec as PodSpec; // Validated before it was stored.
    const status = (current.status ?? {}) as PodStatus; // As above.
    if ((spec.nodeName ?? "") !== "") {
      const why = `pod ${pod} is already assigned to node "${spec.nodeName}"`;
      throw conflict({ group: "", resource: "pods/binding", name: pod }, why);
    }
    const scheduled = { type: "PodScheduled", status: "True", lastTransitionTime: rfc3339(clock.wallMs()) };
    const conditions = (status.conditions ?? []).filter(({ type }) => type !== "PodScheduled");
    return {
      ...current,
      spec: { ...spec, nodeName: node },
      status: { ...status, conditions: [...conditions, { ...scheduled, lastProbeTime: null }] },
    };
  };
  const kind = registry.kinds.ofResource("pods");
  await registry.update(kind, namespace, pod, bind, { ...options, subresource: "binding", fieldsManaged: true });
  await sendValue(call, 201, { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", code: 201 });
}
