import type {
  AddListenerCertificatesInput,
  AddListenerCertificatesOutput,
  DescribeListenerCertificatesInput,
  DescribeListenerCertificatesOutput,
  RemoveListenerCertificatesInput,
  RemoveListenerCertificatesOutput,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { checkCertificates } from "./certificates.ts";
import { elbError } from "./elb-errors.ts";
import { listenerOf } from "./listeners.ts";
import { pageOf } from "./paging.ts";
import type { AwsWorld } from "./world.ts";

/** Beside the default one: §2 of the AWS facts. */
const certificatesMax = 25;

const arnsIn = (certificates: AddListenerCertificatesInput["Certificates"]): string[] =>
  (certificates ?? []).map(({ CertificateArn = "" }) => CertificateArn);

export function addListenerCertificates(
  world: AwsWorld,
  input: AddListenerCertificatesInput,
): AddListenerCertificatesOutput {
  const listener = listenerOf(world, input.ListenerArn);
  const arns = arnsIn(input.Certificates);
  checkCertificates(world, arns);
  const all = [...new Set([...listener.certificateArns, ...arns])];
  if (all.length > certificatesMax + 1)
    throw elbError("TooManyCertificates", "The maximum number of certificates has been reached");
  listener.certificateArns = all;
  return { Certificates: arns.map((CertificateArn) => ({ CertificateArn, IsDefault: false })) };
}

/** The default one can't be taken away so. */
export function removeListenerCertificates(
  world: AwsWorld,
  input: RemoveListenerCertificatesInput,
): RemoveListenerCertificatesOutput {
  const listener = listenerOf(world, input.ListenerArn);
  const arns = arnsIn(input.Certificates);
  const [first] = listener.certificateArns;
  if (first !== undefined && arns.includes(first))
    throw elbError("OperationNotPermitted", "Default certificate cannot be removed");
  listener.certificateArns = listener.certificateArns.filter((arn) => !arns.includes(arn));
  return {};
}

export function describeListenerCertificates(
  world: AwsWorld,
  input: DescribeListenerCertificatesInput,
): DescribeListenerCertificatesOutput {
  const { certificateArns } = listenerOf(world, input.ListenerArn);
  const rows = certificateArns.map((arn, serial) => ({ arn, serial }));
  const { page, next } = pageOf(rows, Math.min(400, input.PageSize ?? 400), input.Marker);
  return {
    Certificates: page.map(({ arn, serial }) => ({ CertificateArn: arn, IsDefault: serial === 0 })),
    NextMarker: next,
  };
}
