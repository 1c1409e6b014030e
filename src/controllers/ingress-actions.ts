import type { Ingress, IngressBackend } from "../api/types.gen.ts";
import type { Answer, Condition, Rule } from "../clouds/balancer.ts";
import {
  attempt,
  type Fields,
  fieldsOf,
  isFields,
  jsonOf,
  lowered,
  Refused,
  textOf,
  wholeNumber,
} from "./ingress-json.ts";

/** The AWS Load Balancer Controller's `actions.NAME` and `conditions.NAME`: JSON, its keys in any case. */

const prefix = "alb.ingress.kubernetes.io/";
/** The port of a backend that is an action's name instead of a Service's. */
const actionPort = "use-annotation";

/** What an action does: answers by itself, or sends to Services by weight. */
export type ParsedAction =
  | { answer: Answer }
  | { services: readonly { name: string; port: string; weight: number }[]; stickySeconds?: number };

export type ParsedConditions = Pick<Rule, "hosts" | "patterns" | "conditions">;

function redirectOf(config: Fields): Answer {
  const status = /^HTTP_(301|302)$/.exec(textOf(config["statuscode"])?.toUpperCase() ?? "")?.[1];
  if (status === undefined) throw new Refused("redirectConfig.statusCode must be HTTP_301 or HTTP_302");
  const { host, path, query } = config;
  const given = Object.entries({ host, path, query }).flatMap(([name, value]) => {
    const text = textOf(value);
    return text === undefined || text === "" ? [] : [[name, text] as const];
  });
  const protocol = textOf(config["protocol"])?.toUpperCase() ?? "#{PROTOCOL}";
  if (!["HTTP", "HTTPS", "#{PROTOCOL}"].includes(protocol))
    throw new Refused("redirectConfig.protocol must be HTTP or HTTPS");
  const port = textOf(config["port"]) ?? "#{port}";
  return {
    kind: "redirect",
    statusCode: Number(status) as 301 | 302, // One of the two that the pattern takes.
    ...(protocol !== "#{PROTOCOL}" && { protocol: protocol as "HTTP" | "HTTPS" }),
    ...(port !== "#{port}" && { port: wholeNumber(port, "redirectConfig.port", 1, 65_535) }),
    ...Object.fromEntries(given),
  };
}

function fixedOf(config: Fields): Answer {
  const contentType = textOf(config["contenttype"]);
  const body = textOf(config["messagebody"]);
  return {
    kind: "fixed",
    statusCode: wholeNumber(config["statuscode"], "fixedResponseConfig.statusCode", 200, 599),
    ...(contentType !== undefined && { contentType }),
    ...(body !== undefined && { body }),
  };
}

const stickySecondsMax = 604_800;

function forwardOf(action: Fields): ParsedAction {
  const config = fieldsOf(action["forwardconfig"] ?? { targetgroups: [action] }, "forwardConfig");
  const groups = Array.isArray(config["targetgroups"]) ? config["targetgroups"] : [];
  if (groups.length === 0) throw new Refused("forwardConfig.targetGroups is empty");
  const services = groups.map((one) => {
    const group = fieldsOf(one, "a target group");
    const [name, port] = [textOf(group["servicename"]), textOf(group["serviceport"])];
    if (name === undefined || port === undefined)
      throw new Refused("drover sends to Services only, named by serviceName and servicePort, and not to an ARN");
    return { name, port, weight: wholeNumber(group["weight"] ?? 1, "weight", 0, 999) };
  });
  const sticky = isFields(config["targetgroupstickinessconfig"]) ? config["targetgroupstickinessconfig"] : {};
  if (sticky["enabled"] !== true) return { services };
  const seconds = wholeNumber(sticky["durationseconds"] ?? 1, "durationSeconds", 1, stickySecondsMax);
  return { services, stickySeconds: seconds };
}

function actionOf(text: string): ParsedAction {
  const action = fieldsOf(lowered(jsonOf(text)), "an object");
  const type = textOf(action["type"])?.toLowerCase();
  if (type === "redirect") return { answer: redirectOf(fieldsOf(action["redirectconfig"], "redirectConfig")) };
  if (type === "fixed-response")
    return { answer: fixedOf(fieldsOf(action["fixedresponseconfig"], "fixedResponseConfig")) };
  if (type === "forward") return forwardOf(action);
  throw new Refused(`type must be forward, redirect or fixed-response, not ${type ?? "nothing"}`);
}

/** Whether the backend names an action. */
export const isAction = ({ service }: IngressBackend): boolean => service?.port?.name === actionPort;

/** The Services that the actions of an Ingress send to. */
export const servicesOfActions = (ingress: Ingress): string[] =>
  Object.keys(ingress.metadata.annotations ?? {}).flatMap((key) => {
    const [, name] = key.split(`${prefix}actions.`);
    const action = name === undefined ? { problem: "" } : actionNamed(ingress, name);
    return "services" in action ? action.services.map((service) => service.name) : [];
  });

/** The action that a backend names. */
export function actionNamed({ metadata }: Ingress, name: string): ParsedAction | { problem: string } {
  const annotation = `${prefix}actions.${name}`;
  const text = metadata.annotations?.[annotation];
  if (text === undefined) return { problem: `${annotation} isn't there, though a backend names it` };
  return attempt(annotation, () => actionOf(text));
}

/** The fields of conditions, by their names in the annotation. */
const configs: Readonly<Record<string, string>> = {
  "host-header": "hostheaderconfig",
  "path-pattern": "pathpatternconfig",
  "http-header": "httpheaderconfig",
  "http-request-method": "httprequestmethodconfig",
  "query-string": "querystringconfig",
  "source-ip": "sourceipconfig",
};

function conditionsOf(text: string): ParsedConditions {
  const list = lowered(jsonOf(text));
  if (!Array.isArray(list) || list.length === 0) throw new Refused("a list of conditions is expected");
  const hosts: string[] = [];
  const patterns: string[] = [];
  const conditions: Condition[] = [];
  for (const one of list) {
    const condition = fieldsOf(one, "a condition");
    const field = textOf(condition["field"])?.toLowerCase() ?? "";
    const key = configs[field];
    if (key === undefined) throw new Refused(`field must be one of ${Object.keys(configs).join(", ")}, not "${field}"`);
    const config = fieldsOf(condition[key], key);
    const given = Array.isArray(config["values"]) ? config["values"] : [];
    if (given.length === 0) throw new Refused(`${field} has no values`);
    const values = given.flatMap((value) => textOf(value) ?? []);
    if (field === "host-header") hosts.push(...values.map((value) => value.toLowerCase()));
    else if (field === "path-pattern") patterns.push(...values);
    else if (field === "http-request-method") conditions.push({ field: "method", values });
    else if (field === "source-ip") conditions.push({ field: "source", values });
    else if (field === "query-string") conditions.push({ field: "query", values: given.map(queryOf) });
    else conditions.push({ field: "header", name: headerOf(config), values });
  }
  return {
    ...(hosts.length > 0 && { hosts }),
    ...(patterns.length > 0 && { patterns }),
    ...(conditions.length > 0 && { conditions }),
  };
}

function headerOf(config: Fields): string {
  const name = textOf(config["httpheadername"]) ?? "";
  if (/^[\w!#$%&'*+.^`|~-]{1,40}$/.test(name)) return name;
  throw new Refused(`httpHeaderName must be a header's name, not "${name}"`);
}

function queryOf(value: unknown): { key?: string; value: string } {
  const pair = isFields(value) ? value : { value };
  const [key, text] = [textOf(pair["key"]), textOf(pair["value"])];
  if (text === undefined) throw new Refused("query-string has a value that is none");
  return { ...(key !== undefined && { key }), value: text };
}

/** What requests of a backend must have beside host and path. Empty: nothing is said of it. */
export function conditionsNamed({ metadata }: Ingress, name: string): ParsedConditions | { problem: string } {
  const annotation = `${prefix}conditions.${name}`;
  const text = metadata.annotations?.[annotation];
  return text === undefined ? {} : attempt(annotation, () => conditionsOf(text));
}
