import type {
  CertificateStatus,
  DescribeCertificateRequest,
  DescribeCertificateResponse,
  ListCertificatesRequest,
  ListCertificatesResponse,
} from "@aws-sdk/client-acm";
import { elbError } from "./elb-errors.ts";
import { AwsError } from "./errors.ts";
import { pageOf } from "./paging.ts";
import type { AwsWorld } from "./world.ts";

/** `keyType`: default RSA_2048, which alone is listed to those who ask for nothing else. */
export type Certificate = { domains: readonly string[]; status: CertificateStatus; keyType?: string };

/** @throws CertificateNotFound: the account has none of this ARN */
export function checkCertificates(world: AwsWorld, arns: readonly string[]): void {
  const missing = arns.find((arn) => !world.certificates.has(arn));
  if (missing !== undefined) throw elbError("CertificateNotFound", `Certificate '${missing}' not found`);
}

/** A list shows so many names of each. */
const namesMax = 100;
const pageMax = 1_000;
const listedKeyTypes = ["RSA_1024", "RSA_2048"];

export function listCertificates(world: AwsWorld, input: ListCertificatesRequest): ListCertificatesResponse {
  const keyTypes: readonly string[] = input.Includes?.keyTypes ?? listedKeyTypes;
  const rows = [...world.certificates].map(([arn, certificate], serial) => ({ arn, serial, ...certificate }));
  const wanted = rows.filter(
    ({ status, keyType = "RSA_2048" }) =>
      keyTypes.includes(keyType) && (input.CertificateStatuses?.includes(status) ?? true),
  );
  const { page, next } = pageOf(wanted, Math.min(pageMax, input.MaxItems ?? pageMax), input.NextToken);
  return {
    CertificateSummaryList: page.map(({ arn, domains, status }) => ({
      CertificateArn: arn,
      DomainName: domains[0],
      SubjectAlternativeNameSummaries: domains.slice(0, namesMax),
      HasAdditionalSubjectAlternativeNames: domains.length > namesMax,
      Status: status,
    })),
    NextToken: next,
  };
}

export function describeCertificate(world: AwsWorld, input: DescribeCertificateRequest): DescribeCertificateResponse {
  const { CertificateArn: arn = "" } = input;
  const found = world.certificates.get(arn);
  if (found === undefined) throw new AwsError("ResourceNotFoundException", `Could not find certificate ${arn}.`);
  const { domains, status } = found;
  return {
    Certificate: {
      CertificateArn: arn,
      DomainName: domains[0],
      SubjectAlternativeNames: [...domains],
      Status: status,
    },
  };
}
