import { Agent } from "node:http";
import { systemClock } from "../../../src/base/clock.ts";
import { ask } from "../../../src/cli/load.ts";

type Tally = { sent: number; lost: string[]; retried: number; names: Map<string, number> };
/** `answered`: by the target of this name, at least once. */
type Load = { answered: (name: string) => boolean; stop: () => Promise<Tally> };

/**
 * Requests at a fixed rate until `stop`, whatever becomes of them: on new connections, on kept-alive ones, and slow
 * ones. Only what broke on a kept-alive connection before a byte of the answer is retried, once, on a new one.
 */
export function generateLoad(url: string, o: { perSecond: number; slowMs: number }): Load {
  const tally: Tally = { sent: 0, lost: [], retried: 0, names: new Map() };
  const kept = new Agent({ keepAlive: true, maxSockets: 20 });
  const under = new Set<Promise<void>>();
  const once = (path: string, agent: Agent | false) => ask(systemClock, `${url}${path}`, agent, o.slowMs + 5_000);
  const send = async (path: string, agent: Agent | false) => {
    tally.sent++;
    let { body = "", loss, closedUnanswered } = await once(path, agent);
    if (closedUnanswered) {
      tally.retried++;
      ({ body = "", loss } = await once(path, false));
    }
    if (loss !== undefined) tally.lost.push(`${path}: ${loss}`);
    else tally.names.set(body, (tally.names.get(body) ?? 0) + 1);
  };
  const track = (one: Promise<void>) => {
    under.add(one);
    void one.finally(() => under.delete(one));
  };
  let count = 0;
  const timer = setInterval(() => {
    track(send("/", count % 2 === 0 ? kept : false));
    if (count++ % Math.ceil(o.perSecond / 4) === 0) track(send(`/slow?ms=${o.slowMs}`, false));
  }, 1000 / o.perSecond);
  return {
    answered: (name) => tally.names.has(name),
    stop: async () => {
      clearInterval(timer);
      await Promise.all(under);
      kept.destroy();
      return tally;
    },
  };
}
