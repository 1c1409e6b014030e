import type { ContainerStatus } from "../../api/types.gen.ts";
import { rfc3339 } from "../../base/clock.ts";
import type { BoundContainer, BoundProbe } from "../box.ts";
import { imageMissing, probePasses, programOf } from "./program.ts";
import type { World } from "./world.ts";

/** What a container tells the box it lives in. */
export type ContainerHost = {
  world: World;
  restartPolicy: "Always" | "OnFailure" | "Never";
  changed(): void;
  event(type: "Normal" | "Warning", reason: string, message: string, container: string): void;
  log(container: string, line: string): void;
};

/** Kubernetes waits 10 s before the first restart and doubles up to five minutes. */
const backoffMs = (restarts: number): number => Math.min(300_000, 10_000 * 2 ** Math.max(0, restarts - 1));

/** One simulated container: Kubernetes' own status object, changed as its life goes on. */
export class SimContainer {
  spec: BoundContainer;
  readonly status: ContainerStatus;
  readonly #host: ContainerHost;
  #renewed: () => void = () => {};

  constructor(spec: BoundContainer, host: ContainerHost, saved?: ContainerStatus) {
    this.spec = spec;
    this.#host = host;
    const state = { waiting: { reason: "ContainerCreating" } };
    this.status = saved ?? {
      name: spec.name,
      image: spec.image,
      imageID: "",
      ready: false,
      restartCount: 0,
      started: false,
      state,
    };
  }

  /** The Pod was bound again: what was missing may be there now. */
  renew(spec: BoundContainer): void {
    this.spec = spec;
    this.#renewed();
  }

  /** Runs until it has ended for good, or `stop` / the end of the machine. Resolves with its last exit code. */
  async live(signal: AbortSignal): Promise<number> {
    for (;;) {
      if (this.status.state?.running === undefined && !(await this.#start(signal))) continue;
      const exitCode = await this.#serve(signal);
      const again =
        this.spec.sidecar ||
        this.#host.restartPolicy === "Always" ||
        (this.#host.restartPolicy === "OnFailure" && exitCode !== 0);
      if (!again) return exitCode;
      await this.#backOff(signal);
    }
  }

  /** Waits until it is bound again. */
  async #lack(configError: string, signal: AbortSignal): Promise<void> {
    const [reason = "", ...rest] = configError.split(": ");
    const message = rest.join(": ");
    this.status.state = { waiting: { reason, message } };
    if (reason !== "ContainerCreating") this.#host.event("Warning", "Failed", `Error: ${message}`, this.spec.name);
    this.#host.changed();
    await new Promise<void>((resolve, reject) => {
      this.#renewed = resolve;
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
  }

  /** False when the image is not to be had: the caller tries again. */
  async #start(signal: AbortSignal): Promise<boolean> {
    const { world, event, changed } = this.#host;
    const { name, image, configError } = this.spec;
    if (configError !== undefined) {
      await this.#lack(configError, signal);
      return false;
    }
    event("Normal", "Pulling", `Pulling image "${image}"`, name);
    await world.clock.sleep(world.drawMs(world.latencies.pull), signal);
    if (imageMissing(image)) {
      event("Warning", "Failed", `Failed to pull image "${image}": not found`, name);
      this.status.state = { waiting: { reason: "ErrImagePull", message: `image "${image}" not found` } };
      changed();
      await world.clock.sleep(10_000, signal);
      this.status.state = { waiting: { reason: "ImagePullBackOff", message: `Back-off pulling image "${image}"` } };
      changed();
      await world.clock.sleep(20_000, signal);
      return false;
    }
    event("Normal", "Pulled", `Successfully pulled image "${image}"`, name);
    await world.clock.sleep(world.drawMs(world.latencies.containerStart), signal);
    event("Normal", "Created", `Created container: ${name}`, name);
    event("Normal", "Started", `Started container ${name}`, name);
    this.#host.log(name, `${name} ${image} started`);
    const startedAt = rfc3339(world.clock.wallMs());
    const containerID = `drover://${name}-${this.status.restartCount}-${world.clock.wallMs()}`;
    Object.assign(this.status, {
      state: { running: { startedAt } },
      containerID,
      imageID: image,
      started: this.spec.startup === undefined,
    });
    this.status.ready = this.spec.readiness === undefined && this.spec.startup === undefined;
    changed();
    return true;
  }

  /** From running to the exit, by itself or by a failing probe. */
  async #serve(signal: AbortSignal): Promise<number> {
    const ended = new AbortController();
    const either = AbortSignal.any([signal, ended.signal]);
    const killed = this.#probe(either);
    const { exitAfterMs, exitCode } = programOf(this.spec);
    const exits = Number.isFinite(exitAfterMs)
      ? this.#host.world.clock.sleep(exitAfterMs, either).then(() => exitCode)
      : undefined;
    try {
      const code = await Promise.race([killed, ...(exits ? [exits] : [])]);
      this.ended(code);
      return code;
    } finally {
      ended.abort(new Error("the container has ended"));
      exits?.catch(() => {});
      killed.catch(() => {});
    }
  }

  /** Startup gates readiness and liveness. Resolves with 137 when a probe has killed the container, else never. */
  async #probe(signal: AbortSignal): Promise<number> {
    const { world, event, changed } = this.#host;
    const { startup, readiness, liveness, name } = this.spec;
    const fails = async (probe: BoundProbe, what: string): Promise<boolean> => {
      await world.clock.sleep(probe.initialDelaySeconds * 1_000, signal);
      if (probePasses(probe)) return false;
      await world.clock.sleep(probe.periodSeconds * probe.failureThreshold * 1_000, signal);
      event("Warning", "Unhealthy", `${what} probe failed`, name);
      return true;
    };
    const killedBy = async (probe: BoundProbe | undefined, what: string): Promise<boolean> => {
      if (!probe || !(await fails(probe, what))) return false;
      event("Normal", "Killing", `Container ${name} failed ${what.toLowerCase()} probe, will be restarted`, name);
      return true;
    };
    if (await killedBy(startup, "Startup")) return 137;
    this.status.started = true;
    if (readiness === undefined || !(await fails(readiness, "Readiness"))) this.status.ready = true;
    changed();
    if (await killedBy(liveness, "Liveness")) return 137;
    return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));
  }

  ended(exitCode: number): void {
    const startedAt = this.status.state?.running?.startedAt;
    if (startedAt === undefined) return;
    const finishedAt = rfc3339(this.#host.world.clock.wallMs());
    const terminated = { exitCode, reason: exitCode === 0 ? "Completed" : "Error", startedAt, finishedAt };
    Object.assign(this.status, { state: { terminated }, ready: false, started: false });
    this.#host.log(this.spec.name, `${this.spec.name} exited with code ${exitCode}`);
    this.#host.changed();
  }

  async #backOff(signal: AbortSignal): Promise<void> {
    const terminated = this.status.state?.terminated;
    this.status.restartCount++;
    const waitMs = backoffMs(this.status.restartCount);
    const message = `back-off ${waitMs / 1_000}s restarting failed container=${this.spec.name}`;
    Object.assign(this.status, {
      lastState: { terminated },
      state: { waiting: { reason: "CrashLoopBackOff", message } },
    });
    this.#host.event("Warning", "BackOff", `Back-off restarting failed container ${this.spec.name}`, this.spec.name);
    this.#host.changed();
    await this.#host.world.clock.sleep(waitMs, signal);
  }
}
