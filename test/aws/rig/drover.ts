import { expect, vi } from "vitest";
import { DroverHome, run } from "../../e2e/drover.ts";
import { type Rig, type RigOptions, startRig } from "./rig.ts";

/** `drover serve --cloud aws` as a user starts it, on a rig of its own, and kubectl. */
export type RiggedDrover = {
  rig: Rig;
  /** Runs kubectl to its success and gives what it said. */
  k(words: string | readonly string[], input?: string): Promise<string>;
  /** What the balancer of a Service or an Ingress answers to. */
  url(what: string, port?: number): Promise<string>;
  page(url: string, host?: string): Promise<string>;
  /** Ends drover as a user does, or at once, and starts it again. */
  restart(signal?: NodeJS.Signals): Promise<void>;
  close(): Promise<void>;
};

const kubectlTimeoutMs = 620_000;

export async function startRiggedDrover(options: RigOptions = {}): Promise<RiggedDrover> {
  const rig = await startRig(options);
  const home = new DroverHome();
  Object.assign(home.env, rig.env);
  const close = async () => {
    await home.close();
    await rig.close();
  };
  const serve = () => home.serve(...rig.flags);
  try {
    await serve();
  } catch (error) {
    await close();
    throw error;
  }
  const k: RiggedDrover["k"] = async (words, input) => {
    const { code, out, err } = await home.kubectl("1.36", words, input, kubectlTimeoutMs);
    expect(code, `kubectl ${words}: ${err}`).toBe(0);
    return out;
  };
  return {
    rig,
    k,
    close,
    async url(what, port = 80) {
      const words = `get ${what} -o jsonpath={.status.loadBalancer.ingress[0].hostname}`;
      await vi.waitFor(async () => expect(await k(words)).toMatch(/amazonaws\.com$/), {
        timeout: 180_000,
        interval: 500,
      });
      return rig.front.reach(await k(words), port);
    },
    async page(url, host) {
      const header = host === undefined ? [] : ["-H", `Host: ${host}`];
      return (await run(["curl", "-s", "-m", "10", ...header, url])).out;
    },
    async restart(signal = "SIGTERM") {
      await home.stop(signal);
      await serve();
    },
  };
}
