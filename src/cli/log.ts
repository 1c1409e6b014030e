import { type Logger, type LoggerOptions, pino } from "pino";

type Entry = { level: number; time: number; msg?: string; err?: { message?: string; stack?: string } };

/**
 * The log of a command, on standard error: a line of JSON an entry for whoever collects it, and a line to read where a
 * person looks on.
 */
export function openLog(level: LoggerOptions["level"] & string, isTerminal = process.stderr.isTTY): Logger {
  const destination = pino.destination({ dest: 2, sync: true });
  const write = (line: string) => void destination.write(readable(line));
  return pino({ level, base: null }, isTerminal ? { write } : destination);
}

/** `14:03:27 warn  What happened. (pod default/web)` for a line of JSON, in the computer's time zone. */
export function readable(line: string): string {
  const { level, time, msg, err, ...rest } = JSON.parse(line) as Entry & Record<string, unknown>;
  const at = timeOfDay.format(time);
  const details = Object.entries(rest).map(([name, value]) => `${name} ${plain(value)}`);
  const text = [msg, err?.stack ?? err?.message, details.length > 0 ? `(${details.join(", ")})` : undefined]
    .filter((part) => part !== undefined && part !== "")
    .join(" ");
  return `${at} ${(pino.levels.labels[level] ?? "").padEnd(5)} ${text}\n`;
}

const timeOfDay = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });

const plain = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));
