import type { Deployment } from "../api/types.gen.ts";
import type { Notice } from "./reconciler.ts";

export const deploymentSource = "deployment-controller";

export const scaledNotice = (about: Deployment, name: string, from: number, to: number): Notice => ({
  about,
  type: "Normal",
  reason: "ScalingReplicaSet",
  message: `Scaled ${to >= from ? "up" : "down"} replica set ${name} from ${from} to ${to}`,
  source: deploymentSource,
});
