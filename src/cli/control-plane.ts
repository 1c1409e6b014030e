import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Pod } from "../api/types.gen.ts";
import type { Clock } from "../base/clock.ts";
import { systemRandom } from "../base/random.ts";
import { apiClusterAddress } from "../controllers/api-service.ts";
import { type DefaultStorage, ensureDefaultStorage } from "../controllers/default-storage.ts";
import { type Controllers, startControllers } from "../controllers/start.ts";
import { apiRoadPort } from "../machines/ssh/api-road.ts";
import { openSshKey } from "../machines/ssh/key.ts";
import { openRegistry } from "../registry/registry.ts";
import type { View } from "../registry/view.ts";
import { startServer } from "../server/http.ts";
import { type Identity, openIdentity } from "../server/identity.ts";
import { issuer, signToken } from "../server/tokens.ts";
import { openLmdb } from "../store/lmdb.ts";
import type { CloudName } from "./home.ts";
import { openProvider, type ProviderOptions } from "./provider.ts";

export type ControlPlaneOptions = ProviderOptions & {
  port: number;
  /** Templates of the user's own. */
  templatesDir?: string;
  /** Machines that there may be at once. */
  machinesMax?: number;
  /** What they may cost together. */
  usdPerHourMax?: number;
  /** Services of type ClusterIP have no balancer where neither they nor their Namespace ask for one. */
  namesByDefault?: boolean;
};

export type ControlPlane = {
  port: number;
  identity: Identity;
  /** Ends the process's own work; machines, balancers and names go on. */
  close(): Promise<void>;
};

/** The whole of drover in one process: store, registry, cloud, controllers and the API in front of them. */
export async function openControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const { paths, clock, log } = options;
  mkdirSync(paths.folder, { recursive: true, mode: 0o700 });
  const store = await openLmdb(paths.data, { clock });
  const identity = await openIdentity({ directory: paths.identity, clock, names: [apiClusterAddress] });
  // One key for all clusters of the home: it is part of every user data, so saved machines serve each of them.
  const sshKey = openSshKey(join(paths.home, "identity"));
  let controllers: Controllers | undefined;
  const { cloud, boxes, imageReference, declaredPortsOnly, platformsOf } = await openProvider(
    { ...options, onResume: () => controllers?.kick() },
    sshKey.privateKey,
  );
  const registry = await openRegistry({ store, clock, random: systemRandom });
  await ensureDefaultStorage(registry.client(), defaultStorage[options.cloud]);
  controllers = startControllers({
    client: registry.client(),
    cloud,
    boxes,
    clock,
    random: systemRandom,
    cluster: paths.cluster,
    ...(boxes.offerApi && { apiRoadPort }),
    log,
    authorizedKey: sshKey.publicKey,
    ...(options.templatesDir !== undefined && { templatesDir: options.templatesDir }),
    ...(options.machinesMax !== undefined && { machinesMax: options.machinesMax }),
    ...(options.usdPerHourMax !== undefined && { usdPerHourMax: options.usdPerHourMax }),
    ...(imageReference !== undefined && { imageReference }),
    ...(declaredPortsOnly && { declaredPortsOnly }),
    namesByDefault: options.namesByDefault ?? false,
    ...(platformsOf && { platformsOf }),
    ...(options.cloud === "aws" && { clusterDomain: options.aws.domain }),
    rootCertificate: identity.authority,
    tokenFor: (pod, projection) => podToken(identity, registry.view, pod, projection.audience, clock.wallMs()),
  });
  if (registry.view.list("launches.drover.dev").length === 0) await untilLooked(controllers, clock);
  const server = await startServer({ registry, boxes, identity, clock, log, port: options.port });
  boxes.offerApi?.(server.port);
  return {
    port: server.port,
    identity,
    async close() {
      await server.close();
      await controllers.stop();
      await boxes.close();
      await cloud.close();
      registry.close();
      await store.close();
    },
  };
}

/** The class of claims that name none. */
const defaultStorage: Readonly<Record<CloudName, DefaultStorage>> = {
  local: { name: "standard", provisioner: "drover.dev/disk" },
  sim: { name: "standard", provisioner: "drover.dev/disk" },
  aws: { name: "gp3", provisioner: "ebs.csi.aws.com", parameters: { type: "gp3" } },
};

const lookMs = 30_000;
const lookPauseMs = 20;

/** A store without launches may be one that was lost: what is applied again is to find what it made before. */
async function untilLooked(controllers: Controllers, clock: Clock): Promise<void> {
  const limitMs = clock.monotonicMs() + lookMs;
  while (!controllers.hasLooked() && clock.monotonicMs() < limitMs) await clock.sleep(lookPauseMs);
}

/** Nothing on a machine asks for a new token, so a Pod's lives as long as a Pod may. */
const podTokenSeconds = 365 * 86_400;

function podToken(
  identity: Identity,
  view: View,
  { metadata, spec }: Pod,
  audience: string | undefined,
  nowMs: number,
): string {
  const { name, namespace = "default", uid = "" } = metadata;
  const account = view.get("serviceaccounts", namespace, spec.serviceAccountName ?? "default");
  const serviceaccount = { name: account?.metadata.name ?? "default", uid: account?.metadata.uid ?? "" };
  const bound = { namespace, serviceaccount, pod: { name, uid } };
  const request = { audiences: [audience ?? issuer], expirationSeconds: podTokenSeconds, "kubernetes.io": bound };
  return signToken(identity, request, nowMs);
}
