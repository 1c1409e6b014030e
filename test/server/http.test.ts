import https from "node:https";
import { connect } from "node:tls";
import pino from "pino";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import type { Boxes } from "../../src/clouds/box.ts";
import { issue } from "../../src/server/certificates.ts";
import { startServer } from "../../src/server/http.ts";
import { openIdentity } from "../../src/server/identity.ts";
import { signToken } from "../../src/server/tokens.ts";
import { serve, type TestServer } from "./serve.ts";

let server: TestServer;
beforeAll(async () => {
  server = await serve();
  const manager = { manager: "test" };
  const meta = (name: string) => ({ metadata: { name, namespace: "default" } });
  const account = { apiVersion: "v1", kind: "ServiceAccount", ...meta("robot") };
  await server.registry.client().create("serviceaccounts", account, manager);
});
afterAll(() => server.close());

const configMaps = "/api/v1/namespaces/default/configmaps";
const configMap = (name: string, data: Record<string, string> = {}) => ({ metadata: { name }, data });
/** Without the administrator's certificate. */
const stranger = (headers: Record<string, string> = {}): https.RequestOptions => ({
  agent: new https.Agent({ ca: server.identity.authority, maxCachedSessions: 0 }),
  headers,
});

const robotToken = (seconds = 600): string => {
  const uid = server.registry.view.get("serviceaccounts", "default", "robot")?.metadata.uid ?? "";
  const bound = { namespace: "default", serviceaccount: { name: "robot", uid } };
  const audiences = ["https://kubernetes.default.svc"];
  return signToken(
    server.identity,
    { audiences, expirationSeconds: seconds, "kubernetes.io": bound },
    systemClock.wallMs(),
  );
};

test.for(["/healthz", "/livez", "/readyz", "/version"])("%s is open to everybody", async (path) => {
  expect((await server.request("GET", path, undefined, stranger())).status).toBe(200);
});

test("nobody else gets anything without an identity, on loopback too", async () => {
  const { status, body } = await server.request("GET", configMaps, undefined, stranger());
  expect(status).toBe(403);
  expect(body).toMatchObject({ kind: "Status", reason: "Forbidden", details: { kind: "configmaps" } });
  expect(body).toMatchObject({
    message: expect.stringContaining('User "system:anonymous" cannot list resource "configmaps" in API group ""'),
  });
  expect((await server.request("GET", "/apis", undefined, stranger())).status).toBe(403);
});

test.for([
  ["no token at all", "Bearer x.y.z"],
  ["another scheme", "Basic YTpi"],
  ["an expired token", ""],
] as const)("%s is unauthorized", async ([, header]) => {
  const authorization = header === "" ? `Bearer ${robotToken(-10)}` : header;
  const { status, body } = await server.request("GET", configMaps, undefined, stranger({ authorization }));
  expect(status).toBe(401);
  expect(body).toMatchObject({ reason: "Unauthorized", message: "Unauthorized", code: 401 });
});

test("a certificate of another authority is unauthorized, whatever it says", async () => {
  const other = await openIdentity({ directory: `${server.folder}/other`, clock: systemClock });
  const agent = new https.Agent({ ca: server.identity.authority, cert: other.admin.certificate, key: other.admin.key });
  expect((await server.request("GET", configMaps, undefined, { agent })).status).toBe(401);
  const names = { commonName: "admin", organizations: ["system:masters"], names: ["localhost"] };
  const signedByLeaf = await issue(server.identity.admin, {
    ...names,
    usage: "client",
    nowMs: systemClock.wallMs(),
    days: 1,
  });
  const forged = new https.Agent({
    ca: server.identity.authority,
    cert: signedByLeaf.certificate + server.identity.admin.certificate,
    key: signedByLeaf.key,
  });
  expect((await server.request("GET", configMaps, undefined, { agent: forged })).status).toBe(401);
});

test("a service account may what its roles give, once they give it", async () => {
  const asRobot = () =>
    server.request("GET", configMaps, undefined, stranger({ authorization: `Bearer ${robotToken()}` }));
  expect((await asRobot()).body).toMatchObject({
    message: expect.stringContaining('User "system:serviceaccount:default:robot" cannot list'),
  });
  const rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
  const rules = [{ apiGroups: [""], resources: ["configmaps"], verbs: ["list"] }];
  expect((await server.request("POST", `${rbac}/roles`, { metadata: { name: "r" }, rules })).status).toBe(201);
  const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "r" };
  const subjects = [{ kind: "ServiceAccount", name: "robot", namespace: "default" }];
  const binding = { metadata: { name: "b" }, roleRef, subjects };
  expect((await server.request("POST", `${rbac}/rolebindings`, binding)).status).toBe(201);
  expect((await asRobot()).status).toBe(200);
});

test("who asks to be somebody else has their rights and no more", async () => {
  const as = (headers: Record<string, string>, path = configMaps) =>
    server.request("GET", path, undefined, { headers });
  const reader = { "impersonate-user": "system:serviceaccount:default:robot" };
  expect((await as(reader)).status).toBe(200);
  expect((await as(reader, "/api/v1/namespaces/default/secrets")).status).toBe(403);
  expect((await as({ "impersonate-user": "jo" })).body).toMatchObject({
    message: expect.stringContaining('User "jo" cannot list resource "configmaps"'),
  });
  expect((await as({ "impersonate-user": "jo", "impersonate-group": "system:masters" })).status).toBe(200);
  expect((await as({ "impersonate-group": "system:masters" })).status).toBe(400);
  const robot = stranger({ authorization: `Bearer ${robotToken()}`, "impersonate-user": "admin" });
  expect((await server.request("GET", configMaps, undefined, robot)).body).toMatchObject({
    code: 403,
    message: expect.stringContaining('cannot impersonate resource "users" in API group "" at the cluster scope'),
  });
});

test("a token dies with its service account", async () => {
  const path = "/api/v1/namespaces/default/serviceaccounts";
  await server.request("POST", path, { metadata: { name: "short" } });
  const { body } = await server.request("POST", `${path}/short/token`, {});
  const { token } = (body as { status: { token: string } }).status;
  const whoami = () =>
    server.request(
      "POST",
      "/apis/authentication.k8s.io/v1/selfsubjectreviews",
      {},
      stranger({ authorization: `Bearer ${token}` }),
    );
  expect((await whoami()).body).toMatchObject({
    status: { userInfo: { username: "system:serviceaccount:default:short" } },
  });
  await server.request("DELETE", `${path}/short`);
  expect((await whoami()).status).toBe(401);
});

test("an answer may be YAML, indented, or metadata alone", async () => {
  await server.request("POST", configMaps, configMap("forms", { a: "b" }));
  const as = (accept: string, query = "") =>
    server.request("GET", `${configMaps}/forms${query}`, undefined, { headers: { accept } });
  expect((await as("application/yaml")).text).toContain("data:\n  a: b\n");
  expect((await as("application/json", "?pretty=true")).text).toContain('\n  "data": {\n    "a": "b"\n  }');
  const metadata = await as("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1");
  expect(metadata.body).toMatchObject({ kind: "PartialObjectMetadata", metadata: { name: "forms" } });
  expect(metadata.body).not.toHaveProperty("data");
});

test("a body over 3 MiB is refused, told by its length or not", async () => {
  const large = JSON.stringify(configMap("large", { a: "x".repeat(3_200_000) }));
  expect((await server.request("POST", configMaps, large)).body).toMatchObject({
    code: 413,
    message: "Request entity too large: limit is 3145728",
  });
  const chunked = { headers: { "transfer-encoding": "chunked", "content-type": "application/json" } };
  const { status } = await server.request("POST", configMaps, large, chunked).catch(() => ({ status: 413 }));
  expect(status).toBe(413);
  expect((await server.request("GET", `${configMaps}/large`)).status).toBe(404);
});

test("headers without end are refused", async () => {
  const headers = { "x-long": "a".repeat(70_000) };
  const { status } = await server.request("GET", "/version", undefined, { headers });
  expect(status).toBe(431);
});

test("the server's certificate holds for its names, TLS 1.2 at least", async () => {
  const { authority: ca } = server.identity;
  const protocols = await new Promise<string | null>((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port: server.port, servername: "localhost", ca }, () => {
      resolve(socket.getProtocol());
      socket.destroy();
    });
    socket.on("error", reject);
  });
  expect(protocols).toBe("TLSv1.3");
  const old = new Promise((resolve, reject) => {
    const options = { host: "127.0.0.1", port: server.port, ca, maxVersion: "TLSv1.1", minVersion: "TLSv1.1" } as const;
    connect(options, () => resolve("connected")).on("error", reject);
  });
  await expect(old).rejects.toThrow();
});

test("discovery comes whole to those who ask so, and in parts to the others", async () => {
  const accept =
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
  const whole = await server.request("GET", "/api", undefined, { headers: { accept } });
  expect(whole.headers["content-type"]).toBe("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
  expect(whole.body).toMatchObject({ kind: "APIGroupDiscoveryList", apiVersion: "apidiscovery.k8s.io/v2" });
  const etag = String(whole.headers["etag"]);
  const again = await server.request("GET", "/api", undefined, { headers: { accept, "if-none-match": etag } });
  expect(again.status).toBe(304);
  const pods = (await server.request("GET", "/api/v1")).body as { resources: { name: string }[] };
  expect(pods.resources.find(({ name }) => name === "pods/eviction")).toEqual({
    name: "pods/eviction",
    singularName: "",
    namespaced: true,
    group: "policy",
    version: "v1",
    kind: "Eviction",
    verbs: ["create"],
  });
});

/** Lines of a watch as they come; resolves once the headers are there. */
function watch(path: string) {
  const { authority: ca, admin } = server.identity;
  const options = { host: "127.0.0.1", port: server.port, ca, cert: admin.certificate, key: admin.key, path };
  const lines: { type: string; object: { metadata: Record<string, unknown>; code?: number } }[] = [];
  return new Promise<{ lines: typeof lines; ended: Promise<void>; stop(): void }>((resolve, reject) => {
    const request = https.get(options, (response) => {
      let text = "";
      const ended = new Promise<void>((done) => response.on("close", done));
      response.on("data", (chunk) => {
        const parts = (text + chunk).split("\n");
        text = parts.pop() ?? "";
        for (const part of parts) lines.push(JSON.parse(part));
      });
      response.on("error", () => undefined);
      resolve({ lines, ended, stop: () => request.destroy() });
    });
    request.on("error", reject);
  });
}

test("a watch answers before anything happens, then tells everything in order", async () => {
  const { metadata } = (await server.request("GET", configMaps)).body as { metadata: { resourceVersion: string } };
  const watching = await watch(`${configMaps}?watch=1&labelSelector=seen&resourceVersion=${metadata.resourceVersion}`);
  for (const name of ["w1", "w2"]) {
    await server.request("POST", configMaps, { metadata: { name, labels: { seen: "yes" } } });
  }
  const headers = { "content-type": "application/merge-patch+json" };
  await server.request("PATCH", `${configMaps}/w1`, { data: { a: "b" } }, { headers });
  await server.request("PATCH", `${configMaps}/w1`, { metadata: { labels: { seen: null } } }, { headers });
  await server.request("DELETE", `${configMaps}/w2`);
  await expect
    .poll(() => watching.lines.map(({ type, object }) => `${type} ${object.metadata["name"]}`))
    .toEqual(["ADDED w1", "ADDED w2", "MODIFIED w1", "DELETED w1", "DELETED w2"]);
  watching.stop();
});

test("a watch that begins with what there is marks the end of it", async () => {
  await server.request("POST", configMaps, { metadata: { name: "old", labels: { mark: "yes" } } });
  const watching = await watch(
    `${configMaps}?watch=true&labelSelector=mark&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=2`,
  );
  await expect.poll(() => watching.lines.map(({ type }) => type).slice(0, 2)).toEqual(["ADDED", "BOOKMARK"]);
  expect(watching.lines[1]?.object.metadata["annotations"]).toEqual({ "k8s.io/initial-events-end": "true" });
  await watching.ended;
});

test("every watcher gets every event of a burst", async () => {
  const watchers = await Promise.all(
    Array.from({ length: 20 }, () => watch(`${configMaps}?watch=1&labelSelector=burst`)),
  );
  const names = Array.from({ length: 50 }, (_, i) => `burst-${i}`);
  await Promise.all(
    names.map((name) => server.request("POST", configMaps, { metadata: { name, labels: { burst: "1" } } })),
  );
  await expect.poll(() => watchers.every(({ lines }) => lines.length === 50), { timeout: 10_000 }).toBe(true);
  const order = watchers[0]?.lines.map(({ object }) => object.metadata["name"]);
  for (const { lines, stop } of watchers) {
    expect(lines.map(({ object }) => object.metadata["name"])).toEqual(order);
    stop();
  }
});

test("closing ends watches and gives the port back", async () => {
  const other = await serve();
  const { authority: ca, admin } = other.identity;
  const options = { host: "127.0.0.1", port: other.port, ca, cert: admin.certificate, key: admin.key };
  const ended = new Promise<void>((resolve, reject) => {
    const path = "/api/v1/configmaps?watch=1";
    https.get({ ...options, path }, (response) => response.resume().on("close", resolve)).on("error", reject);
  });
  await new Promise((resolve) => setTimeout(resolve, 200));
  await other.close();
  await ended;
  const refused = new Promise((resolve, reject) =>
    https.get({ ...options, path: "/version" }, resolve).on("error", reject),
  );
  await expect(refused).rejects.toThrow("ECONNREFUSED");
});

test("a port that is taken is named, with the way out", async () => {
  const { port, registry, identity } = server;
  const boxes = {} as Boxes; // No machine is asked for anything.
  const again = startServer({ port, registry, identity, boxes, clock: systemClock, log: pino({ level: "fatal" }) });
  await expect(again).rejects.toMatchObject({
    code: "PORT_UNAVAILABLE",
    message: expect.stringContaining(`127.0.0.1:${port} can't be listened on`),
  });
});
