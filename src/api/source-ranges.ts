import type { Service } from "./types.gen.ts";

export const sourceRangesAnnotation = "service.beta.kubernetes.io/load-balancer-source-ranges";

/** Who may connect: by the field or, where that has nothing, by the annotation. Spaces around a range are no part of it. */
export function sourceRangesOf({ metadata, spec }: Service): { ranges: string[]; isAnnotation: boolean } {
  const fields = spec.loadBalancerSourceRanges ?? [];
  const annotation = fields.length > 0 ? undefined : metadata.annotations?.[sourceRangesAnnotation];
  const ranges = annotation === undefined || annotation.trim() === "" ? fields : annotation.split(",");
  return { ranges: ranges.map((range) => range.trim()), isAnnotation: annotation !== undefined };
}
