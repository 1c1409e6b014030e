import { type DestinationStream, type Logger, type LoggerOptions, pino } from "pino";

type Failure = { message?: string; stack?: string };
/** `code`: of the catalogue or of Node; `status`: of the API. Others were foreseen by nobody. */
type Foreseen = { code?: unknown; status?: unknown };
type Entry = { level: number; time: number; msg?: string; err?: Failure; error?: Failure & Foreseen };

/**
 * The log of a command, on standard error: a line of JSON an entry for whoever collects it, and a line to read where a
 * person looks on.
 */
export function openLog(
  level: LoggerOptions["level"] & string,
  isTerminal = process.stderr.isTTY,
  destination: DestinationStream = pino.destination({ dest: 2, sync: true }),
): Logger {
  const write = (line: string) => void destination.write(readable(line));
  return pino({ level, base: null, serializers: { error: failureOf } }, isTerminal ? { write } : destination);
}

/** Without its cause: that is what others answered, who may repeat what they were told in confidence. */
const failureOf = (error: unknown): unknown =>
  error instanceof Error ? { ...error, message: error.message, stack: error.stack } : error;

/** `14:03:27 warn  What happened. (pod default/web)` for a line of JSON, in the computer's time zone. */
export function readable(line: string): string {
  const { level, time, msg, err, error, ...rest } = JSON.parse(line) as Entry & Record<string, unknown>;
  const at = timeOfDay.format(time);
  const details = Object.entries(rest).map(([name, value]) => `${name} ${plain(value)}`);
  const failure = error && whyOf(error, msg);
  const text = [msg, err?.stack ?? err?.message, details.length > 0 ? `(${details.join(", ")})` : undefined, failure]
    .filter((part) => part !== undefined && part !== "")
    .join(" ");
  return `${at} ${(pino.levels.labels[level] ?? "").padEnd(5)} ${text}\n`;
}

/** What was foreseen is told in words, mostly in the message itself; where anything else came from, its stack says. */
function whyOf({ message = "", stack, code, status }: Failure & Foreseen, msg = ""): string | undefined {
  if (code === undefined && status === undefined) return stack;
  return msg.includes(message) ? undefined : message;
}

const timeOfDay = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });

const plain = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));
