import type { Ingress } from "../api/types.gen.ts";
import type { View } from "../registry/view.ts";
import { isAction, servicesOfActions } from "./ingress-actions.ts";

const ownControllers = ["drover.dev/ingress", "ingress.k8s.aws/alb"];
/** Classes that need no IngressClass object. */
const ownNames = ["drover", "alb"];
const formerAnnotation = "kubernetes.io/ingress.class";

/** Why an Ingress is left to others; undefined: it is drover's. One that names no class is. */
export function foreignClass(view: View, { metadata, spec }: Ingress): string | undefined {
  const name = spec.ingressClassName ?? metadata.annotations?.[formerAnnotation];
  if (name === undefined || name === "") return undefined;
  const controller = view.get("ingressclasses.networking.k8s.io", "", name)?.spec?.controller;
  if (controller === undefined ? ownNames.includes(name) : ownControllers.includes(controller)) return undefined;
  const whose =
    controller === undefined ? `there is no IngressClass ${name}` : `IngressClass ${name} is of ${controller}`;
  return `Nothing is made for it: ${whose}. Leave the class out, name \`drover\`, or make an IngressClass with the controller ${ownControllers[0]}.`;
}

/** The Services that an Ingress sends requests to, by name. */
export const backendServices = (ingress: Ingress): ReadonlySet<string> => {
  const { spec } = ingress;
  const paths = (spec.rules ?? []).flatMap(({ http }) => http?.paths ?? []);
  const backends = [spec.defaultBackend, ...paths.map(({ backend }) => backend)].filter((each) => each !== undefined);
  const named = backends.filter((backend) => !isAction(backend)).flatMap(({ service }) => service?.name ?? []);
  return new Set([...named, ...(backends.some(isAction) ? servicesOfActions(ingress) : [])]);
};
