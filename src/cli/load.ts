import { Agent, type ClientRequest, request as httpRequest, type IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Clock } from "../base/clock.ts";

/** What a load of requests met. Every reset, time-out and answer other than 200 is lost. */
export type LoadReport = {
  sent: number;
  lost: number;
  /** Kept-alive connections that were closed before a byte of the answer; repeated once on a new one, as HTTP clients do. */
  retried: number;
  slow: number;
  p50Ms: number;
  p99Ms: number;
  /** How often each kind of loss was seen. */
  losses: Record<string, number>;
  /** How many answers each page gave, by the first word of its body. */
  answeredBy: Record<string, number>;
};

export type LoadOptions = {
  clock: Clock;
  /** `http://address:port`. */
  url: string;
  ratePerSecond: number;
  /** A path whose answers take their time, and how often it is asked for. */
  slow?: { path: string; everyMs: number };
  /** After which an answer counts as lost. */
  timeoutMs?: number;
};

type Outcome = { ms: number; loss?: string; body?: string };

/** Sends requests in turn on new and on kept-alive connections until `stop`, which waits for the last answers. */
export function startLoad({ clock, url, ratePerSecond, slow, timeoutMs = 20_000 }: LoadOptions): {
  stop(): Promise<LoadReport>;
} {
  const stopped = new AbortController();
  const kept = new Agent({ keepAlive: true, maxSockets: 32 });
  const pending = new Set<Promise<void>>();
  const outcomes: Outcome[] = [];
  let retried = 0;
  let slowSent = 0;

  const fetchOnce = (path: string, agent: Agent | false) => ask(clock, `${url}${path}`, agent, timeoutMs);
  const send = (path: string, agent: Agent | false) => {
    const work = fetchOnce(path, agent).then(async (first) => {
      if (!first.closedUnanswered) return void outcomes.push(first);
      retried++;
      outcomes.push(await fetchOnce(path, false));
    });
    pending.add(work);
    void work.finally(() => pending.delete(work));
  };
  const steadily = async () => {
    for (let count = 0; ; count++) {
      send("/", count % 2 === 0 ? kept : false);
      await clock.sleep(1_000 / ratePerSecond, stopped.signal);
    }
  };
  const slowly = async (path: string, everyMs: number) => {
    for (;;) {
      slowSent++;
      send(path, slowSent % 2 === 0 ? kept : false);
      await clock.sleep(everyMs, stopped.signal);
    }
  };
  const ended = () => {}; // The sleeps end by the abort, which is how the load stops.
  void steadily().catch(ended);
  if (slow) void slowly(slow.path, slow.everyMs).catch(ended);

  return {
    async stop() {
      stopped.abort(new Error("the load was stopped"));
      while (pending.size > 0) await Promise.all(pending);
      kept.destroy();
      return { ...summary(outcomes), retried, slow: slowSent };
    },
  };
}

function summary(outcomes: readonly Outcome[]): Omit<LoadReport, "retried" | "slow"> {
  const times = outcomes.map(({ ms }) => ms).sort((a, b) => a - b);
  const at = (share: number) => Math.round(times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0);
  const count = (words: readonly (string | undefined)[]) => {
    const counts: Record<string, number> = {};
    for (const word of words) if (word !== undefined) counts[word] = (counts[word] ?? 0) + 1;
    return counts;
  };
  const losses = count(outcomes.map(({ loss }) => loss));
  const lost = Object.values(losses).reduce((sum, each) => sum + each, 0);
  const answeredBy = count(outcomes.map(({ body }) => body?.split(/\s/, 1)[0]));
  return { sent: outcomes.length, lost, p50Ms: at(0.5), p99Ms: at(0.99), losses, answeredBy };
}

/** Connections that have carried a request. Node's `reusedSocket` is false of a request that had to wait for its one. */
const used = new WeakSet<Socket>();

/** One request. Never rejects: what went wrong is in the outcome. */
export function ask(
  clock: Clock,
  url: string,
  agent: Agent | false,
  timeoutMs: number,
): Promise<Outcome & { closedUnanswered?: true }> {
  const startMs = clock.monotonicMs();
  return new Promise((resolve) => {
    let answered = false;
    let isReused = false;
    const sending: ClientRequest = httpRequest(url, { agent, timeout: timeoutMs }, (response: IncomingMessage) => {
      answered = true;
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        body += chunk;
      });
      response.on("error", (error) => done({ loss: errorName(error) }));
      response.on("aborted", () => done({ loss: "aborted answer" }));
      response.on("end", () =>
        done(response.statusCode === 200 ? { body } : { loss: `status ${response.statusCode}` }),
      );
    });
    const done = (outcome: { loss?: string; body?: string; closedUnanswered?: true }) =>
      resolve({ ms: clock.monotonicMs() - startMs, ...outcome });
    sending.on("socket", (socket) => {
      isReused = used.has(socket);
      used.add(socket);
    });
    sending.on("timeout", () => sending.destroy(new Error("time-out")));
    sending.on("error", (error) => {
      const unanswered = isReused && errorName(error) === "ECONNRESET" && !answered;
      done(unanswered ? { closedUnanswered: true } : { loss: errorName(error) });
    });
    sending.end();
  });
}

const errorName = (error: Error): string =>
  "code" in error && typeof error.code === "string" ? error.code : error.message;
