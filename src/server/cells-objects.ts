import { parseTimeMs, rfc3339 } from "../base/clock.ts";
import { at, type Cell, conditionOf, duration, entries, list, number, since, text, textOr } from "./cells-values.ts";

/** Events in the older and the newer shape: where each keeps the same thing. */
type EventFields = {
  about: string;
  source: string;
  reporter: [string, string];
  first: string;
  last: string;
  count: string;
  series: string;
};
const older: EventFields = {
  about: "involvedObject",
  source: "source",
  reporter: ["reportingComponent", "reportingInstance"],
  first: "firstTimestamp",
  last: "lastTimestamp",
  count: "count",
  series: "series.lastObservedTime",
};
const newer: EventFields = {
  about: "regarding",
  source: "deprecatedSource",
  reporter: ["reportingController", "reportingInstance"],
  first: "deprecatedFirstTimestamp",
  last: "deprecatedLastTimestamp",
  count: "deprecatedCount",
  series: "series.lastObservedTime",
};

const firstSeen =
  (fields: EventFields): Cell =>
  (event, nowMs) =>
    since(at(event, fields.first) ?? at(event, "eventTime"), nowMs);

const lastSeen =
  (fields: EventFields): Cell =>
  (event, nowMs) => {
    if (at(event, "series") !== undefined) return since(at(event, fields.series), nowMs);
    const time = at(event, fields.last);
    return time === undefined ? firstSeen(fields)(event, nowMs) : since(time, nowMs);
  };

const aboutObject =
  (fields: EventFields): Cell =>
  (event) => {
    const [kind, name] = [
      text(at(event, `${fields.about}.kind`)).toLowerCase(),
      text(at(event, `${fields.about}.name`)),
    ];
    return name === "" ? kind : `${kind}/${name}`;
  };

const eventSource =
  (fields: EventFields): Cell =>
  (event) => {
    const component = textOr(at(event, `${fields.source}.component`), text(at(event, fields.reporter[0])));
    const host = textOr(at(event, `${fields.source}.host`), text(at(event, fields.reporter[1])));
    return host === "" ? component : `${component}, ${host}`;
  };

const eventCount =
  (fields: EventFields): Cell =>
  (event) =>
    at(event, "series") === undefined ? number(at(event, fields.count)) || 1 : number(at(event, "series.count"));

const modes = [
  ["ReadWriteOnce", "RWO"],
  ["ReadOnlyMany", "ROX"],
  ["ReadWriteMany", "RWX"],
  ["ReadWriteOncePod", "RWOP"],
] as const;
const accessModes = (value: unknown): string =>
  modes
    .filter(([mode]) => list(value).includes(mode))
    .map(([, short]) => short)
    .join(",");

const annotation = (object: unknown, name: string): string =>
  text(entries(at(object, "metadata.annotations")).find(([key]) => key === name)?.[1]);
const namedDefault =
  (...annotations: string[]): Cell =>
  (object) =>
    text(at(object, "metadata.name")) +
    (annotations.some((name) => annotation(object, name) === "true") ? " (default)" : "");

const phase: Cell = (object) =>
  at(object, "metadata.deletionTimestamp") === undefined ? text(at(object, "status.phase")) : "Terminating";

const reference = (value: unknown, first: string, second: string): string =>
  `${text(at(value, first))}/${text(at(value, second))}`;

const parameterReference: Cell = (binding) => {
  const parameters = at(binding, "spec.paramRef");
  if (parameters === undefined) return "<unset>";
  const name = text(at(parameters, "name"));
  if (name !== "") return `${textOr(at(parameters, "namespace"), "*")}/${name}`;
  const matched = entries(at(parameters, "selector.matchLabels")).map(([key, value]) => `${key}: ${text(value)},`);
  return `&LabelSelector{MatchLabels:map[string]string{${matched.join("")}},MatchExpressions:[]LabelSelectorRequirement{},}`;
};

const requestCondition: Cell = (request) => {
  const has = (type: string) => conditionOf(at(request, "status.conditions"), type) !== undefined;
  const words = [has("Denied") ? "Denied" : has("Approved") ? "Approved" : "Pending"];
  if (has("Failed")) words.push("Failed");
  if (text(at(request, "status.certificate")) !== "") words.push("Issued");
  return words.join(",");
};

const claimState: Cell = (claim) => {
  const states: string[] = [];
  const isDeleted = at(claim, "metadata.deletionTimestamp") !== undefined;
  if (isDeleted) states.push("deleted");
  if (at(claim, "status.allocation") === undefined) {
    if (!isDeleted) states.push("pending");
  } else {
    states.push("allocated");
    if (list(at(claim, "status.reservedFor")).length > 0) states.push("reserved");
  }
  return states.join(",");
};

const health: Cell = (object) => {
  const condition = conditionOf(at(object, "conditions"), "Healthy");
  return condition === undefined ? "Unknown" : at(condition, "status") === "True" ? "Healthy" : "Unhealthy";
};

const created: Cell = (object) => {
  const time = at(object, "metadata.creationTimestamp");
  return time === undefined ? null : rfc3339(parseTimeMs(text(time)));
};

const eventCells = (fields: EventFields, own: string): Record<string, Cell> => ({
  [`lower(${fields.about}.kind)+(${fields.about}.name?"/"+name:"")`]: aboutObject(fields),
  [`(${fields.source}.component|${fields.reporter[0]})+((${fields.source}.host|${fields.reporter[1]})?", "+it:"")`]:
    eventSource(fields),
  [`series?series.count:(${fields.count}|1)`]: eventCount(fields),
  [`trim(${own})`]: (event) => text(at(event, own)).trim(),
});

/** Cells of everything else, by the table's own words for them. */
export const objectCells: Readonly<Record<string, Cell>> = {
  ...eventCells(older, "message"),
  ...eventCells(newer, "note"),
  eventLast: lastSeen(older),
  eventFirst: firstSeen(older),
  "as v1/Event with series.lastObservedTime, deprecatedFirstTimestamp, deprecatedLastTimestamp, eventTime":
    lastSeen(newer),
  "as v1/Event": firstSeen(newer),
  age: (object, nowMs) => since(at(object, "metadata.creationTimestamp"), nowMs),
  "metadata.creationTimestamp RFC3339": created,
  "accessModes(spec.accessModes)": (volume) => accessModes(at(volume, "spec.accessModes")),
  'spec.volumeName?accessModes(status.accessModes):""': (claim) =>
    text(at(claim, "spec.volumeName")) === "" ? "" : accessModes(at(claim, "status.accessModes")),
  'spec.volumeName?(status.capacity.storage|0):""': (claim) =>
    text(at(claim, "spec.volumeName")) === "" ? "" : textOr(at(claim, "status.capacity.storage"), "0"),
  "metadata.deletionTimestamp?Terminating:status.phase": phase,
  'spec.claimRef?namespace/name:""': (volume) =>
    at(volume, "spec.claimRef") === undefined ? "" : reference(at(volume, "spec.claimRef"), "namespace", "name"),
  "annotation volume.beta.kubernetes.io/storage-class|spec.storageClassName": (object) =>
    annotation(object, "volume.beta.kubernetes.io/storage-class") || text(at(object, "spec.storageClassName")),
  'metadata.name+(annotation ingressclass.kubernetes.io/is-default-class=="true"?" (default)":"")': namedDefault(
    "ingressclass.kubernetes.io/is-default-class",
  ),
  'metadata.name+(annotation storageclass.kubernetes.io/is-default-class=="true" or storageclass.beta.kubernetes.io/is-default-class=="true"?" (default)":"")':
    namedDefault("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"),
  "spec.paramKind?apiVersion/kind:<unset>": (policy) =>
    at(policy, "spec.paramKind") === undefined
      ? "<unset>"
      : reference(at(policy, "spec.paramKind"), "apiVersion", "kind"),
  paramRef: parameterReference,
  csrCondition: requestCondition,
  "spec.expirationSeconds?human(it s):<none>": (request) =>
    at(request, "spec.expirationSeconds") === undefined
      ? "<none>"
      : duration(number(at(request, "spec.expirationSeconds"))),
  claimState,
  "conditions[type==Healthy]?(status==True?Healthy:Unhealthy):Unknown": health,
  "conditions[type==Healthy].message": (object) =>
    text(at(conditionOf(at(object, "conditions"), "Healthy"), "message")),
  "conditions[type==Healthy].error": (object) => text(at(conditionOf(at(object, "conditions"), "Healthy"), "error")),
  "status.conditions[type==Dangling].status|?": (object) =>
    textOr(at(conditionOf(at(object, "status.conditions"), "Dangling"), "status"), "?"),
};
