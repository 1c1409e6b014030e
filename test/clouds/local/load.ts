import { Agent, get } from "node:http";

type Tally = { sent: number; lost: string[]; retried: number; names: Map<string, number> };
/** `answered`: by the target of this name, at least once. */
type Load = { answered: (name: string) => boolean; stop: () => Promise<Tally> };

/** How one request ended: the body, or what went wrong. */
const once = (
  url: string,
  agent: Agent,
  timeoutMs: number,
): Promise<{ body: string } | { error: string; fresh: boolean }> =>
  new Promise((resolve) => {
    const request = get(url, { agent, timeout: timeoutMs }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (text: string) => {
        body += text;
      });
      response.on("end", () =>
        resolve(response.statusCode === 200 ? { body } : failed(`status ${response.statusCode}`)),
      );
      response.on("error", (error) => resolve(failed(`in the answer: ${error.message}`)));
    });
    let started = false;
    request.on("response", () => {
      started = true;
    });
    request.on("timeout", () => request.destroy(new Error("timed out")));
    request.on("error", (error) => resolve(failed(error.message)));
    /** Fresh: the connection was used before and broke before a byte of the answer came. */
    const failed = (error: string) => ({ error, fresh: request.reusedSocket && !started && error !== "timed out" });
  });

/**
 * Requests at a fixed rate until `stop`, whatever becomes of them: on new connections, on kept-alive ones, and slow
 * ones. Only what broke on a kept-alive connection before a byte of the answer is retried, once, on a new one.
 */
export function generateLoad(url: string, o: { perSecond: number; slowMs: number }): Load {
  const tally: Tally = { sent: 0, lost: [], retried: 0, names: new Map() };
  const kept = new Agent({ keepAlive: true, maxSockets: 20 });
  const fresh = new Agent({ keepAlive: false });
  const under = new Set<Promise<void>>();
  const send = async (path: string, agent: Agent) => {
    tally.sent++;
    let result = await once(`${url}${path}`, agent, o.slowMs + 5_000);
    if ("error" in result && result.fresh) {
      tally.retried++;
      result = await once(`${url}${path}`, fresh, o.slowMs + 5_000);
    }
    if ("error" in result) tally.lost.push(`${path}: ${result.error}`);
    else tally.names.set(result.body, (tally.names.get(result.body) ?? 0) + 1);
  };
  const track = (one: Promise<void>) => {
    under.add(one);
    void one.finally(() => under.delete(one));
  };
  let count = 0;
  const timer = setInterval(() => {
    track(send("/", count % 2 === 0 ? kept : fresh));
    if (count++ % Math.ceil(o.perSecond / 4) === 0) track(send(`/slow?ms=${o.slowMs}`, fresh));
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
