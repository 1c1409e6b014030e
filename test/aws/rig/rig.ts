import { fileURLToPath } from "node:url";
import { seededRandom } from "../../../src/base/random.ts";
import { type Moto, startMoto } from "../moto/server.ts";
import { type Faults, openFaults } from "./faults.ts";
import { type Front, openFront } from "./front.ts";
import { gaps } from "./gaps.ts";
import { type Instances, openInstances, type StartBody } from "./instances.ts";
import { type Journal, openJournal } from "./journal.ts";
import { startProxy } from "./proxy.ts";
import { startResolver } from "./resolver.ts";
import { openTargets, type Targets, type TargetTimes } from "./targets.ts";
import { openTokens } from "./tokens.ts";

/** AWS as far as a computer without it has it: moto, with AWS' manners in front and a body for each of its instances. */
export type Rig = {
  /** What makes drover, started with it, talk to the rig. */
  env: Readonly<Record<string, string>>;
  /** Flags of `drover serve` that go with it. */
  flags: readonly string[];
  moto: Moto;
  /** Asks moto itself, past the proxy; the answer is XML. */
  ask(
    service: "ec2" | "elasticloadbalancing",
    action: string,
    parameters?: Readonly<Record<string, string>>,
  ): Promise<string>;
  instances: Instances;
  targets: Targets;
  front: Front;
  faults: Faults;
  journal: Journal;
  /** An empty account again. */
  reset(): Promise<void>;
  close(): Promise<void>;
};

/** `times`: of the targets; by default some seconds. `machines`: what instances are instead of stand-ins. */
export type RigOptions = { seed?: number; times?: TargetTimes; machines?: { image: string; start: StartBody } };

const region = "us-east-1";
const motoFolder = fileURLToPath(new URL("./moto/", import.meta.url));

export async function startRig({
  seed = 1,
  times = { lookEveryMs: 1_000, drainMs: 2_000, speed: 1 },
  machines,
}: RigOptions = {}): Promise<Rig> {
  const moto = await startMoto(region, {}, motoFolder);
  const ask: Rig["ask"] = async (service, action, parameters = {}) => {
    const Version = service === "ec2" ? "2016-11-15" : "2015-12-01";
    const scope = `moto/20260101/${region}/${service}/aws4_request`;
    const headers = { authorization: `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host, Signature=0` };
    const body = new URLSearchParams({ Action: action, Version, ...parameters });
    return (await fetch(moto.url, { method: "POST", headers, body })).text();
  };
  const instances = openInstances({ start: machines?.start, ask: (...call) => ask("ec2", ...call) });
  const targets = openTargets(instances.addressOf, times);
  const front = openFront({ motoUrl: moto.url, targets, addressOf: instances.addressOf });
  const resolver = await startResolver(front.lookUp);
  const faults = openFaults({ random: seededRandom(seed) });
  const [tokens, journal] = [openTokens(), openJournal()];
  const proxy = await startProxy(moto.url, [
    faults.manner,
    tokens.manner,
    journal.manner,
    instances.manner,
    targets.manner,
    front.manner,
    gaps,
  ]);
  return {
    env: { ...moto.env, ...resolver.env, AWS_ENDPOINT_URL: proxy.url },
    flags: ["--cloud", "aws", "--image", machines?.image ?? "al2023", "--create-zone"],
    ...{ moto, ask, instances, targets, front, faults, journal },
    async reset() {
      await moto.reset();
      await instances.reset();
      tokens.reset();
      targets.reset();
    },
    async close() {
      await resolver.close();
      await front.close();
      await proxy.close();
      targets.close();
      await instances.close();
      await moto.close();
    },
  };
}
