import type { Boxes } from "../../box.ts";
import { SimBox } from "../box.ts";
import { simBoxes } from "../boxes.ts";
import { webServer } from "../web.ts";
import { World } from "../world.ts";
import { powerOff } from "./accidents.ts";
import { consoleText } from "./console.ts";
import type { Instance } from "./instances.ts";
import { draw } from "./latencies.ts";
import type { AwsWorld, Bodies } from "./world.ts";

/** A machine that nobody binds switches itself off after so long: the timer is in its user data. */
const unboundMs = 15 * 60_000;

/**
 * The insides of a fake's instances: simulated boxes, as in the simulated cloud. `connect` is one drover process' way
 * into them; it outlives none, so a restarted process connects anew.
 */
export function boxBodies(world: AwsWorld): Bodies & { connect(): Boxes } {
  const inside = new World({ clock: world.clock, random: world.random });
  const web = webServer(inside);
  const states = new Map<string, { serves: boolean; sinceMs: number }>();
  const noticeListeners = new Set<(machineId: string) => void>();
  const consoleAtMs = new Map<string, number>();

  const follow = (instance: Instance, box: SimBox) => {
    const look = () => {
      const serves = box.answers() && box.serves();
      if (states.get(instance.id)?.serves !== serves) states.set(instance.id, { serves, sinceMs: world.nowMs() });
    };
    look();
    box.onChange(look);
  };

  const endUnbound = async (instance: Instance, box: SimBox) => {
    await world.clock.sleep(box.readyAtMs + unboundMs - world.nowMs(), box.ended());
    if (box.binding() === undefined) powerOff(world, instance);
  };

  return {
    launched(instance) {
      if (Number.isFinite(instance.shuttingDownAtMs)) return; // It never runs.
      const initAtMs = instance.runningAtMs + draw(world.random, world.latencies.cloudInit);
      const box = new SimBox(inside, initAtMs + draw(world.random, world.latencies.agent));
      consoleAtMs.set(instance.id, initAtMs);
      inside.machines.set(instance.id, { ...machineOf(instance), box });
      follow(instance, box);
      endUnbound(instance, box).catch(() => {}); // It ended before.
    },
    ending(instance) {
      inside.machines.get(instance.id)?.box.halt();
    },
    noticed({ id }) {
      for (const tell of noticeListeners) tell(id);
    },
    serving: (instance) => states.get(instance.id) ?? { serves: false, sinceMs: instance.runningAtMs },
    console(instance, atMs) {
      const box = inside.machines.get(instance.id)?.box;
      const saidAtMs = consoleAtMs.get(instance.id) ?? Number.POSITIVE_INFINITY;
      return box === undefined || atMs < saidAtMs ? "" : consoleText(instance.id) + box.console();
    },
    connect: () => withNotices(world, simBoxes(inside, web.connect), noticeListeners),
  };
}

/** A box whose provider has announced its end says so in its report. */
function withNotices(world: AwsWorld, boxes: Boxes, listeners: Set<(machineId: string) => void>): Boxes {
  return {
    ...boxes,
    contact(machineId) {
      const contact = boxes.contact(machineId);
      const endsAtMs = world.instances.get(machineId)?.interruptedAtMs;
      if (contact?.report === undefined || endsAtMs === undefined) return contact;
      const atMs = world.clock.wallMs() + endsAtMs - world.nowMs();
      return { ...contact, report: { ...contact.report, notice: { kind: "interruption", atMs } } };
    },
    onChange(listener) {
      listeners.add(listener);
      const stop = boxes.onChange(listener);
      return () => {
        listeners.delete(listener);
        stop();
      };
    },
  };
}

/** What the simulated cloud's boxes want to know of their machine; nobody asks AWS' instances for a claim here. */
const machineOf = (instance: Instance) => ({
  id: instance.id,
  launchId: instance.clientToken,
  slot: instance.launchIndex,
  placement: { type: instance.type, zone: instance.zone, capacityType: instance.lifecycle ?? ("on-demand" as const) },
  claim: { owner: { namespace: "", kind: "", name: "" }, templateHash: "", podName: "", podUid: "" },
  cpuMillis: 0,
  memoryBytes: 0,
  address: instance.privateIp,
  visibleAtMs: instance.visibleAtMs,
  runningAtMs: instance.runningAtMs,
  stoppingAtMs: Number.POSITIVE_INFINITY,
  goneAtMs: Number.POSITIVE_INFINITY,
});
