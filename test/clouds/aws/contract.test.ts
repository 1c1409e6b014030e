import { describe } from "vitest";
import { openSend } from "../../../src/clouds/aws/call.ts";
import { openAwsNames } from "../../../src/clouds/aws/names.ts";
import { openNetworks } from "../../../src/clouds/aws/network.ts";
import { ec2Latencies } from "../../../src/clouds/sim/aws/latencies.ts";
import { machinesContract } from "../../contract/machines.ts";
import { namesContract } from "../../contract/names.ts";
import { passing } from "../../contract/passing.ts";
import { openFake } from "../sim/aws/setup.ts";
import { launchOf, openParts } from "./parts.ts";

/** What the ports promise, by the aws cloud on the fake of AWS. */

describe("machines", () =>
  machinesContract(async () => {
    const fake = openFake({ latencies: ec2Latencies });
    const open = () => passing(openParts(fake).machines, fake.clock);
    return { machines: open(), launchOf, reopen: async () => open(), pause: () => fake.clock.advance(2_000) };
  }));

describe("names", () =>
  namesContract(async () => {
    const domain = "cluster.local";
    const fake = openFake({ hostedZones: [domain], latencies: ec2Latencies });
    const open = () => {
      const { clock } = fake;
      const send = openSend(fake.connect(), clock);
      const networks = openNetworks(send, clock, { cluster: "test" });
      return passing(openAwsNames({ send, clock, cluster: "test", domain, region: "us-east-1", networks }), clock);
    };
    return { names: open(), reopen: async () => open() };
  }));
