import type { MessagePort } from "node:worker_threads";
import pLimit from "p-limit";
import { DroverError } from "../../base/errors.ts";
import type { Contact } from "../../clouds/box.ts";
import { Link } from "./link.ts";
import type { Followed, FromThread, Task, ThreadSettings, ToThread } from "./messages.ts";

/** So many connections are being made at a time: the key exchanges of a thousand at once would starve the rest. */
const dialsAtOnce = 32;

/** Keeps the connections and answers on `port`; runs in a thread of its own. */
export function serveLinks(port: MessagePort, settings: ThreadSettings): void {
  const links = new Map<string, Link>();
  const waiting = new Map<string, ((fingerprints: readonly string[]) => void)[]>();
  const known = new Map<string, readonly string[]>();
  const paced = pLimit(dialsAtOnce);
  let apiPort: number | undefined;
  const say = (message: FromThread) => port.postMessage(message);

  const fingerprints = (machineId: string, refused?: string) => {
    const have = refused === undefined ? known.get(machineId) : undefined;
    if (have) return Promise.resolve(have);
    known.delete(machineId);
    say({ type: "fingerprintsWanted", machineId, ...(refused !== undefined && { refused }) });
    return new Promise<readonly string[]>((resolve) => {
      waiting.set(machineId, [...(waiting.get(machineId) ?? []), resolve]);
    });
  };
  const follow = (machines: readonly Followed[]) => {
    const wanted = new Map(machines.map((machine) => [machine.id, machine]));
    for (const [id, link] of links) {
      const machine = wanted.get(id);
      if (machine && link.leadsTo(machine)) continue;
      link.close();
      links.delete(id);
      waiting.delete(id);
      known.delete(id);
    }
    for (const machine of machines) {
      if (links.has(machine.id)) continue;
      const host = {
        settings,
        paced,
        apiPort: () => apiPort,
        tell: (contact: Contact) => say({ type: "contact", machineId: machine.id, contact }),
        fingerprints: (refused?: string) => fingerprints(machine.id, refused),
        trusted: (fingerprint: string) => say({ type: "trusted", machineId: machine.id, fingerprint }),
      };
      links.set(machine.id, new Link(machine, host));
    }
  };
  const perform = async (id: number, machineId: string, task: Task) => {
    try {
      const link = links.get(machineId);
      if (!link) throw new DroverError("BOX_UNREACHABLE", `The machine ${machineId} has no address yet.`);
      await link.carryOut(task);
      say({ type: "done", id });
    } catch (error) {
      const code = error instanceof DroverError ? error.code : "BOX_UNREACHABLE";
      say({ type: "done", id, failure: { code, message: error instanceof Error ? error.message : String(error) } });
    }
  };
  port.on("message", (message: ToThread) => {
    if (message.type === "follow") follow(message.machines);
    else if (message.type === "task") void perform(message.id, message.machineId, message.task);
    else if (message.type === "apiPort") apiPort = message.port;
    else if (message.type === "close") {
      follow([]);
      say({ type: "closed" });
      port.close();
    } else {
      known.set(message.machineId, message.fingerprints);
      for (const resolve of waiting.get(message.machineId) ?? []) resolve(message.fingerprints);
      waiting.delete(message.machineId);
    }
  });
}
