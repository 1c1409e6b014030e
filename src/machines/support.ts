/** How drover treats what a manifest says, as data: the API's warnings and `docs/support.md` both come from here. */

import { gpuResource } from "./sizing.ts";

/**
 * honoured: done; ignored: accepted, stored, without effect; refused: accepted and stored, but the Pod's containers do
 * not start and say why. Everything but what is honoured is answered with a warning.
 */
export type Level = "honoured" | "ignored" | "refused";

/** Where a value was found: the last name of its path, the object that holds it, the spec that all is in. */
type Found = { value: unknown; key: string; holder: Readonly<Record<string, unknown>>; spec: unknown };

export type FieldSupport = {
  /**
   * Below the spec; `[]` is each item of a list and `*` each key of a map. A path covers what lies below it, unless that
   * has a row of its own. `containers[]` stands for init containers too.
   */
  paths: readonly string[];
  level: Level;
  /** What drover does, or why it does not: it ends the sentence of a warning and stands in the table. */
  note: string;
  /** Values with which nothing is lost: Kubernetes' defaults, or what is so here anyway. */
  except?: readonly unknown[];
  /** Likewise, where a list of values can't say it. */
  unless?: (found: Found) => boolean;
  /** `except` or `unless` in words, for the table. */
  exception?: string;
};

const row =
  (level: Level) =>
  (note: string, paths: string, more?: Partial<FieldSupport>): FieldSupport => ({
    paths: paths.split(" "),
    level,
    note,
    ...more,
  });
const honoured = row("honoured");
const ignored = row("ignored");
const refused = row("refused");

const sizes = ["cpu", "memory", "ephemeral-storage", gpuResource];
const isSize = ({ key }: Found): boolean => sizes.includes(key);

const ownHost = "kubernetes.io/hostname";
type Term = { topologyKey?: string };
const neverByHost = ({ value }: Found): boolean =>
  Array.isArray(value) && value.every(({ topologyKey }: Term) => topologyKey !== ownHost);
const neverPreferredByHost = ({ value, ...found }: Found): boolean =>
  Array.isArray(value) && neverByHost({ ...found, value: value.map(({ podAffinityTerm }) => podAffinityTerm) });
const notByHost = `when no \`topologyKey\` is \`${ownHost}\``;

type Users = { securityContext?: { runAsUser?: number } };
/** Only a user that the manifest names is known before the image is there. */
const hasUser = ({ value, holder, spec }: Found): boolean =>
  value === false || (holder["runAsUser"] ?? (spec as Users).securityContext?.runAsUser) !== undefined;
const namedUser = "when the user is given by `runAsUser`, or the value is `false`";
const imageUser = "the image's own user is not checked, so name one with runAsUser";

const noProfile = "machines have no such profiles of your own";
const noSuchPolicy = "a Pod has a machine of its own, with a Linux that knows no such policy";

/** Rows of `spec` of a Pod, or of `spec.template.spec` of what makes Pods. */
export const podFields: readonly FieldSupport[] = [
  honoured(
    "OCI images, run by podman or docker; packages in their place with `drover.dev/engine: native`; machine images " +
      "(`ami-…`), which are the machine itself",
    "containers[].name containers[].image containers[].imagePullPolicy",
  ),
  honoured(
    "as in Kubernetes; `$(NAME)` is expanded",
    "containers[].command containers[].args containers[].workingDir containers[].stdin containers[].tty",
  ),
  honoured("ConfigMaps, Secrets, the downward API and Services included", "containers[].env containers[].envFrom"),
  refused("files of other containers can't be read into variables", "containers[].env[].valueFrom.fileKeyRef"),
  honoured(
    "nothing is mapped; on AWS declared ports are open alone, elsewhere every one that is listened on",
    "containers[].ports",
  ),
  ignored("no port of the machine is mapped to another one of the container", "containers[].ports[].hostPort", {
    unless: ({ value, holder }) => value === 0 || value === holder["containerPort"],
    exception: "when it is the `containerPort`",
  }),
  ignored("ports are open on the Pod's address", "containers[].ports[].hostIP", { except: [""] }),
  honoured(
    "requests make the machine's size, its own overhead comes on top; limits of CPU and memory hold for each container",
    "containers[].resources.requests containers[].resources.limits",
  ),
  ignored("machines offer cpu, memory, ephemeral-storage and graphics processors", "containers[].resources.limits.*", {
    unless: isSize,
    exception: `\`cpu\`, \`memory\`, \`ephemeral-storage\`, and \`${gpuResource}\` where the cloud has such machines`,
  }),
  ignored("no devices are handed out", "containers[].resources.claims resourceClaims"),
  ignored("a machine keeps its size; change the template and it is replaced", "containers[].resizePolicy"),
  ignored("only init containers that are sidecars have a policy of their own", "containers[].restartPolicy", {
    except: ["Always"],
  }),
  ignored("the Pod's restartPolicy decides for all its containers", "containers[].restartPolicyRules"),
  honoured("as in Kubernetes", "containers[].volumeMounts"),
  ignored("mounts are not passed on", "containers[].volumeMounts[].mountPropagation", { except: ["None"] }),
  ignored("mounts below stay writable", "containers[].volumeMounts[].recursiveReadOnly", { except: ["Disabled"] }),
  honoured("the disk of a claim, as it is", "containers[].volumeDevices"),
  honoured(
    "exec, HTTP, TCP and gRPC; run on the machine, also while drover is away",
    "containers[].livenessProbe containers[].readinessProbe containers[].startupProbe",
  ),
  honoured("`postStart`, `preStop` and `stopSignal`", "containers[].lifecycle"),
  honoured("as in Kubernetes", "containers[].terminationMessagePath containers[].terminationMessagePolicy"),
  ignored("standard input stays open", "containers[].stdinOnce", { except: [false] }),
  honoured(
    "as in Kubernetes, inside the machine",
    "containers[].securityContext.capabilities containers[].securityContext.privileged " +
      "containers[].securityContext.runAsUser containers[].securityContext.runAsGroup " +
      "containers[].securityContext.readOnlyRootFilesystem containers[].securityContext.allowPrivilegeEscalation " +
      "securityContext.runAsUser securityContext.runAsGroup securityContext.supplementalGroups securityContext.fsGroup",
  ),
  ignored(imageUser, "containers[].securityContext.runAsNonRoot securityContext.runAsNonRoot", {
    unless: hasUser,
    exception: namedUser,
  }),
  honoured(
    "`RuntimeDefault` and `Unconfined`",
    "containers[].securityContext.seccompProfile securityContext.seccompProfile",
  ),
  ignored(noProfile, "containers[].securityContext.seccompProfile.type securityContext.seccompProfile.type", {
    except: ["RuntimeDefault", "Unconfined"],
  }),
  ignored(noProfile, "containers[].securityContext.appArmorProfile securityContext.appArmorProfile"),
  ignored(
    noSuchPolicy,
    "containers[].securityContext.seLinuxOptions containers[].securityContext.windowsOptions " +
      "securityContext.seLinuxOptions securityContext.windowsOptions securityContext.seLinuxChangePolicy",
  ),
  ignored("/proc is masked as always", "containers[].securityContext.procMount", { except: ["Default"] }),
  ignored("groups of the image are kept", "securityContext.supplementalGroupsPolicy", { except: ["Merge"] }),
  ignored("the machine's kernel keeps its settings", "securityContext.sysctls"),
  honoured("volumes get their group when they are made", "securityContext.fsGroupChangePolicy"),
  ignored("kubectl debug has nowhere to run; use kubectl exec", "ephemeralContainers"),

  honoured("`emptyDir` (memory too), ConfigMaps, Secrets, the downward API, projections with tokens", "volumes[].name"),
  honoured(
    "files change when the ConfigMap or Secret does",
    "volumes[].configMap volumes[].secret volumes[].downwardAPI volumes[].projected volumes[].emptyDir",
  ),
  ignored("there are no huge pages", "volumes[].emptyDir.medium", { except: ["", "Memory"] }),
  ignored("only the machine's disk limits it", "volumes[].emptyDir.sizeLimit", {
    unless: ({ holder }) => holder["medium"] === "Memory",
    exception: "with `medium: Memory`",
  }),
  honoured(
    "disks of the cloud, by a StorageClass of `ebs.csi.aws.com` or `drover.dev/disk`",
    "volumes[].persistentVolumeClaim volumes[].ephemeral",
  ),
  honoured("a path on the Pod's machine, not on your computer", "volumes[].hostPath"),
  ignored("what is not there is made as a folder", "volumes[].hostPath.type", { except: ["", "DirectoryOrCreate"] }),
  refused(
    "drover makes no such files",
    "volumes[].projected.sources[].clusterTrustBundle volumes[].projected.sources[].podCertificate",
  ),
  refused(
    "drover has no means to mount it",
    "volumes[].nfs volumes[].csi volumes[].image volumes[].gitRepo volumes[].iscsi volumes[].fc volumes[].rbd " +
      "volumes[].cephfs volumes[].glusterfs volumes[].cinder volumes[].flexVolume volumes[].flocker " +
      "volumes[].gcePersistentDisk volumes[].awsElasticBlockStore volumes[].azureFile volumes[].azureDisk " +
      "volumes[].vsphereVolume volumes[].quobyte volumes[].photonPersistentDisk volumes[].portworxVolume " +
      "volumes[].scaleIO volumes[].storageos",
  ),

  honoured("as in Kubernetes", "restartPolicy terminationGracePeriodSeconds activeDeadlineSeconds readinessGates"),
  honoured("as in Kubernetes", "serviceAccountName serviceAccount automountServiceAccountToken enableServiceLinks"),
  honoured("as in Kubernetes", "hostname subdomain setHostnameAsFQDN hostAliases dnsPolicy dnsConfig"),
  ignored("the host name follows hostname and the Pod's name", "hostnameOverride"),
  honoured("always so: containers have the machine's network and IPC to themselves", "hostNetwork hostIPC"),
  ignored("each container sees its own processes only", "hostPID shareProcessNamespace", { except: [false] }),
  ignored("the machine is the wall; users in it are the machine's own", "hostUsers", { except: [true] }),
  ignored("images are pulled without credentials", "imagePullSecrets"),
  honoured(
    "labels of the machine offers: architecture, zone, instance type, capacity type, and the cloud's own (on AWS " +
      "Karpenter's of instance types); a new machine can't be chosen by host name",
    "nodeSelector",
  ),
  honoured(
    "by labels, as for `nodeSelector`, all operators; preferences count before the price",
    "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution " +
      "affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution",
  ),
  refused(
    "machines are chosen by their labels, before they have a name",
    "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[].matchFields",
  ),
  honoured(
    "by zone and every other label of the offers",
    "affinity.podAffinity affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution " +
      "affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution",
  ),
  refused(
    "every Pod has a machine of its own, so none is on that of another",
    "affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution",
    { unless: neverByHost, exception: notByHost },
  ),
  ignored(
    "every Pod has a machine of its own, so none is on that of another",
    "affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution",
    { unless: neverPreferredByHost, exception: notByHost },
  ),
  honoured(
    "by zone and every other label of the offers; by host name it is always so. Without any, machines of one owner are " +
      "spread over zones that cost up to a tenth more",
    "topologySpreadConstraints",
  ),
  ignored("only machines that the Pod may have are counted", "topologySpreadConstraints[].nodeAffinityPolicy", {
    except: ["Honor"],
  }),
  ignored("a new machine has no taints", "topologySpreadConstraints[].nodeTaintsPolicy", { except: ["Ignore"] }),
  honoured("a Pod that names its Node is left to it: drover makes no machine for it", "nodeName"),
  honoured("Pods of other schedulers are left to them", "schedulerName schedulingGates"),
  honoured(
    "a new machine has no taints, but spot ones are as if they had `karpenter.sh/capacity-type=spot`: who tolerates " +
      "that key by name may get one",
    "tolerations",
  ),
  ignored("no Pod gives its machine to another", "priorityClassName"),
  honoured("the higher gets its machine first; nothing is ever preempted", "priority preemptionPolicy"),
  ignored("the machine's image decides what runs containers", "runtimeClassName"),
  ignored("the machine's own overhead is counted already", "overhead"),
  ignored("machines run Linux", "os.name", { except: ["linux"] }),
  ignored("the sum of the containers makes the machine's size", "resources"),
  ignored("Pods get their machines one by one", "schedulingGroup"),
];

/** Rows of `spec` of a Service. */
export const serviceFields: readonly FieldSupport[] = [
  honoured("`ClusterIP`, `LoadBalancer`, `NodePort`, `ExternalName` and headless", "type"),
  honoured("by labels; without a selector nothing is balanced", "selector"),
  honoured("TCP, any `targetPort`, by number or name", "ports[].name ports[].port ports[].targetPort ports[].protocol"),
  ignored("UDP is balanced on AWS only, SCTP nowhere", "ports[].protocol", { except: ["TCP"] }),
  honoured("shown in EndpointSlices; connections are passed on as they are", "ports[].appProtocol"),
  honoured("of `NodePort`: open on the machines of the Service's own Pods, to their network", "ports[].nodePort"),
  honoured("allocated for clients that read it, opened nowhere", "healthCheckNodePort"),
  honoured(
    "one IPv4 address; on AWS nobody answers there, so containers are told the Service's name instead",
    "clusterIP clusterIPs ipFamilies ipFamilyPolicy",
  ),
  honoured("as in Kubernetes", "publishNotReadyAddresses allocateLoadBalancerNodePorts"),
  honoured("a CNAME inside the machines' network", "externalName"),
  ignored("except on AWS, where TLS must not end at the balancer, connections go round", "sessionAffinity", {
    except: ["None"],
  }),
  honoured("see `sessionAffinity`", "sessionAffinityConfig"),
  ignored("only the balancer's own address is served", "externalIPs loadBalancerIP"),
  honoured("of `LoadBalancer`: other clients are turned away", "loadBalancerSourceRanges"),
  ignored("drover is the only maker of balancers", "loadBalancerClass"),
  ignored("the balancer's address is what Pods see as the client's", "externalTrafficPolicy", { except: ["Cluster"] }),
  ignored("every Pod is on another machine, so connections go to all of them", "internalTrafficPolicy", {
    except: ["Cluster"],
  }),
  ignored("connections go round all zones", "trafficDistribution"),
];

/** Kinds that are stored and served, while nothing acts on them yet. By the type's name in the schema table. */
export const storedOnly: Readonly<Record<string, string>> = {
  "apps.v1.StatefulSet": "no Pods are made for it yet",
  "apps.v1.DaemonSet": "no Pods are made for it yet",
  "batch.v1.Job": "no Pods are made for it yet",
  "batch.v1.CronJob": "no Jobs are made for it yet",
  "core.v1.ReplicationController": "no Pods are made for it; use a Deployment",
  "autoscaling.v1.HorizontalPodAutoscaler": "nothing is scaled yet",
  "autoscaling.v2.HorizontalPodAutoscaler": "nothing is scaled yet",
  "networking.v1.NetworkPolicy": "no connection is refused by it yet",
  "core.v1.ResourceQuota": "nothing is counted yet",
  "core.v1.LimitRange": "no limit is held or filled in yet",
  "apiextensions.v1.CustomResourceDefinition": "its resources are not served yet",
  "apiregistration.v1.APIService": "requests are not passed on",
  "admissionregistration.v1.MutatingWebhookConfiguration": "no webhook is called yet",
  "admissionregistration.v1.ValidatingWebhookConfiguration": "no webhook is called yet",
  "admissionregistration.v1.MutatingAdmissionPolicy": "no policy is evaluated yet",
  "admissionregistration.v1.ValidatingAdmissionPolicy": "no policy is evaluated yet",
  "certificates.v1.CertificateSigningRequest": "nobody signs it",
  "node.v1.RuntimeClass": "the machine's image decides what runs containers",
};
