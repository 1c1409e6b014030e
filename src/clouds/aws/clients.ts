import { ACMClient } from "@aws-sdk/client-acm";
import { EC2Client } from "@aws-sdk/client-ec2";
import { ElasticLoadBalancingV2Client } from "@aws-sdk/client-elastic-load-balancing-v2";
import { PricingClient } from "@aws-sdk/client-pricing";
import { Route53Client } from "@aws-sdk/client-route-53";
import { ServiceQuotasClient } from "@aws-sdk/client-service-quotas";
import { SSMClient } from "@aws-sdk/client-ssm";
import { STSClient } from "@aws-sdk/client-sts";
import { WAFV2Client } from "@aws-sdk/client-wafv2";
import { DroverError } from "../../base/errors.ts";
import type { AwsClients } from "./api.ts";
import { awsError, isKind } from "./errors.ts";

export type ClientOptions = {
  /** Default: as every AWS tool finds it (AWS_REGION, the profile in ~/.aws/config). */
  region?: string;
  /** Default: AWS_PROFILE, else the SDK's chain: environment, SSO, assumed roles, processes, web identity, IMDS. */
  profile?: string;
};

export type RealClients = {
  clients: AwsClients;
  /** The region in use. @throws CLOUD_INVALID: none is set anywhere */
  region(): Promise<string>;
  /** Forgets the credentials, so that the next call reads those of a new login. */
  refresh(): void;
  close(): void;
};

/** A call to AWS is tried so often when its connection or AWS itself fails; throttles are repeated by `Send`. */
const attemptsMax = 8;

/** The SDK's releases are pinned and run on every Node that drover does: what it says of later ones helps no reader. */
process.env["AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED"] ??= "true";

/** The SDK's own clients. `AWS_ENDPOINT_URL` and its kin are honoured by the SDK itself. */
export function openClients(options: ClientOptions = {}): RealClients {
  let current = connect(options);
  const send = <Service extends keyof AwsClients>(service: Service): AwsClients[Service] =>
    ({ send: (...call: Parameters<EC2Client["send"]>) => (current[service] as EC2Client).send(...call) }) as never;
  return {
    clients: {
      ec2: send("ec2"),
      elb: send("elb"),
      route53: send("route53"),
      ssm: send("ssm"),
      pricing: send("pricing"),
      quotas: send("quotas"),
      sts: send("sts"),
      acm: send("acm"),
      wafv2: send("wafv2"),
    },
    async region() {
      return await current.ec2.config.region().catch((error: unknown) => {
        const known = awsError(error, "the choice of a region");
        if (options.profile === undefined || known.code !== "CLOUD_INVALID") throw known;
        const message = `There is no profile ${options.profile}, or it has no region. ${known.message}`;
        throw new DroverError(known.code, message, { ...known.details }, error);
      });
    },
    refresh() {
      // The clients remember credentials until they expire, so only new clients look again. Calls under way go on.
      current = connect(options);
    },
    close() {
      for (const client of Object.values(current)) client.destroy();
    },
  };
}

function connect({ region, profile }: ClientOptions) {
  const shared = {
    maxAttempts: attemptsMax,
    // Files with credentials are read again by every new client, not once a process.
    ignoreCache: true,
    ...(region !== undefined && { region }),
    ...(profile !== undefined && { profile }),
  };
  const ec2 = new EC2Client(shared);
  // One login for all of them: an assumed role with MFA would ask once a client.
  const common = { ...shared, credentials: ec2.config.credentials };
  // The price list lives in three regions only.
  const pricingRegion = region?.startsWith("cn-") ? "cn-northwest-1" : "us-east-1";
  const clients = {
    ec2,
    elb: new ElasticLoadBalancingV2Client(common),
    route53: new Route53Client(common),
    ssm: new SSMClient(common),
    pricing: new PricingClient({ ...common, region: pricingRegion }),
    quotas: new ServiceQuotasClient(common),
    sts: new STSClient(common),
    acm: new ACMClient(common),
    wafv2: new WAFV2Client(common),
  };
  for (const client of Object.values(clients)) retryOnlyTransient(client.config);
  return clients;
}

type Config = Pick<EC2Client["config"], "retryStrategy">;

/** The SDK would repeat whatever has status 500, "no capacity" among it, and throttles without `Send` knowing of them. */
function retryOnlyTransient(config: Config): void {
  const chosen = config.retryStrategy;
  config.retryStrategy = async () => {
    const strategy = await chosen();
    if (!("refreshRetryTokenForRetry" in strategy)) return strategy;
    return {
      acquireInitialRetryToken: (scope) => strategy.acquireInitialRetryToken(scope),
      recordSuccess: (token) => strategy.recordSuccess(token),
      refreshRetryTokenForRetry: async (token, info) => {
        if (!isKind(awsError(info.error, ""), "transient")) throw info.error;
        return await strategy.refreshRetryTokenForRetry(token, info);
      },
    };
  };
}
