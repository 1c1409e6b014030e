import { existsSync, readdirSync, readFileSync } from "node:fs";
import { DroverError } from "../../base/errors.ts";
import { runTool } from "./run-tool.ts";

/** Where Debian packages come from, and apt's own settings that must hold there too. */
export type Mirror = Archives & { aptOptions: readonly string[] };

/** Lines for a `sources.list` that name their keyrings; or none, which leaves mmdebstrap its own choice for the release. */
type Archives = {
  sources: readonly string[];
  /** What signs that own choice, which apt trusts by itself on Debian alone. */
  keyring?: string;
};

type Source = { uri: string; suite: string; signedBy?: string };

/** The release of every root file system that drover builds. */
export const debianRelease = "bookworm";

const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
const suites = /^(?:bookworm|trixie|forky|stable|testing|sid)(-updates|-security)?$/;

/**
 * The mirror that the computer itself uses, so that a company's own mirror, proxy and keyrings are honoured; Debian's
 * public one where it has none for Debian. DROVER_DEBIAN_MIRROR (an address) comes before both.
 */
export async function findMirror(signal?: AbortSignal): Promise<Mirror> {
  const own = process.env["DROVER_DEBIAN_MIRROR"];
  const archives = archivesOf(own, own === undefined ? hostSources() : []);
  const dump = await runTool(["apt-config", "dump"], signal ? { signal } : {});
  return { ...archives, aptOptions: dump.split("\n").filter((text) => carried.test(text)) };
}

/** `own` is an archive's address that comes before everything in `found`. */
export function archivesOf(own: string | undefined, found: readonly Source[], isThere = existsSync): Archives {
  const main = found.find(({ suite }) => !suite.endsWith("-security"));
  const security = found.find(({ suite }) => suite.endsWith("-security"));
  const uri = own ?? main?.uri;
  if (uri === undefined) return { sources: [], ...(isThere(keyring) ? { keyring } : {}) };
  const line = (address: string, suite: string, signedBy = keyring): string =>
    `deb ${isThere(signedBy) ? `[signed-by=${signedBy}] ` : ""}${address} ${suite} main`;
  const securityUri = security?.uri ?? `${uri.replace(/\/$/, "")}-security`;
  return {
    sources: [
      line(uri, debianRelease, main?.signedBy),
      line(uri, `${debianRelease}-updates`, main?.signedBy),
      line(securityUri, `${debianRelease}-security`, security?.signedBy ?? main?.signedBy),
    ],
  };
}

/** What to do about a build that failed because the computer's keyring is older than Debian's keys (Ubuntu 22.04's is). */
export function explainKeys(error: unknown): unknown {
  if (!(error instanceof DroverError) || !error.message.includes("NO_PUBKEY")) return error;
  const page = `https://packages.debian.org/${debianRelease}/debian-archive-keyring`;
  const what = `the keyrings on this computer have no key for Debian's ${debianRelease}, so its packages can't be checked`;
  const how = `download a newer one from ${page}, then: sudo apt-get install ./debian-archive-keyring_*_all.deb`;
  return new DroverError("SETUP_MISSING", `${what}; ${how}`, {}, error);
}

/** Settings of the computer's apt that decide whether a mirror can be reached and is believed. */
const carried =
  /^Acquire::(?:(?:http|https|ftp)::(?:Proxy|Verify|CaInfo)|Check-(?:Valid-Until|Date)|ForceIPv4)\b.* ".+";$/;

/** Every Debian archive with a `main` component in apt's sources, in both formats. */
function hostSources(directory = "/etc/apt"): Source[] {
  const parts = `${directory}/sources.list.d`;
  const more = existsSync(parts) ? readdirSync(parts).map((name) => `${parts}/${name}`) : [];
  const files = [`${directory}/sources.list`, ...more].filter((path) => existsSync(path));
  return files.flatMap((path) => {
    const text = readFileSync(path, "utf8");
    return path.endsWith(".sources") ? parseStanzas(text) : path.endsWith(".list") ? parseLines(text) : [];
  });
}

const isDebian = ({ uri, suite }: Source, components: readonly string[]): boolean =>
  suites.test(suite) && components.includes("main") && !uri.includes("ubuntu");

/** The one-line format: `deb [signed-by=…] URI SUITE COMPONENT…`. */
export function parseLines(text: string): Source[] {
  return text.split("\n").flatMap((line) => {
    const match = /^deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+(.*)$/.exec(line.trim());
    if (match === null) return [];
    const [, options = "", uri = "", suite = "", components = ""] = match;
    const signedBy = /(?:^|\s)signed-by=(\/\S+)/.exec(options)?.[1];
    const source = { uri, suite, ...(signedBy === undefined ? {} : { signedBy }) };
    return isDebian(source, components.split(/\s+/)) ? [source] : [];
  });
}

/** The deb822 format: stanzas of `Field: value`, several values a field. */
export function parseStanzas(text: string): Source[] {
  return text.split(/\n\s*\n/).flatMap((stanza) => {
    const field = (name: string): string[] => {
      const match = new RegExp(`^${name}:((?:.*)(?:\\n[ \\t]+.*)*)`, "im").exec(stanza);
      return match?.[1]?.split(/\s+/).filter((word) => word !== "") ?? [];
    };
    if (!field("Types").includes("deb") || field("Enabled")[0]?.toLowerCase() === "no") return [];
    const signedBy = field("Signed-By").find((word) => word.startsWith("/"));
    const sources = field("URIs").flatMap((uri) =>
      field("Suites").map((suite) => ({ uri, suite, ...(signedBy === undefined ? {} : { signedBy }) })),
    );
    return sources.filter((source) => isDebian(source, field("Components")));
  });
}
