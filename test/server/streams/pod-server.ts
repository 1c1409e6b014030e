import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { createServer, type IncomingMessage } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { Duplex, PassThrough } from "node:stream";
import type { ExecRequest, ExecSession } from "../../../src/clouds/box.ts";
import { attachStream, execStream } from "../../../src/server/streams/exec.ts";
import { portForwardStream } from "../../../src/server/streams/port-forward.ts";

/** An API server with one Pod `p` whose commands run on this computer, in `folder`, and whose ports are loopback's. */
export type PodServer = {
  url: string;
  /** What was asked for, in order. */
  requests: ExecRequest[];
  /** Sizes that terminals were given, as `80x24`. */
  sizes: string[];
  /** `Upgrade` headers that were seen. */
  upgrades: string[];
  close(): Promise<void>;
};

const verbs = ["create", "get", "list"];
const pods = { name: "pods", singularName: "pod", namespaced: true, kind: "Pod", verbs };
const replies: Record<string, object> = {
  "/api": { kind: "APIVersions", versions: ["v1"] },
  "/apis": { kind: "APIGroupList", apiVersion: "v1", groups: [] },
  "/api/v1": { kind: "APIResourceList", apiVersion: "v1", groupVersion: "v1", resources: [pods] },
  "/api/v1/namespaces/default/pods/p": {
    kind: "Pod",
    apiVersion: "v1",
    metadata: { name: "p", namespace: "default", uid: "u" },
    spec: { containers: [{ name: "c", image: "x", ports: [{ containerPort: 80 }] }] },
    status: { phase: "Running" },
  },
};
const notFound = { kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", reason: "NotFound", code: 404 };

/** `ports`: the loopback port behind each port of the Pod. */
export async function podServer(folder: string, ports: Record<number, number> = {}): Promise<PodServer> {
  const [requests, sizes, upgrades]: [ExecRequest[], string[], string[]] = [[], [], []];
  const children = new Set<ChildProcessWithoutNullStreams>();
  const open = (request: ExecRequest): Promise<ExecSession> => {
    requests.push(request);
    if (request.container === "missing") return Promise.reject(new Error("container missing is not there"));
    const [program = "cat", ...args] = request.command;
    const child = spawn(program, args, { cwd: folder });
    children.add(child);
    child.once("exit", () => children.delete(child));
    const exit = new Promise<{ exitCode: number }>((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code) => resolve({ exitCode: code ?? 137 }));
    });
    return Promise.resolve({
      stdin: child.stdin,
      stdout: child.stdout,
      // A machine's streams go both ways, though nobody writes here or ends what he does not write.
      stderr: Duplex.from({ readable: child.stderr, writable: new PassThrough() }),
      resize: (columns, rows) => sizes.push(`${columns}x${rows}`),
      exit,
      close: () => child.kill("SIGKILL"),
    });
  };
  const dial = (port: number) => {
    const socket = connect(ports[port] ?? 1, "127.0.0.1");
    return new Promise<typeof socket>((resolve, reject) => {
      socket.once("connect", () => resolve(socket));
      socket.once("error", reject);
    });
  };
  const server = createServer((request, response) => {
    const reply = replies[(request.url ?? "").split("?")[0] ?? ""];
    response.writeHead(reply ? 200 : 404, { "content-type": "application/json" });
    response.end(JSON.stringify(reply ?? notFound));
  });
  server.on("upgrade", (request: IncomingMessage, socket, head) => {
    upgrades.push(request.headers.upgrade ?? "");
    const path = (request.url ?? "").split("?")[0] ?? "";
    if (path.endsWith("/exec")) void execStream(request, socket, head, open);
    else if (path.endsWith("/attach")) void attachStream(request, socket, head, open);
    else void portForwardStream(request, socket, head, dial);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    sizes,
    upgrades,
    close: () => {
      for (const child of children) child.kill("SIGKILL");
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
