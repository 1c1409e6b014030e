import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import limitConcurrency from "p-limit";
import { type Body, startBody, userDataText } from "./body.ts";
import { type Answer, type AwsRequest, listOf, type Manner, textsOf, withParameters, xmlAnswer } from "./request.ts";

/** One instance as moto launched it. */
export type Launched = {
  instanceId: string;
  /** Its private one: here it has it, too. */
  address: string;
  /** As moto has stored it, in base64. */
  userData: string;
  /** The instance's item of RunInstances' answer. */
  xml: string;
};
export type StartBody = (launched: Launched) => Promise<Body>;

const startStandIn: StartBody = ({ userData, address }) => startBody(userDataText(userData), address);

export type InstancesOptions = {
  /** Asks moto itself. */
  ask: (action: string, parameters: Readonly<Record<string, string>>) => Promise<string>;
  /** What becomes of an instance. Default: a stand-in that is no machine. */
  start?: StartBody | undefined;
};

export type Instances = {
  manner: Manner;
  /** Where an instance is; undefined once it was ended. */
  addressOf(instanceId: string): string | undefined;
  /** Every user data that was launched from, as text. */
  userData: ReadonlySet<string>;
  /** As a power cut that AWS knows nothing of. */
  cut(instanceId: string): Promise<void>;
  /** Ends them all, as those of an account that is emptied. */
  reset(): Promise<void>;
  close(): Promise<void>;
};

/** `leave`: its address is free again. */
type Instance = {
  address: string;
  body: Promise<Body | undefined>;
  started?: Body | undefined;
  ended?: Promise<void>;
  leave(): void;
};

/** Python's start is what takes the time: more at once only makes each of them slower. */
const startsAtOnce = 4;

/** Gives what moto launches a body, at an address of its own, and lets what moto says of it be so. */
export function openInstances({ ask, start: startOne = startStandIn }: InstancesOptions): Instances {
  const instances = new Map<string, Instance>();
  const userData = new Set<string>();
  /** By address: its last instance has left it. moto gives an address away again at once. */
  const left = new Map<string, Promise<void>>();
  let isClosed = false;
  const starts = limitConcurrency(startsAtOnce);
  const disks = mkdtempSync(join(tmpdir(), "rig-disks-"));

  /** The road from outside leads to an instance's own address. */
  const relocated = (answer: string): string =>
    answer
      .split(/(?=<instanceId>)/)
      .map(relocatedOne)
      .join("");

  function relocatedOne(part: string): string {
    const [own] = textsOf(part, "privateIpAddress");
    if (own === undefined) return part;
    return part.replaceAll(/<(ipAddress|publicIp)>[\d.]+</g, (_, element: string) => `<${element}>${own}<`);
  }

  async function start(instanceId: string, address: string, xml: string): Promise<Body | undefined> {
    const attribute = await ask("DescribeInstanceAttribute", { InstanceId: instanceId, Attribute: "userData" });
    const [stored = ""] = textsOf(attribute, "value");
    const text = userDataText(stored);
    // Nobody's machine: it is only an address.
    if (text === "") return undefined;
    userData.add(text);
    return startOne({ instanceId, address, userData: stored, xml });
  }

  /** The address is the instance's own once its former one has left it, and until it is ended. */
  function launch(instanceId: string, address: string, xml: string): void {
    // Whoever had it has ended, whether the call that ended it is answered or not.
    for (const [id, instance] of instances) if (instance.address === address) void end(id);
    const former = left.get(address) ?? Promise.resolve();
    const body = former.then(() => (isClosed ? undefined : starts(() => start(instanceId, address, xml))));
    const instance: Instance = { address, body, leave() {} };
    left.set(address, new Promise((resolve) => Object.assign(instance, { leave: resolve })));
    instances.set(instanceId, instance);
    body
      .then((started) => Object.assign(instance, { started }))
      .catch((error: unknown) => process.stderr.write(`rig: ${instanceId} has no body: ${error}\n`));
  }

  async function cut(instance: Instance | undefined): Promise<void> {
    if (!instance) return;
    instance.ended ??= instance.body
      .then((body) => body?.end())
      .catch(() => undefined)
      .then(instance.leave);
    await instance.ended;
  }

  async function end(instanceId: string): Promise<void> {
    const instance = instances.get(instanceId);
    instances.delete(instanceId);
    await cut(instance);
  }

  async function bodyOf(instanceId: string): Promise<Body | undefined> {
    const instance = instances.get(instanceId);
    const body = await instance?.body;
    return instance?.ended ? undefined : body;
  }

  async function run(request: AwsRequest, next: (request: AwsRequest) => Promise<Answer>): Promise<Answer> {
    // moto gives as few as it may, AWS as many as it can.
    const answer = await next(withParameters(request, { MinCount: request.parameters.get("MaxCount") ?? "1" }));
    for (const part of answer.body.split(/(?=<instanceId>)/)) {
      const [instanceId] = textsOf(part, "instanceId");
      const [address] = textsOf(part, "privateIpAddress");
      if (instanceId === undefined || address === undefined || instances.has(instanceId)) continue;
      launch(instanceId, address, part);
    }
    return { ...answer, body: relocated(answer.body) };
  }

  /** Targets' ports are for the balancers to reach. */
  async function expose(parameters: URLSearchParams): Promise<void> {
    const ports = listOf(parameters, "Targets", "Port");
    for (const [index, instanceId] of listOf(parameters, "Targets", "Id").entries())
      (await bodyOf(instanceId))?.expose?.(Number(ports[index]));
  }

  /** A disk is a blank file and a folder beside it. */
  function diskOf(volumeId: string): string {
    const file = join(disks, volumeId);
    mkdirSync(`${file}.files`, { recursive: true });
    writeFileSync(file, Buffer.alloc(2 << 20), { flag: "a" });
    return file;
  }

  return {
    userData,
    addressOf: (instanceId) => instances.get(instanceId)?.address,
    cut: (instanceId) => cut(instances.get(instanceId)),
    async manner(request, next) {
      const { service, action, parameters } = request;
      if (service !== "ec2") {
        if (action === "RegisterTargets") await expose(parameters);
        return next(request);
      }
      if (action === "RunInstances") return run(request, next);
      if (action === "GetConsoleOutput") {
        const instanceId = parameters.get("InstanceId") ?? "";
        const output = Buffer.from(instances.get(instanceId)?.started?.console ?? "").toString("base64");
        return xmlAnswer(request, `<instanceId>${instanceId}</instanceId><output>${output}</output>`);
      }
      const answer = await next(request);
      if (answer.status >= 300) return answer;
      const [volumeId, instanceId] = [parameters.get("VolumeId") ?? "", parameters.get("InstanceId") ?? ""];
      if (action === "AttachVolume") (await bodyOf(instanceId))?.attach(volumeId, diskOf(volumeId));
      if (action === "DetachVolume") for (const { started } of instances.values()) started?.detach(volumeId);
      if (action === "TerminateInstances") for (const id of listOf(parameters, "InstanceId")) void end(id);
      return { ...answer, body: relocated(answer.body) };
    },
    async reset() {
      await Promise.all([...instances.keys()].map(end));
    },
    async close() {
      isClosed = true;
      starts.clearQueue();
      while (starts.activeCount > 0) await new Promise((resolve) => setTimeout(resolve, 50));
      await Promise.all([...instances].map(([id, { started }]) => started && end(id)));
      rmSync(disks, { recursive: true, force: true });
    },
  };
}
