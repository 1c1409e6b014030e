import { expect } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import { ask, type LoadOptions, startLoad } from "../../src/cli/load.ts";
import { type DroverHome, run } from "./drover.ts";

type Slow = NonNullable<LoadOptions["slow"]>;
type Settings = {
  home: DroverHome;
  /** Of the Deployment, its Pods' label `app` and the Service. */
  name: string;
  slow: Slow;
  /** Default: 10. */
  graceSeconds?: number;
  /** The server cuts its answers off when it is told to stop. Slow ones then come on connections of their own: on a
   * kept-alive one another may always be on its way when the grace is over. */
  abrupt: boolean;
};

/** What a load met: how many requests, and how often each kind of loss. */
export type Met = { sent: number; losses: Record<string, number> };

const port = 8080;
const kubectlTimeoutMs = 600_000;

/** Asks for slow answers, each on a connection of its own, until the stop, which tells how those that were lost were. */
function startSlow(url: string, { path, everyMs }: Slow): () => Promise<string[]> {
  const asked: ReturnType<typeof ask>[] = [];
  const timer = setInterval(() => asked.push(ask(systemClock, `${url}${path}`, false, 20_000)), everyMs);
  return async () => {
    clearInterval(timer);
    return (await Promise.all(asked)).flatMap(({ loss }) => loss ?? []);
  };
}

/** A Deployment of web servers and its Service of type LoadBalancer, as a person works on them with kubectl. */
export class WebService {
  readonly #settings: Settings;

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  async #kubectl(words: string, input?: string): Promise<string> {
    const { code, out, err } = await this.#settings.home.kubectl("1.36", words, input, kubectlTimeoutMs);
    expect(code, `kubectl ${words}: ${err}`).toBe(0);
    return out;
  }

  /** Applies both, and waits until the balancer gives a page. */
  async start(image: string, replicas: number): Promise<void> {
    await this.#kubectl("apply -f -", this.#manifest(image, replicas));
    await this.#kubectl(`rollout status deployment/${this.#settings.name} --timeout=600s`);
    // The Pods were made before their Service: they were ready before the balancer had looked at them.
    const page = async () => (await run(["curl", "-s", "-m", "10", await this.url()])).out;
    await expect.poll(page, { timeout: 30_000 }).toContain(image);
  }

  #manifest(image: string, replicas: number): string {
    const { name, abrupt } = this.#settings;
    return `
apiVersion: apps/v1
kind: Deployment
metadata: {name: ${name}}
spec:
  replicas: ${replicas}
  selector: {matchLabels: {app: ${name}}}
  template:
    metadata: {labels: {app: ${name}}}
    spec:
      terminationGracePeriodSeconds: ${this.#settings.graceSeconds ?? 10}
      ${abrupt ? "os: {name: linux}" : ""}
      containers:
      - name: web
        image: ${image}
        ports: [{containerPort: 80, name: http}]
        ${abrupt ? "lifecycle: {stopSignal: SIGTERM}" : ""}
        resources: {requests: {cpu: 100m, memory: 64Mi}}
        # An emulated machine on a busy computer may stand still for seconds: without a ready Pod all would be lost.
        readinessProbe: {httpGet: {path: /, port: http}, periodSeconds: 1, timeoutSeconds: 10}
---
apiVersion: v1
kind: Service
metadata: {name: ${name}}
spec:
  type: LoadBalancer
  selector: {app: ${name}}
  ports: [{port: ${port}, targetPort: http}]
`;
  }

  async url(): Promise<string> {
    const words = `get service ${this.#settings.name} -o jsonpath={.status.loadBalancer.ingress[0].ip}`;
    const ip = await this.#kubectl(words);
    expect(ip).toMatch(/^127\./);
    return `http://${ip}:${port}`;
  }

  /** 50 requests a second on new connections, 50 on kept-alive ones, and slow answers, while `work` goes on. */
  async underLoad(work: () => Promise<unknown>): Promise<Met> {
    const { slow, abrupt } = this.#settings;
    const url = await this.url();
    const load = startLoad({ clock: systemClock, url, ratePerSecond: 100, ...(!abrupt && { slow }) });
    const stopSlow = abrupt ? startSlow(url, slow) : async () => [];
    await systemClock.sleep(2_000);
    await work();
    await systemClock.sleep(2_000);
    const [{ sent, losses }, cut] = await Promise.all([load.stop(), stopSlow()]);
    return { sent, losses: { ...losses, ...(cut.length > 0 && { [`slow answers: ${cut[0]}`]: cut.length }) } };
  }

  /** Until none but this many Pods are there. */
  async #pods(count: number): Promise<void> {
    const pods = async () => (await this.#kubectl(`get pods -l app=${this.#settings.name} -o name`)).trim().split("\n");
    await expect.poll(pods, { timeout: 120_000, interval: 500 }).toHaveLength(count);
  }

  async #available(count: number): Promise<void> {
    const { name } = this.#settings;
    await this.#kubectl(`wait --for=jsonpath={.status.availableReplicas}=${count} deployment/${name} --timeout=240s`);
  }

  async roll(image: string, replicas: number): Promise<void> {
    const { name } = this.#settings;
    await this.#kubectl(`set image deployment/${name} web=${image}`);
    await this.#kubectl(`rollout status deployment/${name} --timeout=240s`);
    await this.#pods(replicas);
  }

  /** Drains the machine of the first Pod, and waits for its successor. */
  async drain(replicas: number): Promise<void> {
    const { name } = this.#settings;
    const node = await this.#kubectl(`get pods -l app=${name} -o jsonpath={.items[0].spec.nodeName}`);
    await this.#kubectl(`drain ${node} --timeout=120s`);
    await this.#available(replicas);
  }

  async scale(replicas: number): Promise<void> {
    const { name } = this.#settings;
    await this.#kubectl(`scale deployment/${name} --replicas=${replicas}`);
    await this.#available(replicas);
    await this.#pods(replicas);
  }

  async remove(): Promise<void> {
    const { name } = this.#settings;
    await this.#kubectl(`delete deployment,service ${name} --timeout=120s`);
    await this.#kubectl(`wait --for=delete pods -l app=${name} --timeout=120s`);
  }
}
