/** Annotations that a balancer is told of; what they mean is the cloud's business. */
const prefixes = ["service.beta.kubernetes.io/aws-load-balancer-", "alb.ingress.kubernetes.io/", "drover.dev/"];

type Annotations = Readonly<Record<string, string>> | undefined;

export const balancerAnnotations = (annotations: Annotations): Record<string, string> =>
  Object.fromEntries(
    Object.entries(annotations ?? {})
      .filter(([name]) => prefixes.some((prefix) => name.startsWith(prefix)))
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );

/** Balancers of one group may share what costs money. */
export const groupAnnotation = "drover.dev/balancer-group";

/** The words of a list with commas. */
export const words = (list: string | undefined): string[] => (list ?? "").split(/[\s,]+/).filter((word) => word !== "");
