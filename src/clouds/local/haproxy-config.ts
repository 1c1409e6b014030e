import { createHash } from "node:crypto";
import { isIP, isIPv4 } from "node:net";
import { DroverError } from "../../base/errors.ts";
import type { Answer, BalancerSpec, Forward, Listener, Rule } from "../balancer.ts";
import { answerBackend, answerName, conditionsOf, unfit } from "./haproxy-rules.ts";

/** A target as one backend of haproxy knows it. */
export type WantedServer = {
  groupId: string;
  machineId: string;
  backend: string;
  name: string;
  address: string;
  port: number;
  draining: boolean;
  weight: number;
  /** The machine itself speaks TLS, with whatever certificate. */
  tls: boolean;
  /** Never checked, and asked while no other server of the backend is up: AWS' load balancers fail open too. */
  backup: boolean;
};

/** Connections at once a Service. */
const connectionsMax = 4096;
/**
 * Often enough that a machine that falls silent is left out within about four seconds; a busy computer keeps an emulated
 * one waiting for two, and where it is the only one all would be lost meanwhile. One that refuses a connection is left
 * out at once, until the next check: no connection is tried again elsewhere, so each try on it would be lost.
 */
const checking = [
  "check inter 1s fastinter 250ms downinter 500ms fall 3 rise 1",
  "observe layer4 error-limit 1 on-error mark-down",
].join(" ");

/** How haproxy speaks to a server. */
export const optionsOf = ({ tls, backup }: Pick<WantedServer, "tls" | "backup">): string =>
  `${tls ? "ssl verify none " : ""}${backup ? "backup" : checking}`;

const isHttp = ({ protocol }: Listener): boolean => protocol === "HTTP" || protocol === "HTTPS";
const isSecure = ({ protocol }: Listener): boolean => protocol === "TLS" || protocol === "HTTPS";

/** The listeners that haproxy serves: no datagrams, and nothing secret without a certificate. */
export const servedListeners = (spec: BalancerSpec): Listener[] =>
  spec.listeners.filter(
    (listener) => listener.protocol !== "UDP" && (!isSecure(listener) || (listener.certificates ?? []).length > 0),
  );

/** The unix socket by which the outside reaches one listener. */
export const listenerSocket = (folder: string, port: number): string => `${folder}/${port}.sock`;

/** Where the certificates of a listener are named. */
const certificateList = (folder: string, port: number): string => `${folder}/${port}.certificates`;

/** The files of all certificates, by path: a private key is in each, so nobody else may read them. */
export const certificateFiles = (spec: BalancerSpec, folder: string): [path: string, content: string][] =>
  servedListeners(spec)
    .filter(isSecure)
    .flatMap(({ port, certificates = [] }) => {
      const files = certificates.map(({ certificatePem, keyPem }, index): [string, string] => [
        `${folder}/${port}-${index}.pem`,
        `${certificatePem.trim()}\n${keyPem.trim()}\n`,
      ]);
      const lines = certificates.map(({ hosts }, index) => [files[index]?.[0], ...hosts].join(" "));
      return [...files, [certificateList(folder, port), `${lines.join("\n")}\n`]];
    });

type Backend = { name: string; mode: "http" | "tcp"; forward: Forward };

/** One backend for all that is forwarded alike. */
function backendsOf(spec: BalancerSpec): Backend[] {
  const backends: Backend[] = [];
  for (const listener of servedListeners(spec)) {
    for (const forward of [...(listener.rules ?? []).map((rule) => rule.forward), listener.forward]) {
      if (forward.length === 0 || backendOf(backends, listener, forward)) continue;
      const mode = isHttp(listener) ? "http" : "tcp";
      const twins = backends.filter((each) => each.mode === mode && nameOf(each.forward) === nameOf(forward));
      const name = [mode, nameOf(forward), ...(twins.length > 0 ? [twins.length] : [])].join("-");
      backends.push({ name, mode, forward });
    }
  }
  return backends;
}

const backendOf = (backends: readonly Backend[], listener: Listener, forward: Forward): Backend | undefined =>
  backends.find(
    (each) => (each.mode === "http") === isHttp(listener) && JSON.stringify(each.forward) === JSON.stringify(forward),
  );

/** Weights are not part of it: they change in the running process. */
function nameOf(forward: Forward): string {
  const ids = forward.map(({ groupId }) => groupId).join(" ");
  return /^[\w.-]{1,60}$/.test(ids) ? ids : createHash("sha256").update(ids).digest("hex").slice(0, 12);
}

/** What a running haproxy can't change: another value here needs another process. */
export function boundTo(spec: BalancerSpec): string {
  const backends = backendsOf(spec);
  const to = (listener: Listener, forward: Forward) => backendOf(backends, listener, forward)?.name ?? "";
  const listeners = servedListeners(spec).map((listener) => [
    listener.port,
    listener.protocol,
    to(listener, listener.forward),
    listener.answer,
    (listener.rules ?? []).map(({ forward, ...rule }) => [rule, to(listener, forward)]),
    createHash("sha256")
      .update(JSON.stringify(listener.certificates ?? []))
      .digest("hex"),
  ]);
  const secure = spec.groups.filter(({ protocol }) => protocol === "HTTPS").map(({ id }) => id);
  return JSON.stringify([isPublished(spec), spec.clusterAddress ?? "", redirectPort(spec) ?? 0, listeners, secure]);
}

/** Whether this computer itself reaches it. An Ingress has no address among the machines. */
export const isPublished = ({ scheme, kind }: BalancerSpec): boolean =>
  scheme === "internet-facing" || kind === "application";

/** Where plain requests are sent to instead of being answered. */
function redirectPort(spec: BalancerSpec): number | undefined {
  const port = Number(spec.annotations["alb.ingress.kubernetes.io/ssl-redirect"]);
  return servedListeners(spec).some((each) => each.protocol === "HTTPS" && each.port === port) ? port : undefined;
}

/** Every (backend, target) that is served: a server that is checked, and its backup. */
export const wantedServers = (spec: BalancerSpec): WantedServer[] =>
  backendsOf(spec).flatMap(({ name: backend, forward }) => {
    const weights = serverWeights(spec, forward);
    return forward.flatMap(({ groupId }, index) => {
      const { targets = [], protocol } = spec.groups.find(({ id }) => id === groupId) ?? {};
      const tls = protocol === "HTTPS";
      return targets.flatMap((target) => {
        const name = forward.length === 1 ? target.machineId : `${target.machineId}.${index}`;
        const server = { ...target, groupId, backend, name, weight: weights[index] ?? 0, tls, backup: false };
        return [server, { ...server, name: `${name}:backup`, backup: true }];
      });
    });
  });

/** haproxy's own bound. */
const weightMax = 256;

/** What each server of each group weighs, so that the groups get their shares however many servers they have. */
function serverWeights({ groups }: BalancerSpec, forward: Forward): number[] {
  const shares = forward.map(({ groupId, weight }) => {
    const targets = groups.find(({ id }) => id === groupId)?.targets ?? [];
    return weight / Math.max(1, targets.filter(({ draining }) => !draining).length);
  });
  if (shares.length === 1) return shares.map((share) => Math.min(1, Math.ceil(share)));
  const most = Math.max(...shares);
  return shares.map((share) => (share === 0 ? 0 : Math.max(1, Math.round((share / most) * weightMax))));
}

/** @throws CLOUD_INVALID for what could not stand in a line of configuration as it is */
export function assertBalancer(spec: BalancerSpec): void {
  const refuse = (what: string): never => {
    throw new DroverError("CLOUD_INVALID", `The balancer of ${spec.name} can't have ${what}.`, { balancer: spec.id });
  };
  const isPort = (port: number) => Number.isInteger(port) && port >= 1 && port <= 65_535;
  const isHost = (host: string) => /^(\*\.)?[a-zA-Z0-9.-]{1,253}$/.test(host);
  if (!/^[a-zA-Z0-9-]{1,63}$/.test(spec.id)) refuse(`the id ${spec.id}`);
  if (spec.clusterAddress !== undefined && !isIPv4(spec.clusterAddress)) refuse(`the address ${spec.clusterAddress}`);
  if (spec.clusterAddress === undefined && !isPublished(spec)) refuse("no address at all");
  for (const { port, rules = [], certificates = [], answer } of spec.listeners) {
    if (!isPort(port)) refuse(`the port ${port}`);
    for (const one of [...rules, ...(answer ? [{ answer }] : [])]) {
      const what = unfit(one);
      if (what !== undefined) refuse(what);
    }
    for (const { host, path } of rules) {
      if (host !== undefined && !isHost(host)) refuse(`the host ${host}`);
      if (path !== undefined && !/^\/[\x21-\x7e]*$/.test(path)) refuse(`the path ${path}`);
    }
    for (const host of certificates.flatMap(({ hosts }) => hosts)) if (!isHost(host)) refuse(`the host ${host}`);
  }
  for (const range of spec.sourceRanges) if (!isNetwork(range)) refuse(`the source range ${range}`);
  for (const { machineId, address, port, draining } of spec.groups.flatMap(({ targets }) => targets)) {
    if (!/^[a-zA-Z0-9_.-]{1,200}$/.test(machineId)) refuse(`the machine ${machineId}`);
    if (!isIPv4(address)) refuse(`a target at ${address}`);
    if (!isPort(port) && !(draining && port === 0)) refuse(`a target's port ${port}`);
  }
}

function isNetwork(range: string): boolean {
  const [address = "", bits = "", ...more] = range.split("/");
  return (
    isIP(address) !== 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= (isIPv4(address) ? 32 : 128) && more.length === 0
  );
}

/** Answers what no rule is for. */
const nowhere = ["backend nowhere", "  mode http", "  http-request return status 404"];

function frontendOf(spec: BalancerSpec, listener: Listener, folder: string, backends: readonly Backend[]): string[] {
  const { port, rules = [], forward, answer } = listener;
  const tls = isSecure(listener) ? ` ssl crt-list ${certificateList(folder, port)}` : "";
  const to = (each: Pick<Rule, "forward" | "answer">) =>
    each.answer ? answerName(each.answer) : (backendOf(backends, listener, each.forward)?.name ?? "nowhere");
  const redirect = redirectPort(spec);
  const http = [
    "  mode http",
    "  timeout http-request 30s",
    "  timeout http-keep-alive 60s",
    `  http-request set-header X-Forwarded-Proto ${isSecure(listener) ? "https" : "http"}`,
    `  http-request set-header X-Forwarded-Port ${port}`,
    ...(redirect !== undefined && !isSecure(listener)
      ? [
          `  http-request redirect code 301 location https://%[req.hdr(host),field(1,:)]${at(redirect)}%[capture.req.uri]`,
        ]
      : []),
    ...rules.flatMap((rule) => conditionsOf(rule).map((when) => `  use_backend ${to(rule)}${when && ` if ${when}`}`)),
    `  default_backend ${to({ forward, ...(answer && { answer }) })}`,
  ];
  return [
    `frontend f${port}`,
    ...(spec.clusterAddress === undefined ? [] : [`  bind ${spec.clusterAddress}:${port}${tls}`]),
    ...(isPublished(spec) ? [`  bind unix@${listenerSocket(folder, port)} mode 600${tls}`] : []),
    ...(isHttp(listener) ? http : forward.length > 0 ? [`  default_backend ${to({ forward })}`] : []),
  ];
}

/** Each once. */
const answersOf = (listeners: readonly Listener[]): Answer[] => {
  const answers = listeners.flatMap(({ rules = [], answer }) => [answer, ...rules.map((rule) => rule.answer)]);
  return [...new Map(answers.flatMap((each) => (each ? [[answerName(each), each] as const] : []))).values()];
};

const at = (port: number): string => (port === 443 ? "" : `:${port}`);

/**
 * The configuration of one balancer's haproxy: connections are passed on as they are, nothing is retried or sent to
 * another machine, and an idle connection may stay for a day. What a busy machine does not accept at once is waited
 * for: to give it up is to lose it, and an NLB leaves that to its client. Requests go each over a connection of their
 * own, so that none meets one that its machine is just closing.
 */
export function haproxyConfig(spec: BalancerSpec, folder: string, servers: readonly WantedServer[]): string {
  const backends = backendsOf(spec);
  const listeners = servedListeners(spec);
  return `${[
    "global",
    `  stats socket ${folder}/admin.sock mode 600 level admin expose-fd listeners`,
    "  nbthread 1",
    `  maxconn ${connectionsMax}`,
    "defaults",
    "  mode tcp",
    "  retries 0",
    "  option tcpka",
    "  timeout connect 60s",
    "  timeout client 1d",
    "  timeout server 1d",
    ...listeners.flatMap((listener) => frontendOf(spec, listener, folder, backends)),
    ...(listeners.some(isHttp) ? nowhere : []),
    ...answersOf(listeners).flatMap(answerBackend),
    ...backends.flatMap(({ name, mode }) => [
      `backend ${name}`,
      ...(mode === "http" ? ["  mode http", "  option http-server-close"] : []),
      "  balance roundrobin",
      "  option allbackups",
      ...servers
        .filter((server) => server.backend === name && !server.draining)
        .map((one) => `  server ${one.name} ${one.address}:${one.port} weight ${one.weight} ${optionsOf(one)}`),
    ]),
  ].join("\n")}\n`;
}
