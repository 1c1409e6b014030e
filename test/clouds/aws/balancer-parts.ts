import { RunInstancesCommand } from "@aws-sdk/client-ec2";
import { DroverError } from "../../../src/base/errors.ts";
import { Sealed } from "../../../src/base/sealed.ts";
import type { Send } from "../../../src/clouds/aws/api.ts";
import { type BalancersOptions, openAwsBalancers } from "../../../src/clouds/aws/balancers.ts";
import { openSend } from "../../../src/clouds/aws/call.ts";
import { awsError } from "../../../src/clouds/aws/errors.ts";
import { openNetworks } from "../../../src/clouds/aws/network.ts";
import { openSecurityGroups } from "../../../src/clouds/aws/security-groups.ts";
import type { BalancerSpec, BalancerState, Login, Rule, Target } from "../../../src/clouds/balancer.ts";
import type { AwsFakeOptions } from "../../../src/clouds/sim/aws/open.ts";
import { openFake } from "../sim/aws/setup.ts";

const cluster = "test";

/** Where clients log in, with a secret that nobody may see. */
export const oidcProvider = (secretVersion: string, clientSecret: string): Login["provider"] => ({
  kind: "oidc",
  issuer: "https://id.example.org/",
  authorizationEndpoint: "https://id.example.org/authorize",
  tokenEndpoint: "https://id.example.org/token",
  userInfoEndpoint: "https://id.example.org/me",
  clientId: "shop",
  clientSecret: new Sealed(clientSecret),
  secretVersion,
});

/** What is to go wrong with calls of an action, once each, in order. */
type Mishaps = Map<string, { code: string; message?: string; isDone?: boolean }[]>;

/** Instances that begin to run, by their ids. */
export async function launch(fake: ReturnType<typeof openFake>, count: number): Promise<string[]> {
  const ImageId = fake.world.parameters.get("/aws/service/debian/release/12/latest/amd64") ?? "";
  const input = { ImageId, InstanceType: "t3.micro" as const, MinCount: count, MaxCount: count };
  const { Instances } = await fake.ec2(new RunInstancesCommand(input));
  return Instances?.map(({ InstanceId }) => InstanceId ?? "") ?? [];
}

/** One fake account, and one drover after the other over it. `calls`: names of all calls since it was last emptied. */
export function openBalancerParts(options: Partial<AwsFakeOptions> & { seed?: number } = {}) {
  const fake = openFake(options);
  const calls: string[] = [];
  const mishaps: Mishaps = new Map();
  const warnings: string[] = [];
  const failNext = (action: string, code: string, more: { message?: string; isDone?: boolean } = {}) =>
    mishaps.set(action, [...(mishaps.get(action) ?? []), { code, ...more }]);
  /** A process of drover; the one before is gone with everything that it knew. */
  const open = (more: Partial<BalancersOptions> = {}) => {
    const { clock } = fake;
    const inner = openSend(fake.connect(), clock);
    const send: Send = async (service, command, sendOptions) => {
      const action = command.constructor.name.replace(/Command$/, "");
      calls.push(action);
      const mishap = mishaps.get(action)?.shift();
      if (mishap?.isDone !== false && mishap?.isDone !== undefined) await inner(service, command, sendOptions);
      if (mishap) {
        const $metadata = mishap.isDone ? {} : { httpStatusCode: 400 };
        throw awsError(
          Object.assign(new Error(mishap.message ?? mishap.code), { Code: mishap.code, $metadata }),
          action,
        );
      }
      return inner(service, command, sendOptions);
    };
    const networks = openNetworks(send, clock, { cluster });
    const securityGroups = openSecurityGroups(send, clock, networks, { cluster });
    const log = { warn: (message: string) => void warnings.push(message) };
    const balancers = openAwsBalancers({ send, clock, cluster, networks, securityGroups, log, ...more });
    const { through } = fake;
    return {
      ensure: (spec: BalancerSpec) => through(balancers.ensure(spec)),
      remove: (id: string) => through(balancers.remove(id)),
      observe: () => through(balancers.observe()),
      /** The one balancer's state. */
      async state(id = "web"): Promise<BalancerState | undefined> {
        const { balancers: states } = await through(balancers.observe());
        return states.find((state) => state.id === id);
      },
    };
  };
  /** Names of the calls that change something, since the last time this was asked. */
  const writes = () => calls.splice(0).filter((action) => !/^Describe/.test(action));
  return { ...fake, open, calls, writes, warnings, failNext, launch: (count: number) => launch(fake, count) };
}

export const target = (machineId: string, more: Partial<Target> = {}): Target => ({
  machineId,
  address: "172.31.0.9",
  port: 8080,
  draining: false,
  ...more,
});

/** A Service with one port. */
export const service = (targets: readonly Target[], more: Partial<BalancerSpec> = {}): BalancerSpec => ({
  id: "web",
  cluster,
  kind: "network",
  name: "default/web",
  scheme: "internet-facing",
  listeners: [{ port: 80, protocol: "TCP", forward: [{ groupId: "80-TCP", weight: 1 }] }],
  groups: [{ id: "80-TCP", protocol: "TCP", targets, drainSeconds: 30 }],
  sourceRanges: [],
  annotations: {},
  ...more,
});

/** An Ingress whose rules all lead to one group. */
export const ingress = (
  id: string,
  rules: readonly Omit<Rule, "forward">[],
  more: Partial<BalancerSpec> = {},
): BalancerSpec => ({
  ...service([], { id, kind: "application", name: `default/${id}` }),
  listeners: [
    {
      port: 80,
      protocol: "HTTP",
      forward: [],
      rules: rules.map((rule) => ({ ...rule, forward: [{ groupId: "g", weight: 1 }] })),
    },
  ],
  groups: [{ id: "g", protocol: "HTTP", targets: [], drainSeconds: 30 }],
  ...more,
});

/** The error's code and message, or "ok". */
export const outcomeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "ok",
    (error: Error) => (error instanceof DroverError ? `${error.code} ${error.message}` : String(error)),
  );
