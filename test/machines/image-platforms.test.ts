import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { VirtualClock } from "../../src/base/virtual.ts";
import { openImagePlatforms, referenceOf } from "../../src/machines/image-platforms.ts";

test.for([
  ["nginx", "registry-1.docker.io library/nginx latest"],
  ["docker.io/nginx:1.29", "registry-1.docker.io library/nginx 1.29"],
  ["acme/web:2", "registry-1.docker.io acme/web 2"],
  ["ghcr.io/acme/web@sha256:ab", "ghcr.io acme/web sha256:ab"],
  ["registry.example:5000/a/b/c:v1", "registry.example:5000 a/b/c v1"],
  ["localhost:5000/web", undefined],
  ["No Image", undefined],
  ["", undefined],
])("%s is %s", ([image, want]) => {
  const { registry, repository, version } = referenceOf(image ?? "") ?? {};
  expect(registry === undefined ? undefined : `${registry} ${repository} ${version}`).toBe(want);
});

const digest = `sha256:${"a".repeat(64)}`;
const index = (...architectures: string[]) => ({
  manifests: architectures.map((architecture) => ({ platform: { os: "linux", architecture } })),
});

type Answer = { status?: number; headers?: Record<string, string>; body?: unknown };

function open(answers: Record<string, Answer>, logins = "/nowhere") {
  const clock = new VirtualClock();
  const asked: string[] = [];
  const told: string[] = [];
  const fetch = (async (url: string | URL, { headers }: { headers: Record<string, string> }) => {
    const { Authorization = "" } = headers;
    asked.push(`${url} ${Authorization}`.trim());
    const answer = answers[`${url} ${Authorization}`.trim()] ?? answers[`${url}`];
    if (!answer) throw new TypeError("fetch failed", { cause: new Error("getaddrinfo ENOTFOUND") });
    return new Response(JSON.stringify(answer.body ?? {}), {
      status: answer.status ?? 200,
      headers: answer.headers ?? {},
    });
  }) as typeof globalThis.fetch;
  return {
    clock,
    asked,
    told,
    platformsOf: openImagePlatforms({ clock, fetch, logins, tell: (text) => told.push(text) }),
  };
}

const hub = "https://registry-1.docker.io/v2/library/web/manifests/1";
const challenge = { "www-authenticate": 'Bearer realm="https://auth.docker.io/token",service="registry.docker.io"' };
const tokenUrl = "https://auth.docker.io/token?service=registry.docker.io&scope=repository%3Alibrary%2Fweb%3Apull";

test("an index names its platforms; others than drover's are left out", async () => {
  const { platformsOf } = open({ [hub]: { body: index("s390x", "arm64", "unknown") } });
  expect(await platformsOf("web:1")).toEqual(["arm64"]);
});

test("a registry that wants a token gets one, and an image of one platform says so in its configuration", async () => {
  const blob = `https://registry-1.docker.io/v2/library/web/blobs/${digest}`;
  const { platformsOf, asked } = open({
    [hub]: { status: 401, headers: challenge },
    [tokenUrl]: { body: { token: "t" } },
    [`${hub} Bearer t`]: { body: { config: { digest } } },
    [`${blob} Bearer t`]: { body: { os: "linux", architecture: "arm64" } },
  });
  expect(await platformsOf("web:1")).toEqual(["arm64"]);
  expect(asked).toEqual([hub, tokenUrl, `${hub} Bearer t`, `${blob} Bearer t`]);
});

test("the user's own login opens what is private", async () => {
  const folder = mkdtempSync(join(tmpdir(), "drover-logins-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const logins = join(folder, "config.json");
  writeFileSync(logins, JSON.stringify({ auths: { "https://index.docker.io/v1/": { auth: "bWU6cw==" } } }));
  const { platformsOf } = open(
    {
      [hub]: { status: 401, headers: challenge },
      [`${tokenUrl} Basic bWU6cw==`]: { body: { access_token: "mine" } },
      [`${hub} Bearer mine`]: { body: index("amd64", "arm64") },
    },
    logins,
  );
  expect(await platformsOf("web:1")).toEqual(["amd64", "arm64"]);
});

test("what can't be found out is told once, and asked again after a while", async () => {
  const { platformsOf, asked, told, clock } = open({});
  for (let count = 0; count < 3; count++) expect(await platformsOf("web:1")).toBeUndefined();
  expect(asked).toHaveLength(1);
  await clock.advance(600_000);
  expect(await platformsOf("web:1")).toBeUndefined();
  expect(asked).toHaveLength(2);
  expect(told).toEqual(["What the image web:1 is made for can't be found out (fetch failed: getaddrinfo ENOTFOUND)."]);
});

test.for<[string, Answer]>([
  ["a token from somewhere without TLS", { status: 401, headers: { "www-authenticate": 'Bearer realm="http://x/"' } }],
  ["a login of another kind", { status: 401, headers: { "www-authenticate": "Basic" } }],
  ["an answer that is none", { body: { manifests: 1 } }],
  ["a refusal", { status: 403 }],
  ["an answer without end", { body: { manifests: [], pad: "x".repeat(5 << 20) } }],
])("%s leaves the platforms unknown", async ([_what, answer]) => {
  const { platformsOf, told } = open({ [hub]: answer });
  expect(await platformsOf("web:1")).toBeUndefined();
  expect(told).toHaveLength(1);
});
