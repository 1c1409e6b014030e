import { portName, port as portNumber } from "../names.ts";
import { forbiddenField, invalidValue, nonNegative, notSupported, required } from "../problems.ts";
import type { FieldProblem } from "../status.ts";
import type { Container, HTTPGetAction, LifecycleHandler, Probe } from "../types.gen.ts";

/** A port by number or by the name that a container gives it. */
export function portOrNameProblems(port: number | string, at: string): FieldProblem[] {
  const complaints = typeof port === "number" ? portNumber(port) : portName(port);
  return complaints.map((why) => invalidValue(at, port, why));
}

function httpProblems(http: HTTPGetAction, at: string): FieldProblem[] {
  const problems = http.path === "" ? [required(`${at}.path`)] : [];
  problems.push(...portOrNameProblems(http.port, `${at}.port`));
  if (http.scheme !== "HTTP" && http.scheme !== "HTTPS") {
    problems.push(notSupported(`${at}.scheme`, http.scheme, ["HTTP", "HTTPS"]));
  }
  for (const { name } of http.httpHeaders ?? []) {
    if (/^[-A-Za-z0-9]+$/.test(name)) continue;
    const why =
      "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for " +
      "validation is '[-A-Za-z0-9]+')";
    problems.push(invalidValue(`${at}.httpHeaders`, name, why));
  }
  return problems;
}

type Handler = LifecycleHandler & Pick<Probe, "grpc">;

/** Exactly one way to act. */
function handlerProblems(handler: Handler, graceSeconds: number, at: string): FieldProblem[] {
  const problems: FieldProblem[] = [];
  let handlers = 0;
  const ways: [name: string, isGiven: boolean, check: () => FieldProblem[]][] = [
    ["exec", handler.exec !== undefined, () => (handler.exec?.command ? [] : [required(`${at}.exec.command`)])],
    [
      "httpGet",
      handler.httpGet !== undefined,
      () => (handler.httpGet ? httpProblems(handler.httpGet, `${at}.httpGet`) : []),
    ],
    [
      "tcpSocket",
      handler.tcpSocket !== undefined,
      () => portOrNameProblems(handler.tcpSocket?.port ?? 0, `${at}.tcpSocket.port`),
    ],
    ["grpc", handler.grpc !== undefined, () => portOrNameProblems(handler.grpc?.port ?? 0, `${at}.grpc.port`)],
    [
      "sleep",
      handler.sleep !== undefined,
      () => sleepProblems(handler.sleep?.seconds ?? 0, graceSeconds, `${at}.sleep`),
    ],
  ];
  for (const [name, isGiven, check] of ways) {
    if (!isGiven) continue;
    if (handlers++ > 0) problems.push(forbiddenField(`${at}.${name}`, "may not specify more than 1 handler type"));
    else problems.push(...check());
  }
  return handlers > 0 ? problems : [required(at, "must specify a handler type")];
}

const sleepProblems = (seconds: number, graceSeconds: number, at: string): FieldProblem[] =>
  seconds >= 0 && seconds <= graceSeconds
    ? []
    : [invalidValue(at, seconds, `must be non-negative and less than terminationGracePeriodSeconds (${graceSeconds})`)];

const counts = [
  "initialDelaySeconds",
  "timeoutSeconds",
  "periodSeconds",
  "successThreshold",
  "failureThreshold",
] as const;

function probeProblems(probe: Probe, graceSeconds: number, at: string): FieldProblem[] {
  const problems = handlerProblems(probe, graceSeconds, at);
  for (const name of counts) problems.push(...nonNegative(`${at}.${name}`, probe[name]));
  const grace = probe.terminationGracePeriodSeconds;
  if (grace !== undefined && grace <= 0) {
    problems.push(invalidValue(`${at}.terminationGracePeriodSeconds`, grace, "must be greater than 0"));
  }
  return problems;
}

const onceProblems = (probe: Probe, at: string): FieldProblem[] =>
  probe.successThreshold === 1
    ? []
    : [invalidValue(`${at}.successThreshold`, probe.successThreshold ?? 0, "must be 1")];

/** Lifecycle handlers and probes of a container. `graceSeconds`: the Pod's time to end. */
export function lifecycleProblems(container: Container, graceSeconds: number, at: string): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const { lifecycle, livenessProbe, readinessProbe, startupProbe } = container;
  if (lifecycle?.postStart) {
    problems.push(...handlerProblems(lifecycle.postStart, graceSeconds, `${at}.lifecycle.postStart`));
  }
  if (lifecycle?.preStop) {
    problems.push(...handlerProblems(lifecycle.preStop, graceSeconds, `${at}.lifecycle.preStop`));
  }
  if (livenessProbe) {
    problems.push(...probeProblems(livenessProbe, graceSeconds, `${at}.livenessProbe`));
    problems.push(...onceProblems(livenessProbe, `${at}.livenessProbe`));
  }
  if (readinessProbe) {
    problems.push(...probeProblems(readinessProbe, graceSeconds, `${at}.readinessProbe`));
    const grace = readinessProbe.terminationGracePeriodSeconds;
    if (grace !== undefined) {
      const field = `${at}.readinessProbe.terminationGracePeriodSeconds`;
      problems.push(invalidValue(field, grace, "must not be set for readinessProbes"));
    }
  }
  if (startupProbe) {
    problems.push(...probeProblems(startupProbe, graceSeconds, `${at}.startupProbe`));
    problems.push(...onceProblems(startupProbe, `${at}.startupProbe`));
  }
  return problems;
}
