import { clusterRoleBindingRules, clusterRoleRules, roleBindingRules, roleRules } from "./access.ts";
import { configMapRules, secretRules } from "./config.ts";
import { endpointSliceRules, leaseRules } from "./endpoints.ts";
import { newEventRules, oldEventRules } from "./events.ts";
import { cronJobRules, jobRules } from "./jobs.ts";
import type { KindRules } from "./kind-rules.ts";
import { ingressClassRules, ingressRules, networkPolicyRules } from "./networking.ts";
import { nodeRules } from "./nodes.ts";
import { podRules } from "./pods.ts";
import { limitRangeRules, priorityClassRules, quotaRules } from "./quotas.ts";
import { budgetRules, scalerRules } from "./scaling.ts";
import { serviceRules } from "./services.ts";
import { daemonSetRules, statefulSetRules } from "./sets.ts";
import { claimRules, persistentVolumeRules, storageClassRules } from "./storage.ts";
import { deploymentRules, podTemplateRules, replicaSetRules, replicationControllerRules } from "./workloads.ts";

const endpointsWarning = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice";

/** Rules by the type's name in the table; kinds without an entry have none beyond their structure and metadata. */
export const kindRules: Readonly<Record<string, KindRules>> = {
  "apps.v1.DaemonSet": daemonSetRules,
  "apps.v1.Deployment": deploymentRules,
  "apps.v1.ReplicaSet": replicaSetRules,
  "apps.v1.StatefulSet": statefulSetRules,
  "autoscaling.v2.HorizontalPodAutoscaler": scalerRules,
  "batch.v1.CronJob": cronJobRules,
  "batch.v1.Job": jobRules,
  "coordination.v1.Lease": leaseRules,
  "core.v1.ConfigMap": configMapRules,
  "core.v1.Endpoints": { warnings: () => [endpointsWarning] },
  "core.v1.Event": oldEventRules,
  "core.v1.LimitRange": limitRangeRules,
  "core.v1.Node": nodeRules,
  "core.v1.PersistentVolume": persistentVolumeRules,
  "core.v1.PersistentVolumeClaim": claimRules,
  "core.v1.Pod": podRules,
  "core.v1.PodTemplate": podTemplateRules,
  "core.v1.ReplicationController": replicationControllerRules,
  "core.v1.ResourceQuota": quotaRules,
  "core.v1.Secret": secretRules,
  "core.v1.Service": serviceRules,
  "discovery.v1.EndpointSlice": endpointSliceRules,
  "events.v1.Event": newEventRules,
  "networking.v1.Ingress": ingressRules,
  "networking.v1.IngressClass": ingressClassRules,
  "networking.v1.NetworkPolicy": networkPolicyRules,
  "policy.v1.PodDisruptionBudget": budgetRules,
  "rbac.v1.ClusterRole": clusterRoleRules,
  "rbac.v1.ClusterRoleBinding": clusterRoleBindingRules,
  "rbac.v1.Role": roleRules,
  "rbac.v1.RoleBinding": roleBindingRules,
  "scheduling.v1.PriorityClass": priorityClassRules,
  "storage.v1.StorageClass": storageClassRules,
};
