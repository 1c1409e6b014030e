import {
  type CertificateSummary,
  DescribeCertificateCommand,
  KeyAlgorithm,
  ListCertificatesCommand,
} from "@aws-sdk/client-acm";
import type { Clock } from "../../base/clock.ts";
import type { BalancerSpec } from "../balancer.ts";
import type { BalancerSettings } from "./annotations.ts";
import type { Send } from "./api.ts";
import { portsOf } from "./application-listeners.ts";
import { invalid } from "./destinations.ts";
import { allPages } from "./pages.ts";

/** What ACM has for hosts. `arns`: sorted; `missing`: hosts without an issued certificate. */
type Found = { arns: readonly string[]; missing: readonly string[] };

type Certificate = { arn: string; domains: readonly string[] };
type Look = { atMs: number; certificates: readonly Certificate[] };

const lookAgainMs = 60_000;
/** Names of a certificate that have to be asked for change only by importing another one in its place. */
const askAgainMs = 300_000;
/** Left to itself ACM lists RSA keys of 2,048 bits only. */
const keyTypes = Object.values(KeyAlgorithm);

/** A wildcard stands for one label: `*.example.org` is for a.example.org and `*.example.org`, not for a.b.example.org. */
export function covers(domain: string, host: string): boolean {
  if (!domain.startsWith("*.")) return domain === host;
  const [, ...rest] = host.split(".");
  return rest.join(".") === domain.slice(2);
}

/** Finds certificates of ACM by the hosts that they are for, as a listener without any named needs them. */
export class Certificates {
  readonly #send: Send;
  readonly #clock: Clock;
  #look: Look | undefined;
  #looking: Promise<Look> | undefined;
  readonly #asked = new Map<string, { atMs: number; domains: readonly string[] }>();

  constructor(send: Send, clock: Clock) {
    this.#send = send;
    this.#clock = clock;
  }

  /** All that are for one of the hosts. Where ACM can't be asked, what it said before is good if it has all hosts. */
  async find(hosts: readonly string[]): Promise<Found> {
    const before = this.#look;
    try {
      return foundIn(await this.#current(), hosts);
    } catch (error) {
      const known = before && foundIn(before, hosts);
      if (known === undefined || known.missing.length > 0) throw error;
      return known;
    }
  }

  #current(): Promise<Look> {
    const nowMs = this.#clock.monotonicMs();
    if (this.#look && nowMs - this.#look.atMs < lookAgainMs) return Promise.resolve(this.#look);
    this.#looking ??= this.#read(nowMs).finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #read(atMs: number): Promise<Look> {
    const Includes = { keyTypes };
    const summaries = await allPages(
      (NextToken) =>
        this.#send("acm", new ListCertificatesCommand({ CertificateStatuses: ["ISSUED"], Includes, NextToken })),
      ({ CertificateSummaryList }) => CertificateSummaryList,
    );
    const certificates: Certificate[] = [];
    for (const summary of summaries) {
      certificates.push({ arn: summary.CertificateArn ?? "", domains: await this.#domainsOf(summary, atMs) });
    }
    this.#look = { atMs, certificates };
    return this.#look;
  }

  /** The list shows a hundred names of each at most. */
  async #domainsOf(summary: CertificateSummary, atMs: number): Promise<readonly string[]> {
    const { CertificateArn = "", SubjectAlternativeNameSummaries: names } = summary;
    if (names !== undefined && !summary.HasAdditionalSubjectAlternativeNames) return names.map(lowered);
    const known = this.#asked.get(CertificateArn);
    if (known && atMs - known.atMs < askAgainMs) return known.domains;
    const { Certificate } = await this.#send("acm", new DescribeCertificateCommand({ CertificateArn }));
    const domains = (Certificate?.SubjectAlternativeNames ?? []).map(lowered);
    this.#asked.set(CertificateArn, { atMs, domains });
    return domains;
  }
}

/**
 * Those that are named, else those that ACM has for the hosts. `present`: in use so far; they stay where it has none any
 * more, with a warning. @throws CLOUD_INVALID with the hosts that there is none for
 */
export async function certificatesFor(
  spec: BalancerSpec,
  settings: BalancerSettings,
  known: Certificates,
  present: readonly string[] | undefined,
): Promise<{ certificates: readonly string[] | undefined; warnings: readonly string[] }> {
  const { certificates } = settings;
  if (certificates !== undefined || !needsCertificates(spec, settings)) return { certificates, warnings: [] };
  const { arns, missing } = await known.find(spec.hosts ?? []);
  if (missing.length === 0) return { certificates: arns, warnings: [] };
  const why = `ACM has no issued certificate for ${missing.join(", ")} in this region: name one here, request one there, or bring that of a Secret by \`aws acm import-certificate\`.`;
  const error = invalid(spec, "certificates", why);
  if (present === undefined) throw error;
  return { certificates: present, warnings: [error.message] };
}

const needsCertificates = (spec: BalancerSpec, settings: BalancerSettings): boolean =>
  spec.kind === "application" &&
  (spec.hosts ?? []).length > 0 &&
  portsOf(spec, settings).some(({ protocol }) => protocol === "HTTPS");

const lowered = (name: string): string => name.toLowerCase();

function foundIn({ certificates }: Look, hosts: readonly string[]): Found {
  const isFor = (host: string) => (domain: string) => covers(domain, host);
  const arns = certificates.filter(({ domains }) => hosts.some((host) => domains.some(isFor(host))));
  const missing = hosts.filter((host) => !certificates.some(({ domains }) => domains.some(isFor(host))));
  return { arns: arns.map(({ arn }) => arn).sort(), missing };
}
