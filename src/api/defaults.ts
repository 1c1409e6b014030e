import { admit } from "./defaulting/admission.ts";
import { prepareCreation } from "./defaulting/creation.ts";
import { fillDefaults } from "./defaulting/walk.ts";
import type { Kind } from "./kinds.ts";
import type { KubeObject } from "./object.ts";
import { storedForm } from "./stored-form.ts";
import { structureOfKind } from "./structure.ts";

/**
 * Completes a private copy of an object of `kind` in place and returns it. The stages of a creation, in this order:
 * `defaults` (also on every update), `admission`, `strategy`. `strategy` reads `metadata.{name,uid,creationTimestamp}`.
 * Left to the registry, because they need a choice or another object: uid, time and generated name; clusterIP and node
 * ports; the token volume (`mountToken`); priority, runtime, ingress and storage classes; limit ranges; image pull
 * secrets of the service account; the requesting user of a certificate request.
 */
export function applyDefaults(
  kind: Kind,
  object: KubeObject,
  stage: "defaults" | "strategy" | "admission",
): KubeObject {
  if (stage === "defaults") fillDefaults(structureOfKind(kind), object);
  else if (stage === "admission") admit(kind, object);
  else {
    prepareCreation(kind, object);
    return Object.assign(object, storedForm(kind, object));
  }
  return object;
}
