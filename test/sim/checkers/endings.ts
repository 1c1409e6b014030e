import { type SimMachine, targetKey } from "../../../src/clouds/sim/world.ts";
import type { Simulation } from "../simulation.ts";

/**
 * Looked at the moment a machine's end begins. It must be nobody's any more, or its Pod must be going or finished; and
 * no balancer may still send it anything.
 */
export function endedRightly({ world, view }: Simulation, machine: SimMachine): string[] {
  const uid = machine.box.binding()?.uid;
  const pod = view.list("pods").find(({ metadata }) => metadata.uid === uid);
  const problems: string[] = [];
  const over =
    pod === undefined ||
    pod.metadata.deletionTimestamp !== undefined ||
    ["Succeeded", "Failed"].includes(pod.status?.phase ?? "");
  if (uid !== undefined && !over)
    problems.push(`${machine.id} was ended under Pod ${pod?.metadata.name}, which nobody asked to go`);
  for (const { spec, targets } of world.balancers.values()) {
    for (const group of spec.groups) {
      const target = group.targets.find(({ machineId }) => machineId === machine.id);
      const connections = targets.get(targetKey(group.id, machine.id))?.connections ?? 0;
      if (target !== undefined && (!target.draining || connections > 0)) {
        problems.push(
          `${machine.id} was ended while ${spec.name} had ${connections} connections to it (draining: ${target.draining})`,
        );
      }
    }
  }
  return problems;
}
