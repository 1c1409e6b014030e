import { seededRandom } from "../../../../src/base/random.ts";
import { VirtualClock } from "../../../../src/base/virtual.ts";
import type { AwsClients } from "../../../../src/clouds/aws/api.ts";
import type { FakeClient } from "../../../../src/clouds/sim/aws/client.ts";
import { noLatencies } from "../../../../src/clouds/sim/aws/latencies.ts";
import { type AwsFakeOptions, openAwsFake } from "../../../../src/clouds/sim/aws/open.ts";

/** A fake whose time passes as far as a call needs it. Without options everything is done at once. */
export function openFake(options: Partial<AwsFakeOptions> & { seed?: number } = {}) {
  const clock = new VirtualClock();
  const { seed = 1, ...given } = options;
  const fake = openAwsFake({ clock, random: seededRandom(seed), latencies: noLatencies, ...given });
  const clients: AwsClients = fake.clients;
  /** Lets time pass until the promise has settled. */
  const through = async <T>(promise: Promise<T>): Promise<T> => {
    let isOver = false;
    const over = () => {
      isOver = true;
    };
    promise.then(over, over);
    while (!isOver) await clock.advance(Math.max(0, (clock.nextMs() ?? 0) - clock.monotonicMs()));
    return promise;
  };
  const sender = <Client extends keyof AwsClients>(service: Client): AwsClients[Client]["send"] =>
    ((...call: Parameters<FakeClient["send"]>) => through(fake.clients[service].send(...call))) as never;
  return {
    ...fake,
    clients,
    clock,
    through,
    ec2: sender("ec2"),
    elb: sender("elb"),
    route53: sender("route53"),
    ssm: sender("ssm"),
    sts: sender("sts"),
    quotas: sender("quotas"),
    pricing: sender("pricing"),
    acm: sender("acm"),
    wafv2: sender("wafv2"),
  };
}

/** The name of what is thrown, or "ok". */
export const outcome = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => "ok",
    (error: Error) => error.name,
  );

/** The message of what is thrown, or "". */
export const messageOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => "",
    (error: Error) => error.message,
  );
