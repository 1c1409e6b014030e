import { createHash } from "node:crypto";
import type { Answer, Condition, Rule } from "../balancer.ts";
import { patternSource } from "../patterns.ts";

/** Rules of an application balancer in haproxy's words. */

/** A word that haproxy takes as it is. */
const quoted = (word: string): string => `'${word.replaceAll("'", `'"'"'`)}'`;

const regular = (sample: string, patterns: readonly string[], flags = ""): string =>
  `{ ${sample} -m reg ${flags}${patterns.map(quoted).join(" ")} }`;

const hostName = "req.hdr(host),field(1,:),lower";

/** The asterisk of an Ingress' host is one label. */
const hostTest = (host: string): string =>
  host.startsWith("*.")
    ? regular(hostName, [`^[^.]+${host.slice(1).toLowerCase().replaceAll(".", "\\.")}$`])
    : `{ ${hostName} -m str ${quoted(host.toLowerCase())} }`;

const hostPatternTest = (pattern: string): string => regular(hostName, [patternSource(pattern.toLowerCase())]);

/** Any of them will do; none: every path will. */
function pathTests({ path, pathType, patterns = [] }: Rule): string[] {
  const further = patterns.map((pattern) => regular("path", [patternSource(pattern)]));
  const bare = path === undefined || pathType === "Exact" ? path : path.replace(/\/+$/, "");
  if (bare === undefined || bare === "") return further;
  const exact = `{ path -m str ${quoted(bare)} }`;
  const below = pathType === "Exact" ? [] : [`{ path -m beg ${quoted(`${bare}/`)} }`];
  return [exact, ...below, ...further];
}

/** Any of them will do. */
function conditionTests(condition: Condition): string[] {
  switch (condition.field) {
    case "method":
      return [`{ method ${condition.values.map(quoted).join(" ")} }`];
    case "source":
      return [`{ src ${condition.values.map(quoted).join(" ")} }`];
    case "header":
      return [regular(`req.fhdr(${condition.name})`, condition.values.map(patternSource), "-i ")];
    case "query":
      return condition.values.map(({ key, value }) =>
        key === undefined
          ? regular("query", [`(^|[=&])${patternSource(value).slice(1, -1)}(&|$)`])
          : regular(`url_param(${key})`, [patternSource(value)]),
      );
  }
}

/** The conditions under which a rule decides, any of them. */
export function conditionsOf(rule: Rule): string[] {
  const hosts = [...(rule.host === undefined ? [] : [hostTest(rule.host)]), ...(rule.hosts ?? []).map(hostPatternTest)];
  const all = [hosts, pathTests(rule), ...(rule.conditions ?? []).map(conditionTests)];
  return all.reduce(
    (so, tests) => (tests.length === 0 ? so : so.flatMap((before) => tests.map((each) => `${before} ${each}`.trim()))),
    [""],
  );
}

export const answerName = (answer: Answer): string =>
  `answer-${createHash("sha256").update(JSON.stringify(answer)).digest("hex").slice(0, 12)}`;

/** A backend that answers by itself. */
export function answerBackend(answer: Answer): string[] {
  const head = [`backend ${answerName(answer)}`, "  mode http"];
  if (answer.kind === "redirect") {
    return [...head, `  http-request redirect code ${answer.statusCode} location ${quoted(locationOf(answer))}`];
  }
  const { statusCode, contentType = "text/plain", body } = answer;
  const text = body === undefined ? "" : ` content-type ${quoted(contentType)} string ${quoted(body)}`;
  return [...head, `  http-request return status ${statusCode}${text}`];
}

/** What stands for the request's own. */
const samples: Readonly<Record<string, string>> = {
  protocol: "%[req.hdr(X-Forwarded-Proto)]",
  host: "%[req.hdr(host),field(1,:)]",
  port: "%[req.hdr(X-Forwarded-Port)]",
  path: "%[path,regsub(^/,)]",
  query: "%[query]",
};

const filled = (text: string): string =>
  text.replaceAll("%", "%%").replace(/#\{(protocol|host|port|path|query)\}/g, (_, name: string) => samples[name] ?? "");

function locationOf({ protocol, host, port, path, query }: Answer & { kind: "redirect" }): string {
  const start = protocol === undefined ? samples["protocol"] : protocol.toLowerCase();
  const usual = port === undefined || (protocol === "HTTPS" && port === 443) || (protocol === "HTTP" && port === 80);
  // The port that a client named is in its Host: where neither is to change it stays there.
  const own = port === undefined && protocol === undefined ? "%[req.hdr(host)]" : samples["host"];
  const where = `${host === undefined ? own : filled(host)}${usual ? "" : `:${port}`}`;
  if (path === undefined && query === undefined) return `${start}://${where}%[pathq]`;
  const asked = query === undefined ? "%[query]" : filled(query);
  return `${start}://${where}${path === undefined ? "%[path]" : filled(path)}${query === "" ? "" : `?${asked}`}`;
}

/** What of a rule could not stand in a line of configuration as it is. */
export function unfit({ hosts = [], patterns = [], conditions = [], answer }: Partial<Rule>): string | undefined {
  const texts = [...hosts, ...patterns, ...conditions.flatMap(wordsOf)];
  const long = answer?.kind === "fixed" ? [answer.body ?? ""] : [];
  const short = answer ? Object.values(answer).map(String) : [];
  const bad = [...texts, ...short.filter((text) => !long.includes(text))].find((text) => !/^[\x20-\x7e]*$/.test(text));
  if (bad !== undefined) return `the text ${JSON.stringify(bad)}`;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is looked for.
  const broken = long.find((text) => /[\x00-\x09\x0b-\x1f\x7f]/.test(text));
  if (broken !== undefined) return `the body ${JSON.stringify(broken)}`;
  const names = conditions.flatMap((each): [what: string, name: string][] => {
    if (each.field === "header") return [["header", each.name]];
    return each.field === "query" ? each.values.map(({ key = "" }) => ["query's key", key]) : [];
  });
  const odd = names.find(([, name]) => !/^[\w.-]*$/.test(name));
  return odd && `the ${odd.join(" ")}`;
}

const wordsOf = (condition: Condition): readonly string[] =>
  condition.field === "query" ? condition.values.map(({ value }) => value) : condition.values;
