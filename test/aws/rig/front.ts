import {
  createServer as createHttpServer,
  type IncomingMessage,
  type ServerResponse,
  request as sendHttp,
} from "node:http";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import {
  type Action,
  DescribeListenersCommand,
  DescribeLoadBalancersCommand,
  DescribeRulesCommand,
  ElasticLoadBalancingV2Client,
  type Rule,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import type { Manner } from "./request.ts";
import type { Target, Targets } from "./targets.ts";

export type FrontOptions = {
  motoUrl: string;
  targets: Targets;
  addressOf: (instanceId: string) => string | undefined;
};

/** The load balancers' traffic: what moto keeps as data, carried out. */
export type Front = {
  manner: Manner;
  /** `http://127.0.0.1:PORT`, which leads where this listener of the balancer of this name leads. @throws there is none */
  reach(hostname: string, port: number): Promise<string>;
  /** The address where the balancer of this name listens on its own ports; undefined: there is no such balancer. */
  lookUp(hostname: string): Promise<string | undefined>;
  close(): Promise<void>;
};

type Listening = { url: string; server: Server; sockets: Set<Socket>; timer: NodeJS.Timeout };

/** In no subnet of moto's, so that no instance gets one of its addresses. */
const balancersNetwork = "172.31.240";
/** What was changed counts for connections that are made so long after it. */
const readEveryMs = 500;

export function openFront({ motoUrl, targets, addressOf }: FrontOptions): Front {
  const elb = new ElasticLoadBalancingV2Client({
    endpoint: motoUrl,
    region: "us-east-1",
    credentials: { accessKeyId: "moto", secretAccessKey: "moto" },
  });
  const fronts = new Map<string, Promise<Listening>>();
  const addresses = new Map<string, string>();
  /** So often something was changed that listeners and rules depend on. */
  let changes = 0;

  const listenersOf = async (hostname: string) => {
    const { LoadBalancers = [] } = await elb.send(new DescribeLoadBalancersCommand({}));
    const balancer = LoadBalancers.find(({ DNSName }) => DNSName === hostname);
    if (!balancer) return undefined;
    const { LoadBalancerArn } = balancer;
    const { Listeners = [] } = await elb.send(new DescribeListenersCommand({ LoadBalancerArn }));
    return { balancer, Listeners };
  };

  const listenerOf = async (hostname: string, port: number) => {
    const found = await listenersOf(hostname);
    if (!found) throw new Error(`no load balancer is called ${hostname}`);
    const { balancer, Listeners } = found;
    const listener = Listeners.find(({ Port }) => Port === port);
    if (!listener) throw new Error(`${hostname} does not listen on port ${port}`);
    return { listener, isApplication: balancer.Type === "application" };
  };

  /** A target that takes connections; where none is healthy, any one, as AWS does. */
  function targetOf(actions: readonly Action[]): { target: Target; address: string } | undefined {
    const groups = actions.flatMap(({ TargetGroupArn, ForwardConfig }) =>
      ForwardConfig?.TargetGroups?.length ? ForwardConfig.TargetGroups : [{ TargetGroupArn, Weight: 1 }],
    );
    const lots = groups.flatMap((group) => Array.from({ length: group.Weight ?? 1 }, () => group));
    const group = lots[Math.floor(Math.random() * lots.length)];
    const all = targets.of(group?.TargetGroupArn ?? "");
    const healthy = all.filter(({ takes, state }) => takes && state !== "initial" && state !== "unhealthy");
    const open = healthy.length > 0 ? healthy : all.filter(({ takes }) => takes);
    const target = open[Math.floor(Math.random() * open.length)];
    const address = target && addressOf(target.instanceId);
    return target && address !== undefined ? { target, address } : undefined;
  }

  function carry(near: Socket, actions: readonly Action[]): void {
    const found = targetOf(actions);
    near.on("error", () => undefined);
    if (!found) return void near.destroy();
    const { target, address } = found;
    const far = connect({ host: address, port: target.port, allowHalfOpen: true });
    target.open.add(far);
    near.pipe(far).pipe(near);
    far.on("error", () => near.destroy());
    far.on("close", () => {
      target.open.delete(far);
      near.destroy();
    });
    near.on("close", () => far.destroy());
  }

  function answer(request: IncomingMessage, response: ServerResponse, actions: readonly Action[]): void {
    const found = targetOf(actions);
    if (!found) return void response.writeHead(actions.length > 0 ? 503 : 404).end();
    const { target, address } = found;
    const { method, url: path, headers } = request;
    const sent = sendHttp({ host: address, port: target.port, method, path, headers, agent: false }, (given) => {
      response.writeHead(given.statusCode ?? 502, given.headers);
      given.pipe(response);
    });
    sent.on("error", () => (response.headersSent ? response.destroy() : response.writeHead(502).end()));
    target.open.add(sent);
    sent.on("close", () => target.open.delete(sent));
    request.pipe(sent);
  }

  /** `address`: where it listens, on the listener's own port; by default on any port of 127.0.0.1. */
  async function open(hostname: string, port: number, address?: string): Promise<Listening> {
    const first = await listenerOf(hostname, port);
    let actions: readonly Action[] = first.listener.DefaultActions ?? [];
    let rules: readonly Rule[] = [];
    const read = async () => {
      const { listener, isApplication } = await listenerOf(hostname, port);
      actions = listener.DefaultActions ?? [];
      if (!isApplication) return;
      const answer = await elb.send(new DescribeRulesCommand({ ListenerArn: listener.ListenerArn }));
      rules = answer.Rules ?? [];
    };
    let readAt = changes;
    await read();
    const timer = setInterval(() => {
      if (readAt === changes) return;
      readAt = changes;
      // A balancer that has just been deleted goes on as it was, until its test has ended.
      void read().catch(() => undefined);
    }, readEveryMs);
    const server = first.isApplication
      ? createHttpServer((request, response) => answer(request, response, ruled(rules, request)))
      : createServer({ allowHalfOpen: true }, (near) => carry(near, actions));
    const sockets = new Set<Socket>();
    server.on("connection", (socket: Socket) => {
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
    });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(address === undefined ? 0 : port, address ?? "127.0.0.1", resolve);
    });
    return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server, sockets, timer };
  }

  function once(key: string, hostname: string, port: number, address?: string): Promise<Listening> {
    const front = fronts.get(key) ?? open(hostname, port, address);
    fronts.set(key, front);
    front.catch(() => fronts.delete(key));
    return front;
  }

  return {
    async manner(request, next) {
      const answer = await next(request);
      const isChange = !/^(Describe|Register|Deregister)/.test(request.action);
      if (request.service === "elasticloadbalancing" && isChange) changes++;
      return answer;
    },
    reach: async (hostname, port) => (await once(`${hostname}:${port}`, hostname, port)).url,
    async lookUp(hostname) {
      const found = await listenersOf(hostname);
      if (!found) return undefined;
      const address = addresses.get(hostname) ?? `${balancersNetwork}.${addresses.size + 1}`;
      addresses.set(hostname, address);
      const ports = found.Listeners.map(({ Port = 0 }) => Port);
      await Promise.all(ports.map((port) => once(`${address}:${port}`, hostname, port, address)));
      return address;
    },
    async close() {
      for (const { server, sockets, timer } of await Promise.all(fronts.values())) {
        clearInterval(timer);
        for (const socket of sockets) socket.destroy();
        await new Promise<void>((resolve) => server.close(() => resolve()));
      }
      elb.destroy();
    },
  };
}

/** The actions of the first rule, by priority, whose conditions the request meets. */
function ruled(rules: readonly Rule[], { url = "/", headers }: IncomingMessage): readonly Action[] {
  const host = (headers.host ?? "").replace(/:\d+$/, "");
  const [path = "/"] = url.split("?");
  const meets = ({ Field, Values, HostHeaderConfig, PathPatternConfig }: NonNullable<Rule["Conditions"]>[number]) => {
    const patterns = HostHeaderConfig?.Values ?? PathPatternConfig?.Values ?? Values ?? [];
    return patterns.some((pattern) => asExpression(pattern).test(Field === "host-header" ? host : path));
  };
  const priority = ({ Priority = "default" }: Rule) =>
    Priority === "default" ? Number.POSITIVE_INFINITY : Number(Priority);
  const ordered = [...rules].sort((a, b) => priority(a) - priority(b));
  return (
    ordered.find(({ Conditions = [] }) => Conditions.every(meets))?.Actions?.filter(({ Type }) => Type === "forward") ??
    []
  );
}

/** `*` for any text and `?` for one letter. */
const asExpression = (pattern: string): RegExp =>
  new RegExp(
    `^${pattern
      .replace(/[.+^${}()|[\]\\]/g, "\\$&")
      .replaceAll("*", ".*")
      .replaceAll("?", ".")}$`,
    "i",
  );
