import type { Instance } from "@aws-sdk/client-ec2";
import type { Machine, Placement } from "../cloud.ts";
import { claimOf, launchTag, tagsOf } from "./tags.ts";

/** AWS always tells how a machine is paid for. */
export type AwsMachine = Machine & { capacityType: Placement["capacityType"] };

/**
 * EC2's states. A machine that somebody stopped keeps its disk and may be started again, so its end is not certain; it is
 * shown as running, with the stop as its cause.
 */
const states: Readonly<Record<string, Machine["state"]>> = {
  pending: "pending",
  running: "running",
  stopping: "running",
  stopped: "running",
  "shutting-down": "stopping",
  terminated: "gone",
};

/** AWS does not say it: what it can't encrypt it can't start. */
const keyHint = "mostly the KMS key of its encrypted disk: these credentials, or the key's policy, don't allow its use";

function causeOf({ State, StateReason, StateTransitionReason }: Instance): string | undefined {
  if (State?.Name === "pending" || State?.Name === "running") return undefined;
  if (StateReason?.Code) {
    // Messages repeat their code in front.
    const told = StateReason.Message?.replace(`${StateReason.Code}: `, "");
    const said = StateReason.Code === "Client.InternalError" ? `${told ?? ""} (${keyHint})` : told;
    return said ? `${StateReason.Code}: ${said}` : StateReason.Code;
  }
  return StateTransitionReason || State?.Name;
}

/** An instance of a launch of drover's, or undefined for one that isn't. */
export function machineOf(instance: Instance): AwsMachine | undefined {
  const tags = tagsOf(instance.Tags);
  const launchId = tags[launchTag];
  if (instance.InstanceId === undefined || launchId === undefined) return undefined;
  const slot = instance.AmiLaunchIndex ?? 0;
  const cause = causeOf(instance);
  const claim = claimOf(tags, slot);
  return {
    id: instance.InstanceId,
    launchId,
    slot,
    state: states[instance.State?.Name ?? ""] ?? "pending",
    type: instance.InstanceType ?? "",
    zone: instance.Placement?.AvailabilityZone ?? "",
    capacityType: instance.InstanceLifecycle === "spot" ? "spot" : "on-demand",
    ...(instance.PrivateIpAddress && { address: instance.PrivateIpAddress }),
    ...(instance.PublicIpAddress && { publicAddress: instance.PublicIpAddress }),
    ...(cause !== undefined && { cause }),
    ...(claim && { claim }),
  };
}
