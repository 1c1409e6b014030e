import type { Kind } from "./kinds.ts";
import type { KubeObject } from "./object.ts";
import { badRequest } from "./status.ts";

const involved = ["kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath"];
const eventFields = [...involved.map((name) => `involvedObject.${name}`), "reason", "reportingComponent", "type"];
const podSpecFields = ["nodeName", "restartPolicy", "schedulerName", "serviceAccountName", "hostNetwork"];
const podStatusFields = ["phase", "podIP", "podIPs", "nominatedNodeName"];

/** Fields beyond metadata that a kind's objects may be selected by. */
const selectable: Readonly<Record<string, readonly string[]>> = {
  pods: [...podSpecFields.map((name) => `spec.${name}`), ...podStatusFields.map((name) => `status.${name}`)],
  events: [...eventFields, "source"],
  "events.events.k8s.io": [...eventFields, "source"],
  secrets: ["type"],
  namespaces: ["status.phase"],
  nodes: ["spec.unschedulable"],
  replicationcontrollers: ["status.replicas"],
  "jobs.batch": ["status.successful"],
  services: ["spec.clusterIP", "spec.type"],
  "certificatesigningrequests.certificates.k8s.io": ["spec.signerName"],
};

/** Selectable names that are not the path of the field they mean. */
const aliases: Readonly<Record<string, string>> = {
  "status.successful": "status.succeeded",
  source: "source.component",
  "status.podIPs": "status.podIPs.0.ip",
};
/** What an absent field counts as; text fields count as empty. */
const zeros: Readonly<Record<string, string>> = {
  "spec.hostNetwork": "false",
  "spec.unschedulable": "false",
  "status.replicas": "0",
  "status.successful": "0",
};

type Term = { field: string; path: readonly string[]; value: string; equal: boolean };

function valueAt(object: unknown, path: readonly string[]): unknown {
  let at = object;
  for (const name of path) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, name)) return undefined;
    at = (at as Record<string, unknown>)[name];
  }
  return at;
}

/** Splits at commas that no backslash precedes. */
const split = (text: string): string[] => text.match(/(?:\\.|[^,\\])+/g) ?? [];
const unescaped = (text: string): string => text.replace(/\\([,=\\])/g, "$1");

function termFrom(kind: Kind, text: string): Term {
  const match = /^((?:\\.|[^=!\\])*)(!=|==|=)(.*)$/.exec(text);
  if (!match) throw badRequest(`invalid selector: '${text}'; can't understand '${text}'`);
  const [, field = "", operator, value = ""] = match;
  const known = selectable[kind.resource];
  if (field !== "metadata.name" && field !== "metadata.namespace" && !known?.includes(field)) {
    throw badRequest(
      known
        ? `field label not supported: ${field}`
        : `"${field}" is not a known field selector: only "metadata.name", "metadata.namespace"`,
    );
  }
  const path = eventPath(kind, aliases[field] ?? field).split(".");
  return { field, path, value: unescaped(value), equal: operator !== "!=" };
}

/** The newer Event calls the object that it is about `regarding` and keeps the old source under another name. */
const eventPath = (kind: Kind, path: string): string =>
  kind.resource !== "events.events.k8s.io"
    ? path
    : path
        .replace(/^involvedObject/, "regarding")
        .replace(/^source\.component$/, "deprecatedSource.component")
        .replace(/^reportingComponent$/, "reportingController");

/**
 * `metadata.name=a,status.phase!=Running` as a test of objects of `kind`. An empty text selects everything.
 * @throws ApiError 400 for another syntax or a field that this kind cannot be selected by.
 */
export function parseFieldSelector(kind: Kind, text: string): (object: KubeObject) => boolean {
  const terms = split(text).map((term) => termFrom(kind, term));
  return (object) =>
    terms.every(({ field, path, value, equal }) => {
      const found = valueAt(object, path);
      const shown = found === undefined || found === null ? (zeros[field] ?? "") : String(found);
      return (shown === value) === equal;
    });
}
