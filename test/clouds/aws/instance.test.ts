import type { Instance } from "@aws-sdk/client-ec2";
import { expect, test } from "vitest";
import { machineOf } from "../../../src/clouds/aws/instance.ts";

const instance = (more: Partial<Instance>): Instance => ({
  InstanceId: "i-0123456789abcdef0",
  Tags: [{ Key: "drover.dev/launch", Value: "l-1" }],
  ...more,
});

test.for<[row: Partial<Instance>, state: string, cause: string | undefined]>([
  [{ State: { Name: "pending" } }, "pending", undefined],
  [{ State: { Name: "running" }, StateTransitionReason: "" }, "running", undefined],
  [
    {
      State: { Name: "shutting-down" },
      StateReason: { Code: "Server.SpotInstanceTermination", Message: "Server.SpotInstanceTermination: Spot" },
    },
    "stopping",
    "Server.SpotInstanceTermination: Spot",
  ],
  [
    {
      State: { Name: "terminated" },
      StateReason: {
        Code: "Client.InstanceInitiatedShutdown",
        Message: "Client.InstanceInitiatedShutdown: Instance initiated shutdown",
      },
    },
    "gone",
    "Client.InstanceInitiatedShutdown: Instance initiated shutdown",
  ],
  [{ State: { Name: "terminated" }, StateReason: { Code: "Server.InternalError" } }, "gone", "Server.InternalError"],
  [
    { State: { Name: "terminated" }, StateTransitionReason: "User initiated (2026-11-21 20:00:00 GMT)" },
    "gone",
    "User initiated (2026-11-21 20:00:00 GMT)",
  ],
  [{ State: { Name: "terminated" } }, "gone", "terminated"],
  // It may be started again, so its end is not certain.
  [
    { State: { Name: "stopped" }, StateReason: { Code: "Client.UserInitiatedShutdown", Message: "by ann" } },
    "running",
    "Client.UserInitiatedShutdown: by ann",
  ],
  [{ State: { Name: "stopping" } }, "running", "stopping"],
  [
    {
      State: { Name: "terminated" },
      StateReason: { Code: "Client.InternalError", Message: "Client.InternalError: Client error on launch" },
    },
    "gone",
    "Client.InternalError: Client error on launch (mostly the KMS key of its encrypted disk: these credentials, or the key's policy, don't allow its use)",
  ],
])("%j is %s", ([row, state, cause]) => {
  const machine = machineOf(instance(row));
  expect([machine?.state, machine?.cause]).toEqual([state, cause]);
});

test("an instance of nobody's launch is no machine", () => {
  expect(machineOf(instance({ Tags: [{ Key: "Name", Value: "web" }] }))).toBeUndefined();
  expect(machineOf(instance({ InstanceId: undefined }))).toBeUndefined();
});

test("addresses, place and price model are told once they are known", () => {
  const row = {
    PrivateIpAddress: "10.0.0.7",
    PublicIpAddress: "203.0.113.7",
    InstanceType: "t3.micro",
    InstanceLifecycle: "spot",
    AmiLaunchIndex: 3,
    Placement: { AvailabilityZone: "us-east-1a" },
    State: { Name: "running" },
  } as const;
  expect(machineOf(instance(row))).toEqual({
    id: "i-0123456789abcdef0",
    launchId: "l-1",
    slot: 3,
    state: "running",
    type: "t3.micro",
    zone: "us-east-1a",
    capacityType: "spot",
    address: "10.0.0.7",
    publicAddress: "203.0.113.7",
  });
});
