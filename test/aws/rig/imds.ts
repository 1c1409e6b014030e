import { randomBytes } from "node:crypto";

/** What there is below a version: names, and what they hold. */
export type Metadata = { readonly [name: string]: Metadata | string | Buffer };

type Asked = { method: string; path: string; headers: Readonly<Record<string, string | string[] | undefined>> };
type Answered = { status: number; body: string | Buffer };

const version = /^(?:latest|\d{4}-\d\d-\d\d)$/;
const ttlSecondsMax = 21_600;

/**
 * The instance metadata service, version 2, as it answers instances that require a session's token. `of`: by the address
 * of who asks. Source: "Use the Instance Metadata Service" in the EC2 user guide.
 */
export function openImds(of: (address: string) => Metadata | undefined, nowMs = () => performance.now()) {
  const sessions = new Map<string, { address: string; untilMs: number }>();

  function open(address: string, ttl: unknown): Answered {
    const seconds = typeof ttl === "string" && /^\d+$/.test(ttl) ? Number(ttl) : 0;
    if (seconds < 1 || seconds > ttlSecondsMax) return { status: 400, body: "Bad Request" };
    const token = randomBytes(40).toString("base64url");
    sessions.set(token, { address, untilMs: nowMs() + seconds * 1_000 });
    return { status: 200, body: token };
  }

  return {
    answer({ method, path, headers }: Asked, address: string): Answered {
      const metadata = of(address);
      const words = path.split("/").filter((word) => word !== "");
      if (method === "PUT" && path === "/latest/api/token")
        return open(address, headers["x-aws-ec2-metadata-token-ttl-seconds"]);
      const session = sessions.get(String(headers["x-aws-ec2-metadata-token"]));
      if (session?.address !== address || session.untilMs < nowMs()) return { status: 401, body: "Unauthorized" };
      if (method !== "GET") return { status: 405, body: "Method Not Allowed" };
      const [first = "", ...rest] = words;
      const found = version.test(first) && metadata ? rest.reduce<Found>(below, metadata) : undefined;
      if (found === undefined) return { status: 404, body: "Not Found" };
      return { status: 200, body: isFolder(found) ? listed(found) : found };
    },
  };
}

type Found = Metadata | string | Buffer | undefined;

const isFolder = (found: Found): found is Metadata => typeof found === "object" && !Buffer.isBuffer(found);
const below = (found: Found, name: string): Found =>
  isFolder(found) && Object.hasOwn(found, name) ? found[name] : undefined;
const listed = (folder: Metadata): string =>
  Object.entries(folder)
    .map(([name, held]) => (isFolder(held) ? `${name}/` : name))
    .join("\n");
