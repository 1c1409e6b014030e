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
