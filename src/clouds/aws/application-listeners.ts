import { DroverError } from "../../base/errors.ts";
import type { Answer, BalancerSpec, Rule } from "../balancer.ts";
import type { BalancerSettings } from "./annotations.ts";
import {
  type Destination,
  destinationOf,
  type End,
  invalid,
  type Names,
  type PlannedListener,
  type PlannedRule,
  tlsOf,
} from "./destinations.ts";

type Port = NonNullable<BalancerSettings["listenPorts"]>[number];

/** Where an application balancer listens: as the annotations say, else as the spec does. */
export function portsOf(spec: BalancerSpec, { certificates = [], listenPorts }: BalancerSettings): readonly Port[] {
  const usual = certificates.length > 0 && spec.listeners.every(({ protocol }) => protocol === "HTTP");
  if (listenPorts !== undefined) return listenPorts;
  if (usual) return [{ protocol: "HTTPS", port: 443 }];
  return spec.listeners.map(({ protocol, port }) => ({ protocol: protocol === "HTTPS" ? "HTTPS" : "HTTP", port }));
}

/**
 * What clients get over plain HTTP, where AWS lets nobody log in: whatever needs that is over at HTTPS, and nobody gets
 * it where that is not.
 */
function plainEnd({ login, ...end }: End, ports: readonly Port[]): End {
  if (login === undefined || end.answer?.kind === "redirect") return end;
  const secure = ports.find(({ protocol }) => protocol === "HTTPS");
  const answer: Answer =
    secure === undefined
      ? { kind: "fixed", statusCode: 503, body: "Nobody can log in without HTTPS\n" }
      : { kind: "redirect", statusCode: 302, protocol: "HTTPS", port: secure.port };
  return { forward: [], answer };
}

/** @throws CLOUD_INVALID with the annotation or field */
export function applicationListeners(spec: BalancerSpec, settings: BalancerSettings, names: Names): PlannedListener[] {
  const { certificates = [], tlsRedirectPort } = settings;
  const ports = portsOf(spec, settings);
  return ports.map(({ protocol, port }): PlannedListener => {
    const end = (one: End): Destination => destinationOf(protocol === "HTTP" ? plainEnd(one, ports) : one, names);
    const said = spec.listeners.find((listener) => listener.port === port) ?? spec.listeners[0];
    if (protocol === "HTTPS" && certificates.length === 0) {
      throw invalid(
        spec,
        "certificates",
        `port ${port} with HTTPS needs the ARN of a certificate in ACM; that of a Secret gets there by \`aws acm import-certificate\`.`,
      );
    }
    if (protocol === "HTTP" && tlsRedirectPort !== undefined) {
      return {
        port,
        protocol,
        certificates: [],
        destination: {
          forward: [],
          answer: { kind: "redirect", statusCode: 301, protocol: "HTTPS", port: tlsRedirectPort },
        },
        rules: [],
      };
    }
    return {
      port,
      protocol,
      certificates: protocol === "HTTPS" ? certificates : [],
      ...(protocol === "HTTPS" ? tlsOf(settings.tlsPolicy) : {}),
      destination: end(said ?? { forward: [] }),
      rules: (said?.rules ?? []).map(
        (rule): PlannedRule => ({
          hosts: [...(rule.host === undefined ? [] : [rule.host]), ...(rule.hosts ?? [])],
          paths: [...pathsOf(rule), ...(rule.patterns ?? [])],
          ...(rule.conditions && { conditions: rule.conditions }),
          destination: end(rule),
        }),
      ),
    };
  });
}

/** AWS matches paths by pattern; `*` and `?` of Exact and Prefix paths would be such without being meant. */
function pathsOf({ path, pathType }: Rule): string[] {
  if (path === undefined) return [];
  if (pathType === undefined) return [path];
  if (/[*?]/.test(path)) {
    throw new DroverError(
      "CLOUD_INVALID",
      `spec.rules.http.paths.path: "${path}" holds * or ?, which needs pathType ImplementationSpecific.`,
      { field: "spec.rules.http.paths.path" },
    );
  }
  if (pathType === "Exact") return [path];
  const stem = path.replace(/\/+$/, "");
  return stem === "" ? [] : [stem, `${stem}/*`];
}
