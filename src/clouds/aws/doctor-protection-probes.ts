import { DescribeCertificateCommand, ListCertificatesCommand } from "@aws-sdk/client-acm";
import { AssociateWebACLCommand, DisassociateWebACLCommand, GetWebACLForResourceCommand } from "@aws-sdk/client-wafv2";
import type { Probe, Subjects } from "./doctor-probes.ts";

const uuid = "00000000-0000-4000-8000-0d0c00000000";
const arnOf = (service: string, { partition, region, account }: Subjects, rest: string): string =>
  `arn:${partition}:${service}:${region}:${account}:${rest}`;
const ResourceArn = (subjects: Subjects) =>
  arnOf("elasticloadbalancing", subjects, "loadbalancer/app/drover-doctor/0d0c000000000000");
const WebACLArn = (subjects: Subjects) => arnOf("wafv2", subjects, `regional/webacl/drover-doctor/${uuid}`);

const look: Probe = (send, s) => send("wafv2", new GetWebACLForResourceCommand({ ResourceArn: ResourceArn(s) }));
const associate: Probe = (send, s) =>
  send("wafv2", new AssociateWebACLCommand({ ResourceArn: ResourceArn(s), WebACLArn: WebACLArn(s) }));

/** Certificates and the firewall, on what is not there. */
export const protectionProbes: Readonly<Record<string, Probe>> = {
  "acm:ListCertificates": (send) => send("acm", new ListCertificatesCommand({ MaxItems: 1 })),
  "acm:DescribeCertificate": (send, s) =>
    send("acm", new DescribeCertificateCommand({ CertificateArn: arnOf("acm", s, `certificate/${uuid}`) })),
  "wafv2:AssociateWebACL": associate,
  "wafv2:DisassociateWebACL": (send, s) =>
    send("wafv2", new DisassociateWebACLCommand({ ResourceArn: ResourceArn(s) })),
  "wafv2:GetWebACLForResource": look,
  // These are asked for by the two calls.
  "wafv2:GetWebACL": look,
  "elasticloadbalancing:SetWebAcl": associate,
};
