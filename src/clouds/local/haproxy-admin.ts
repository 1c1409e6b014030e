import { DroverError } from "../../base/errors.ts";
import { connectTo } from "./command-socket.ts";
import { optionsOf, type WantedServer } from "./haproxy-config.ts";

/** A server as a running haproxy knows it. */
export type PresentServer = {
  backend: string;
  name: string;
  address: string;
  port: number;
  admin: "ready" | "drain" | "maint";
  weight: number;
  /** Connections that are open or wait for it. */
  sessions: number;
  up: boolean;
  /** The first check has not ended yet. */
  unchecked: boolean;
};

type Server = Omit<WantedServer, "groupId" | "machineId">;

const answerTimeoutMs = 5_000;

/** One or more commands (divided by `;`) for a running haproxy, and its words. @throws CLOUD_UNAVAILABLE */
export async function ask(socketPath: string, command: string): Promise<string> {
  const socket = await connectTo(socketPath);
  socket.setTimeout(answerTimeoutMs, () => socket.destroy(new Error(`no answer within ${answerTimeoutMs / 1000} s`)));
  socket.write(`${command}\n`);
  try {
    let text = "";
    for await (const chunk of socket.setEncoding("utf8")) text += chunk;
    return text;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DroverError("CLOUD_UNAVAILABLE", `The balancer at ${socketPath} does not answer: ${reason}.`, {}, cause);
  } finally {
    socket.destroy();
  }
}

/** Every server of every backend. */
export async function presentServers(socketPath: string): Promise<PresentServer[]> {
  const [states = "", statistics = ""] = (await ask(socketPath, "show servers state; show stat")).split(
    /(?=^# pxname)/m,
  );
  return parseServers(states, statistics);
}

/** `show servers state` knows where a server is and what was asked of it, `show stat` how it fares. */
export function parseServers(states: string, statistics: string): PresentServer[] {
  const fares = new Map(rows(statistics, ",").map((row) => [`${row["pxname"]}/${row["svname"]}`, row]));
  return rows(states, " ").flatMap((row) => {
    const [backend = "", name = ""] = [row["be_name"], row["srv_name"]];
    const stat = fares.get(`${backend}/${name}`);
    if (stat === undefined) return [];
    const admin = Number(row["srv_admin_state"]);
    return [
      {
        backend,
        name,
        address: row["srv_addr"] ?? "",
        port: Number(row["srv_port"]),
        admin: admin & 0x01 ? ("maint" as const) : admin & 0x08 ? ("drain" as const) : ("ready" as const),
        weight: Number(row["srv_uweight"]),
        sessions: Number(stat["scur"]) + Number(stat["qcur"]),
        up: /^(UP|DRAIN|no check)/.test(stat["status"] ?? ""),
        unchecked: /INI/.test(stat["check_status"] ?? ""),
      },
    ];
  });
}

/** A table whose heading begins with `#`, as objects. */
function rows(text: string, divider: string): Record<string, string>[] {
  const lines = text.split("\n");
  const at = lines.findIndex((line) => line.startsWith("#"));
  if (at < 0) return [];
  const names = (lines[at] ?? "").replace(/^#\s*/, "").split(divider);
  return lines
    .slice(at + 1)
    .filter((line) => line !== "")
    .map((line) => line.split(divider))
    .map((values) => Object.fromEntries(names.map((name, index) => [name, values[index] ?? ""])));
}

/**
 * What to tell a running haproxy so that its servers become the wanted ones. While another one is up, a new server gets
 * its first connection only after its first successful check; one that drains keeps the connections it has; one that is
 * no longer wanted loses them.
 */
export function planServers(present: readonly PresentServer[], wanted: readonly Server[]): string[] {
  const commands = wanted.flatMap((want) => {
    const at = `${want.backend}/${want.name}`;
    const is = present.find((one) => one.backend === want.backend && one.name === want.name);
    if (is === undefined) return want.draining ? [] : [added(at, want)];
    if (want.draining) return is.admin === "drain" ? [] : [`set server ${at} state drain`];
    const moved = is.address !== want.address || is.port !== want.port;
    return [
      ...(moved ? [`set server ${at} addr ${want.address} port ${want.port}`] : []),
      ...(is.admin === "ready" ? [] : [`set server ${at} state ready`]),
      ...(is.weight === want.weight ? [] : [`set server ${at} weight ${want.weight}`]),
    ];
  });
  const gone = present.filter(({ backend, name }) => !wanted.some((w) => w.backend === backend && w.name === name));
  return [
    ...commands,
    ...gone.map(({ backend, name }) => {
      const at = `${backend}/${name}`;
      return `set server ${at} state maint; shutdown sessions server ${at}; del server ${at}`;
    }),
  ];
}

/**
 * One that is checked is without weight while it is not known to be down, so that leaving maintenance can't draw a
 * connection.
 */
function added(at: string, { address, port, weight, ...server }: Server): string {
  const add = `add server ${at} ${address}:${port} ${optionsOf(server)}`;
  const weigh = (value: number) => `set server ${at} weight ${value}`;
  const ready = `set server ${at} state ready`;
  const steps = server.backup
    ? [add, weigh(weight), ready]
    : [add, weigh(0), `enable health ${at}`, ready, `set server ${at} health down`, weigh(weight)];
  return steps.join("; ");
}
