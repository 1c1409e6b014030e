import type { GetConsoleOutputRequest, GetConsoleOutputResult } from "@aws-sdk/client-ec2";
import { dateOf } from "../../../base/clock.ts";
import { instancesNamed } from "./instances.ts";
import type { AwsWorld } from "./world.ts";

/** The newest that is given. */
const bytesMax = 65_536;

export function getConsoleOutput(
  world: AwsWorld,
  { InstanceId: id = "" }: GetConsoleOutputRequest,
  atMs: number,
): GetConsoleOutputResult {
  const [instance] = instancesNamed(world, [id], atMs);
  const text = instance === undefined ? "" : world.bodies.console(instance, atMs);
  const output = Buffer.from(text).subarray(-bytesMax).toString("base64");
  return { InstanceId: id, Timestamp: dateOf(world.clock.wallMs()), ...(text !== "" && { Output: output }) };
}

/** What cloud-init prints of a machine's keys; the key is made up. */
export const consoleText = (instanceId: string): string => {
  const blob = Buffer.concat([
    Buffer.from([0, 0, 0, 11]),
    Buffer.from("ssh-ed25519"),
    Buffer.from([0, 0, 0, 32]),
    Buffer.from(instanceId.padEnd(32, ".").slice(0, 32)),
  ]);
  return [
    "[    0.000000] Linux version 6.1.0-30-cloud-amd64",
    "-----BEGIN SSH HOST KEY KEYS-----",
    `ssh-ed25519 ${blob.toString("base64")} root@${instanceId}`,
    "-----END SSH HOST KEY KEYS-----",
    "Cloud-init v. 23.4 finished. Datasource DataSourceEc2Local.\r\n",
  ].join("\r\n");
};
