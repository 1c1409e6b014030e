import type { KubeObject } from "../api/object.ts";
import type { Deployment, Pod, Service } from "../api/types.gen.ts";
import type { Clock } from "../base/clock.ts";
import { DroverError } from "../base/errors.ts";
import type { Api } from "./kube.ts";
import { ask, type LoadReport, startLoad } from "./load.ts";
import { applyObjects, pathOf } from "./manifests.ts";
import { isReady, podLines } from "./pods-progress.ts";
import type { Terminal } from "./print.ts";

export type DemoReport = {
  sent: number;
  lost: number;
  retried: number;
  firstReadySeconds: number;
  allReadySeconds: number;
  rolloutSeconds: number;
};

type Demo = { api: Api; io: Terminal; clock: Clock; stepMinutes: number };

export type DemoPlan = {
  objects: readonly KubeObject[];
  /** The Service's. */
  port: number;
  /** The image that is rolled to. */
  next: string;
  /** The page has answers that take 8 s. */
  slow: boolean;
  /** How long each step may take. */
  stepMinutes: number;
};

const addressTimeoutMs = 300_000;
const pageEveryMs = 500;
/** Half of them on new connections, half on kept-alive ones. */
const ratePerSecond = 100;
const tenths = (ms: number): number => Math.round(ms / 100) / 10;

/** Applies the manifest, waits until it serves, rolls its template under load and says how it went. */
export async function runDemo({ objects, port, next, slow, ...demo }: Demo & DemoPlan): Promise<DemoReport> {
  const { api, io, clock } = demo;
  await removeEarlier(demo, objects);
  io.say(io.strong("Applying manifests/web.yaml"));
  if (port !== 80) io.say(`Port 80 is not this user's here, or is in use: the Service gets port ${port} instead.`);
  const appliedMs = clock.monotonicMs();
  await applyObjects(api, objects);
  let firstMs = 0;
  await pods(demo, (present) => {
    const ready = present.filter(isReady).length;
    if (ready > 0 && firstMs === 0) firstMs = clock.monotonicMs() - appliedMs;
    return present.length > 0 && ready === present.length;
  });
  const allMs = clock.monotonicMs() - appliedMs;
  const url = `http://${await address(demo)}:${port}`;
  io.say(`The page, through the load balancer at ${url}:`);
  io.say(io.faint((await page(demo, url)).trim()));

  io.say(io.strong(`Rolling to ${next} under ${ratePerSecond} requests a second`));
  const load = startLoad({ clock, url, ratePerSecond, ...(slow && { slow: { path: "/slow", everyMs: 2_000 } }) });
  await clock.sleep(1_000);
  const rolledMs = clock.monotonicMs();
  await roll(demo, next);
  const rolloutMs = clock.monotonicMs() - rolledMs;
  await clock.sleep(1_000);
  const found = await load.stop();
  report(io, { firstMs, allMs, rolloutMs }, found);
  const { sent, lost, retried } = found;
  const times = {
    firstReadySeconds: tenths(firstMs),
    allReadySeconds: tenths(allMs),
    rolloutSeconds: tenths(rolloutMs),
  };
  return { sent, lost, retried, ...times };
}

/** An earlier run's objects go first, so that the times are those of a first apply. */
async function removeEarlier(demo: Demo, objects: readonly KubeObject[]): Promise<void> {
  const all = async (method: string, body?: unknown) => {
    const answers = objects.map((object) => demo.api.request(method, pathOf(object, true), body));
    return (await Promise.all(answers)).map(({ status }) => status);
  };
  const areGone = (statuses: readonly number[]) => statuses.every((status) => status === 404);
  if (areGone(await all("DELETE", { propagationPolicy: "Background" }))) return;
  demo.io.say("Removing the Pods of an earlier run");
  await pods(demo, async (present) => present.length === 0 && areGone(await all("GET")));
}

/** Shows the Pods until `done` likes what it sees. @throws CLOUD_UNAVAILABLE when they don't get there in time */
async function pods(
  { api, io, clock, stepMinutes }: Demo,
  done: (present: readonly Pod[]) => boolean | Promise<boolean>,
): Promise<void> {
  const untilMs = clock.monotonicMs() + stepMinutes * 60_000;
  while (clock.monotonicMs() < untilMs) {
    const { body } = await api.request("GET", "/api/v1/namespaces/default/pods?labelSelector=app%3Dweb");
    const present = (body["items"] ?? []) as Pod[];
    io.live(podLines(present, clock.wallMs()));
    if (await done(present)) return io.settle();
    await clock.sleep(200);
  }
  throw new DroverError(
    "CLOUD_UNAVAILABLE",
    `the Pods did not get there in ${stepMinutes} minutes: kubectl describe pods -l app=web`,
  );
}

/** The load balancer's, as soon as it has one. */
async function address({ api, io, clock }: Demo): Promise<string> {
  const startMs = clock.monotonicMs();
  for (;;) {
    const waitedMs = clock.monotonicMs() - startMs;
    const { body } = await api.request("GET", "/api/v1/namespaces/default/services/web");
    const [ingress] = (body as Service).status?.loadBalancer?.ingress ?? [];
    const host = ingress?.ip ?? ingress?.hostname;
    if (host !== undefined) {
      io.settle();
      return host;
    }
    if (waitedMs > addressTimeoutMs) break;
    if (waitedMs > 2_000) io.live([`Waiting for the load balancer's address: ${Math.round(waitedMs / 1_000)} s`]);
    await clock.sleep(200);
  }
  throw new DroverError(
    "CLOUD_UNAVAILABLE",
    `the load balancer has no address after ${addressTimeoutMs / 1_000} s; the server's log (serve.log beside the kubeconfig) says why`,
  );
}

/** The page, as soon as the balancer gives it. */
async function page({ clock, io, stepMinutes }: Demo, url: string): Promise<string> {
  const startMs = clock.monotonicMs();
  for (;;) {
    const { body, loss } = await ask(clock, url, false, 10_000);
    if (body !== undefined) {
      io.settle();
      return body;
    }
    const waitedMs = clock.monotonicMs() - startMs;
    if (waitedMs > stepMinutes * 60_000) throw new DroverError("CLOUD_UNAVAILABLE", `${url} gives no page: ${loss}`);
    if (waitedMs > 5_000) io.live([`Waiting for the page (${loss}): ${Math.round(waitedMs / 1_000)} s`]);
    await clock.sleep(pageEveryMs);
  }
}

/** Changes the image and waits until only new Pods are there and available. */
async function roll(demo: Demo, image: string): Promise<void> {
  const path = "/apis/apps/v1/namespaces/default/deployments/web";
  const patch = { spec: { template: { spec: { containers: [{ name: "web", image }] } } } };
  const { status, body } = await demo.api.request("PATCH", path, patch, "application/strategic-merge-patch+json");
  if (status >= 300) throw new DroverError("USAGE", `the rollout was refused: ${String(body["message"])}`);
  await pods(demo, async (present) => {
    const { body: read } = await demo.api.request("GET", path);
    const deployment = read as Deployment;
    const { replicas = 1 } = deployment.spec ?? {};
    const state = deployment.status ?? {};
    const seen = (state.observedGeneration ?? 0) >= (deployment.metadata.generation ?? 0);
    const rolled =
      state.updatedReplicas === replicas && state.availableReplicas === replicas && state.replicas === replicas;
    return seen && rolled && present.length === replicas;
  });
}

function report(io: Terminal, times: { firstMs: number; allMs: number; rolloutMs: number }, load: LoadReport): void {
  io.say("");
  io.say(`first Pod Ready    ${tenths(times.firstMs)} s`);
  io.say(`all Pods Ready     ${tenths(times.allMs)} s`);
  io.say(`rolling update     ${tenths(times.rolloutMs)} s`);
  io.say(
    `requests           ${load.sent} sent, ${load.lost} lost, ${load.slow} of them slow; p50 ${load.p50Ms} ms, p99 ${load.p99Ms} ms`,
  );
  if (load.retried > 0)
    io.say(`                   ${load.retried} repeated because a kept-alive connection had just been closed`);
  for (const [loss, count] of Object.entries(load.losses)) io.say(`                   lost: ${count} × ${loss}`);
}
