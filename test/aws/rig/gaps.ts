import type { Manner } from "./request.ts";

/** vCPUs that may run at once: on demand and spot. */
const quotas = ["L-1216C47A", "L-34B43A08"].map((QuotaCode) => ({ ServiceCode: "ec2", QuotaCode, Value: 1_000 }));
const json = { "content-type": "application/x-amz-json-1.1" };

/** Answers of services that moto has not at all. */
export const gaps: Manner = async (request, next) => {
  if (request.service !== "servicequotas") return next(request);
  return { status: 200, headers: json, body: JSON.stringify({ Quotas: quotas }) };
};
