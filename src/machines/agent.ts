import { readFileSync } from "node:fs";
import { assert } from "../base/assert.ts";
import type { Binding } from "../clouds/box.ts";
import type { ImageFamily } from "../clouds/cloud.ts";

/** Programs that run containers, by the family that installs them. */
const runtimes: Readonly<Record<ImageFamily, readonly string[]>> = {
  debian: ["podman"],
  ubuntu: ["podman"],
  "amazon-linux": ["docker"],
  other: ["podman", "docker", "nerdctl"],
};

/** The files of `templates/agent/` that a machine has from the beginning, in the order that makes one program of them. */
export function agentParts(engine: string, family: ImageFamily): string[] {
  const engines = engine === "native" || engine === "ami" ? ["units"] : ["oci", ...runtimes[family]];
  return ["base", "container", "logs", ...engines, "box"];
}

/** What the agent is given together with its Pod, by name: user data's little room is for people's own templates. */
export function boundParts({ volumes, containers, initContainers }: Binding): Record<string, string> {
  const probes = [...containers, ...initContainers].flatMap((each) => [each.startup, each.readiness, each.liveness]);
  const names = ["volumes", "probes", "follow", "redirects", "notices"];
  if (probes.some((probe) => probe?.action.kind === "grpc")) names.push("grpc");
  if (volumes.some(({ kind }) => kind === "disk")) names.push("disks");
  return Object.fromEntries(names.map((name) => [name, agentProgram([name])]));
}

const folder = new URL("../../templates/agent/", import.meta.url);
const sources = new Map<string, string>();

function source(part: string): string {
  const known = sources.get(part) ?? readFileSync(new URL(`${part}.py`, folder), "utf8");
  sources.set(part, known);
  return known;
}

const programs = new Map<string, string>();

/** Parts of the agent as one Python file, as they are written. */
export const agentSource = (parts: readonly string[]): string => parts.map(source).join("\n\n");

/** Parts of the agent as one Python file, as small as it gets while people can still read its traces. */
export function agentProgram(parts: readonly string[]): string {
  const key = parts.join();
  const known = programs.get(key) ?? compactPython(agentSource(parts));
  programs.set(key, known);
  return known;
}

/** One of a comment, a text, and code between them. */
const token = /#.*|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|[^"'#]+/g;

/** A line without the spaces that Python does not need. */
function tightened(line: string): string {
  const indent = line.length - line.trimStart().length;
  const parts = line.trim().match(token) ?? [];
  const code = parts.map((part) => {
    assert(!part.startsWith("#"), "comments of the agent stand on lines of their own");
    return /^["']/.test(part) ? part : part.replace(/ *([-+*/%<>=!|&,:()[\]{}]+) */g, "$1");
  });
  return " ".repeat(indent >> 2) + code.join("");
}

/**
 * A Python file without its comments, doc strings, empty lines and needless spaces, for user data is short. Three quotes
 * begin doc strings only, code is indented by fours, and no text runs over lines; all that holds for the agent.
 */
const compactPython = (text: string): string =>
  text
    .replace(/^ *"""[\s\S]*?"""\n/gm, "")
    .split("\n")
    .filter((line) => !/^\s*(#(?!!)|$)/.test(line))
    .map((line) => (line.startsWith("#!") ? line : tightened(line)))
    .join("\n");
