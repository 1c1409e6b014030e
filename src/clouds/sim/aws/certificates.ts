import { elbError } from "./elb-errors.ts";
import type { AwsWorld } from "./world.ts";

/** @throws CertificateNotFound: the account has none of this ARN */
export function checkCertificates(world: AwsWorld, arns: readonly string[]): void {
  const missing = arns.find((arn) => !world.certificates.has(arn));
  if (missing !== undefined) throw elbError("CertificateNotFound", `Certificate '${missing}' not found`);
}
