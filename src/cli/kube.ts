import { readFileSync } from "node:fs";
import { Agent, request as httpsRequest } from "node:https";
import { createInterface } from "node:readline";
import { parse } from "yaml";
import { z } from "zod";
import type { KubeObject } from "../api/object.ts";
import { DroverError } from "../base/errors.ts";

const kubeconfig = z.looseObject({
  "current-context": z.string(),
  contexts: z.array(z.object({ name: z.string(), context: z.looseObject({ cluster: z.string(), user: z.string() }) })),
  clusters: z.array(
    z.object({
      name: z.string(),
      cluster: z.looseObject({ server: z.string(), "certificate-authority-data": z.string().optional() }),
    }),
  ),
  users: z.array(
    z.object({
      name: z.string(),
      user: z.looseObject({
        "client-certificate-data": z.string().optional(),
        "client-key-data": z.string().optional(),
      }),
    }),
  ),
});

type Answer = { status: number; body: KubeObject };

/** The API server as a command uses it: the same requests that any client makes. */
export type Api = {
  server: string;
  request(method: string, path: string, body?: unknown, contentType?: string): Promise<Answer>;
  /** Events of a watch until `signal` aborts or the server ends it. */
  watch(path: string, signal: AbortSignal): AsyncIterable<{ type: string; object: KubeObject }>;
  close(): void;
};

/** @throws USAGE when the file is no kubeconfig with a client certificate. */
export function connect(file: string): Api {
  const parsed = kubeconfig.safeParse(parse(readFileSync(file, "utf8")));
  if (!parsed.success)
    throw new DroverError("USAGE", `${file} is no kubeconfig that drover wrote: ${parsed.error.message}`);
  const { contexts, clusters, users, "current-context": current } = parsed.data;
  const context = contexts.find(({ name }) => name === current)?.context;
  const cluster = clusters.find(({ name }) => name === context?.cluster)?.cluster;
  const user = users.find(({ name }) => name === context?.user)?.user;
  if (!cluster || !user)
    throw new DroverError("USAGE", `${file}: context "${current}" names no cluster or user of the file`);
  const decoded = (text: string | undefined) => Buffer.from(text ?? "", "base64");
  const agent = new Agent({
    keepAlive: true,
    ca: decoded(cluster["certificate-authority-data"]),
    cert: decoded(user["client-certificate-data"]),
    key: decoded(user["client-key-data"]),
  });
  const { server } = cluster;
  const request = sender(server, agent);
  return {
    server,
    request,
    watch: (path, signal) => follow(server, agent, path, signal),
    close: () => agent.destroy(),
  };
}

const sender =
  (server: string, agent: Agent): Api["request"] =>
  (method, path, body, contentType = "application/json") =>
    new Promise((resolve, reject) => {
      const payload = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
      const headers = payload ? { "content-type": contentType, "content-length": payload.length } : {};
      const sending = httpsRequest(
        `${server}${path}`,
        { method, agent, headers: { accept: "application/json", ...headers } },
        (response) => {
          const chunks: Buffer[] = [];
          response.on("data", (chunk: Buffer) => chunks.push(chunk));
          response.on("error", reject);
          response.on("end", () => {
            const text = Buffer.concat(chunks).toString();
            try {
              resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) });
            } catch {
              reject(new Error(`${method} ${path} answered ${response.statusCode}: ${text.slice(0, 200)}`));
            }
          });
        },
      );
      sending.on("error", reject);
      sending.end(payload);
    });

async function* follow(server: string, agent: Agent, path: string, signal: AbortSignal) {
  const response = await new Promise<NodeJS.ReadableStream>((resolve, reject) => {
    const sending = httpsRequest(`${server}${path}`, { agent, signal }, resolve);
    sending.on("error", reject);
    sending.end();
  });
  for await (const line of createInterface({ input: response })) {
    if (line !== "") yield JSON.parse(line) as { type: string; object: KubeObject };
  }
}
