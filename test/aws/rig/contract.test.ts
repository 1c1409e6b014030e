import { once } from "node:events";
import { connect, createServer, type Server } from "node:net";
import { DescribeImagesCommand, RunInstancesCommand, TerminateInstancesCommand } from "@aws-sdk/client-ec2";
import { afterAll, beforeAll, describe, vi } from "vitest";
import { fasterClock, systemClock } from "../../../src/base/clock.ts";
import { openAwsBalancers } from "../../../src/clouds/aws/balancers.ts";
import { openSend } from "../../../src/clouds/aws/call.ts";
import { openClients } from "../../../src/clouds/aws/clients.ts";
import { openImages } from "../../../src/clouds/aws/images.ts";
import { openLaunchTemplates } from "../../../src/clouds/aws/launch-template.ts";
import { openMachines } from "../../../src/clouds/aws/machines.ts";
import { openAwsNames } from "../../../src/clouds/aws/names.ts";
import { openNetworks } from "../../../src/clouds/aws/network.ts";
import { openSecurityGroups } from "../../../src/clouds/aws/security-groups.ts";
import { openAwsVolumes } from "../../../src/clouds/aws/volumes.ts";
import { launchOf } from "../../clouds/aws/parts.ts";
import { type BalancersBench, balancersContract } from "../../contract/balancers.ts";
import { machinesContract } from "../../contract/machines.ts";
import { namesContract } from "../../contract/names.ts";
import { type VolumesUnderTest, volumesContract } from "../../contract/volumes.ts";
import { type Rig, startRig } from "./rig.ts";

/** The rig's AWS is quicker than AWS, and so is drover's clock here. */
const speed = 20;
const clock = fasterClock(systemClock, speed);
const cluster = "test";
const port = 8_080;
let rig: Rig;

beforeAll(async () => {
  rig = await startRig({ times: { lookEveryMs: 50, drainMs: 200, speed } });
  for (const [name, value] of Object.entries(rig.env)) vi.stubEnv(name, value);
}, 180_000);

afterAll(async () => {
  vi.unstubAllEnvs();
  await rig?.close();
});

async function openAws() {
  await rig.reset();
  const real = openClients();
  const send = openSend(real.clients, clock);
  const networks = openNetworks(send, clock, { cluster });
  const { Images = [] } = await send("ec2", new DescribeImagesCommand({ Owners: ["amazon"] }));
  async function instance(): Promise<{ id: string; zone: string; address: string }> {
    const input = { ImageId: Images[0]?.ImageId, InstanceType: "t3.micro", MinCount: 1, MaxCount: 1 } as const;
    const [subnet] = (await networks.find()).subnets;
    const { Instances = [] } = await send("ec2", new RunInstancesCommand({ ...input, SubnetId: subnet?.id }));
    const { InstanceId: id = "", PrivateIpAddress: address = "" } = Instances[0] ?? {};
    return { id, address, zone: subnet?.zone ?? "" };
  }
  return { send, networks, instance, close: real.close };
}

describe("balancers", { timeout: 60_000 }, () => {
  async function open(): Promise<BalancersBench> {
    const aws = await openAws();
    const { send, networks } = aws;
    const securityGroups = openSecurityGroups(send, clock, networks, { cluster });
    const log = { warn: () => {} };
    const servers = new Map<string, Server>();
    const silent = async () => {
      const { id, address } = await aws.instance();
      return { machineId: id, address, port };
    };
    const fall = async (machineId: string) => {
      servers.get(machineId)?.close();
      servers.delete(machineId);
    };
    return {
      balancers: openAwsBalancers({ send, clock, cluster, networks, securityGroups, log }),
      silent,
      fall,
      async serving() {
        const machine = await silent();
        const server = createServer((socket) => void socket.on("error", () => undefined));
        server.listen(port, machine.address);
        await once(server, "listening");
        servers.set(machine.machineId, server);
        return machine;
      },
      async connect({ addresses: [address] }, listenerPort) {
        const url = new URL(await rig.front.reach(address?.hostname ?? "", listenerPort));
        const socket = connect({ host: url.hostname, port: Number(url.port) });
        socket.on("error", () => undefined);
        await once(socket, "connect");
        // The balancer has its own connection to the target a moment later.
        await systemClock.sleep(200);
        return async () => {
          socket.destroy();
          if (!socket.closed) await once(socket, "close");
        };
      },
      async until(what, check) {
        const startedMs = systemClock.monotonicMs();
        while (!(await check())) {
          if (systemClock.monotonicMs() - startedMs > 30_000) throw new Error(`Not within 30 s: ${what}`);
          await systemClock.sleep(50);
        }
      },
      async close() {
        for (const machineId of servers.keys()) await fall(machineId);
        aws.close();
      },
    };
  }
  balancersContract(open);
});

describe("machines", { timeout: 60_000 }, () =>
  machinesContract(async () => {
    const { send, networks, close } = await openAws();
    const groups = openSecurityGroups(send, clock, networks, { cluster });
    const open = () => {
      const parts = { templates: openLaunchTemplates(send, clock, cluster), images: openImages(send, clock) };
      return openMachines({ ...parts, send, clock, cluster, networks, groups, offers: async () => [] }).machines;
    };
    const machines = open();
    const { id: image } = await machines.image("al2023", "amd64");
    const [subnet] = (await networks.find()).subnets;
    const placement = { type: "t3.micro", zone: subnet?.zone ?? "", capacityType: "on-demand" } as const;
    return {
      machines,
      // Without user data an instance is only an address: bodies are for who asks something of them.
      launchOf: (id, count) => launchOf(id, count, { cluster, placement, template: { image, userData: "" } }),
      reopen: async () => open(),
      pause: () => systemClock.sleep(20),
      close: async () => close(),
    };
  }),
);

describe("names", { timeout: 60_000 }, () =>
  namesContract(async () => {
    const { send, networks, close } = await openAws();
    const zone = { domain: "cluster.local", region: "us-east-1", createZone: true };
    const open = () => openAwsNames({ send, clock, cluster, networks, ...zone });
    return { names: open(), reopen: async () => open(), close: async () => close() };
  }),
);

describe("volumes", () => {
  async function open(): Promise<VolumesUnderTest> {
    const { send, instance } = await openAws();
    const [one, two] = [await instance(), await instance()];
    return {
      volumes: openAwsVolumes(send, cluster, {}),
      zone: one.zone,
      machineIds: [one.id, two.id],
      async endMachine(id) {
        await send("ec2", new TerminateInstancesCommand({ InstanceIds: [id] }));
      },
      pause: () => systemClock.sleep(20),
    };
  }
  volumesContract(open);
});
