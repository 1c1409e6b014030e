import { endInstance, type Instance, type StateReason } from "./instances.ts";
import type { AwsWorld } from "./world.ts";

/** A spot instance is told so long before it is taken away. */
const spotNoticeMs = 120_000;

/** The machine switches itself off: what becomes of the instance was said at its launch. */
export function powerOff(world: AwsWorld, instance: Instance): void {
  const code = "Client.InstanceInitiatedShutdown";
  const reason = { code, message: `${code}: Instance initiated shutdown` };
  if (instance.shutdownBehavior === "stop") stop(world, instance, reason);
  else endInstance(world, instance, reason);
}

const byHand: StateReason = {
  code: "Client.UserInitiatedShutdown",
  message: "Client.UserInitiatedShutdown: User initiated shutdown",
};

/** It stands still, by somebody's hand if nothing else is said. */
export function stop(world: AwsWorld, instance: Instance, reason = byHand): void {
  instance.stoppedAtMs = world.nowMs();
  instance.stateReason = reason;
  world.bodies.ending(instance);
}

/** The host has died. */
export function failHost(world: AwsWorld, instance: Instance): void {
  endInstance(world, instance, {
    code: "Server.ScheduledStop",
    message: "Server.ScheduledStop: Stopped due to scheduled retirement",
  });
}

/** AWS wants a spot instance back: it says so, and takes it two minutes later. */
export function interruptSpot(world: AwsWorld, instance: Instance): void {
  instance.interruptedAtMs = world.nowMs() + spotNoticeMs;
  world.bodies.noticed(instance);
  void world.clock.sleep(spotNoticeMs).then(() =>
    endInstance(world, instance, {
      code: "Server.SpotInstanceTermination",
      message: "Server.SpotInstanceTermination: Spot instance termination",
    }),
  );
}
