import { type Duplex, Readable } from "node:stream";
import { parseTimeMs } from "../../base/clock.ts";
import { DroverError } from "../../base/errors.ts";
import type { Boxes, ExecRequest, LogRequest } from "../box.ts";
import { execOn } from "./shell.ts";
import type { SimMachine, World } from "./world.ts";

/** drover's way into the simulated machines: one a drover process. `connectTo` reaches a machine's web server. */
export function simBoxes(world: World, connectTo: (machine: SimMachine) => Duplex): Boxes {
  const followed = new Map<string, () => void>();
  const listeners = new Set<(machineId: string) => void>();
  const tell = (machineId: string) => {
    for (const listener of listeners) listener(machineId);
  };
  const reach = (machineId: string): SimMachine => {
    const machine = world.machines.get(machineId);
    if (machine?.box.answers()) return machine;
    throw new DroverError("BOX_UNREACHABLE", `machine ${machineId} does not answer`, { machine: machineId });
  };
  return {
    follow(machines) {
      const wanted = new Set(machines.map(({ id }) => id));
      for (const [id, stop] of followed) {
        if (wanted.has(id)) continue;
        stop();
        followed.delete(id);
      }
      for (const id of wanted) {
        if (!followed.has(id))
          followed.set(
            id,
            watchBox(world, id, () => tell(id)),
          );
      }
    },
    contact(machineId) {
      const box = world.machines.get(machineId)?.box;
      if (!followed.has(machineId) || box === undefined) return undefined;
      return box.answers() ? { reachable: true, report: box.report() } : { reachable: false };
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async bind(machineId, binding, signal) {
      await world.call("bind", world.latencies.otherCall, signal, () => reach(machineId).box.bind(binding));
    },
    async update(machineId, _update, signal) {
      await world.call("update", world.latencies.otherCall, signal, () => reach(machineId));
    },
    async stop(machineId, graceSeconds, signal) {
      await world.call("stop", world.latencies.otherCall, signal, () => void reach(machineId).box.stop(graceSeconds));
    },
    logs: async (machineId, request, signal) => logsOf(reach(machineId), request, signal),
    exec: async (machineId, request, signal) => {
      const machine = reach(machineId);
      const { spec } = containerOf(machine, request.container);
      const hostname = machine.box.binding()?.hostname ?? machineId;
      return execOn(
        { clock: world.clock, hostname, env: spec.env },
        attachable(request),
        AbortSignal.any([signal, machine.box.ended()]),
      );
    },
    connect: async (machineId, _port) => connectTo(reach(machineId)),
    async close() {
      for (const stop of followed.values()) stop();
      followed.clear();
      listeners.clear();
    },
  };
}

/** Attaching to a simulated process shows what `cat` would. */
const attachable = (request: ExecRequest): ExecRequest =>
  request.command.length > 0 ? request : { ...request, command: ["cat"] };

function watchBox(world: World, machineId: string, tell: () => void): () => void {
  const box = world.machines.get(machineId)?.box;
  const stopped = new AbortController();
  if (box === undefined) return () => stopped.abort();
  const unlisten = box.onChange(tell);
  const waitMs = box.readyAtMs - world.clock.monotonicMs();
  if (waitMs > 0)
    world.clock.sleep(waitMs, stopped.signal).then(tell, () => {}); // Let go before it answered.
  else tell();
  return () => {
    stopped.abort(new Error("no longer followed"));
    unlisten();
  };
}

function containerOf(machine: SimMachine, name: string) {
  const container = machine.box.container(name);
  if (container !== undefined) return container;
  throw new DroverError("BOX_REFUSED", `container ${name} is not on machine ${machine.id}`, { container: name });
}

function logsOf(machine: SimMachine, request: LogRequest, signal: AbortSignal): Readable {
  const { box } = machine;
  containerOf(machine, request.container);
  const sinceMs = request.sinceTime === undefined ? 0 : parseTimeMs(request.sinceTime);
  const shown = (line: string) => `${request.timestamps ? line : line.slice(line.indexOf(" ") + 1)}\n`;
  const lines = () =>
    box.logLines(request.container).filter((line) => parseTimeMs(line.slice(0, line.indexOf(" "))) >= sinceMs);
  const first = request.tailLines === undefined ? lines() : lines().slice(-request.tailLines || lines().length);
  if (!request.follow) return Readable.from([first.map(shown).join("")]);
  let sent = lines().length;
  const stream = new Readable({ read: () => {} });
  stream.push(first.map(shown).join(""));
  const unlisten = box.onChange(() => {
    const all = lines();
    for (const line of all.slice(sent)) stream.push(shown(line));
    sent = all.length;
  });
  const end = () => {
    unlisten();
    stream.push(null);
  };
  signal.addEventListener("abort", end, { once: true });
  box.ended().addEventListener("abort", end, { once: true });
  stream.once("close", unlisten);
  return stream;
}
