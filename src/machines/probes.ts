import type { Container, HTTPGetAction, LifecycleHandler, Probe, TCPSocketAction } from "../api/types.gen.ts";
import type { BoundHandler, BoundProbe } from "../clouds/box.ts";
import { configError } from "./world.ts";

/** Resolves the names of ports; a host that is not given is the Pod's own address. */
export function boundProbe(probe: Probe, container: Container, address: string): BoundProbe {
  return {
    action: probeAction(probe, container, address),
    initialDelaySeconds: probe.initialDelaySeconds ?? 0,
    periodSeconds: probe.periodSeconds ?? 10,
    timeoutSeconds: probe.timeoutSeconds ?? 1,
    successThreshold: probe.successThreshold ?? 1,
    failureThreshold: probe.failureThreshold ?? 3,
    ...(probe.terminationGracePeriodSeconds !== undefined && { graceSeconds: probe.terminationGracePeriodSeconds }),
  };
}

function probeAction(probe: Probe, container: Container, address: string): BoundProbe["action"] {
  const { grpc, exec, httpGet, tcpSocket } = probe;
  if (grpc) return { kind: "grpc", host: address, port: grpc.port, service: grpc.service ?? "" };
  if (httpGet) return httpAction(httpGet, container, address);
  if (tcpSocket) return tcpAction(tcpSocket, container, address);
  return { kind: "exec", command: exec?.command ?? [] };
}

/** A hook; undefined where it says nothing to do. */
export function boundHandler(hook: LifecycleHandler, container: Container, address: string): BoundHandler | undefined {
  if (hook.exec) return { kind: "exec", command: hook.exec.command ?? [] };
  if (hook.httpGet) return httpAction(hook.httpGet, container, address);
  if (hook.tcpSocket) return tcpAction(hook.tcpSocket, container, address);
  return hook.sleep && { kind: "sleep", seconds: hook.sleep.seconds };
}

const httpAction = (
  { path = "/", port, host, scheme, httpHeaders = [] }: HTTPGetAction,
  container: Container,
  address: string,
): BoundProbe["action"] => ({
  kind: "http",
  scheme: scheme === "HTTPS" ? "HTTPS" : "HTTP",
  host: host || address,
  port: portNumber(port, container),
  path: path.startsWith("/") ? path : `/${path}`,
  headers: httpHeaders.map(({ name, value }) => [name, value]),
});

const tcpAction = ({ port, host }: TCPSocketAction, container: Container, address: string): BoundProbe["action"] => ({
  kind: "tcp",
  host: host || address,
  port: portNumber(port, container),
});

function portNumber(port: number | string, { ports = [], name }: Container): number {
  const found = typeof port === "number" ? port : ports.find((each) => each.name === port)?.containerPort;
  if (found === undefined) throw configError(`container ${name} has no port named ${port}`);
  return found;
}
