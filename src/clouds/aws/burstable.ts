/**
 * Burstable types earn CPU credits for this part of each vCPU and no more, so this is what a Pod can count on for long.
 * Percent of a vCPU, by size. Source: "Earn CPU credits" in the EC2 user guide, burstable-credits-baseline-concepts,
 * as of 2026-11; the API does not tell.
 */
const baselinePercent: Readonly<Record<string, number>> = {
  nano: 5,
  micro: 10,
  small: 20,
  medium: 20,
  large: 30,
  xlarge: 40,
  "2xlarge": 40,
};
/** The first family is another one: T2 has fewer vCPUs a size, and large ones get less. */
const t2Percent: Readonly<Record<string, number>> = { xlarge: 22.5, "2xlarge": 17 };
/** A size that nobody has heard of yet: little is promised. */
const unknownPercent = 5;

/** What a burstable type gives all the time, thousandths of a CPU. */
export function baselineCpuMillis(family: string, size: string, vcpus: number): number {
  const percent = (family === "t2" ? t2Percent[size] : undefined) ?? baselinePercent[size] ?? unknownPercent;
  return Math.round(vcpus * percent * 10);
}
