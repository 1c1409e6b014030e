import { expect, test } from "vitest";
import { serveCommand } from "../../src/cli/serve.ts";

/** What the flag is understood as. @throws CommanderError */
function parsed(flag: string, text: string): unknown {
  const command = serveCommand().exitOverride();
  command.configureOutput({ writeErr: () => undefined }).parseOptions([flag, text]);
  return command.getOptionValue(flag.slice(2).replaceAll(/-(\w)/g, (_, letter: string) => letter.toUpperCase()));
}

test.for<[string, string, number | string]>([
  ["--port", "0", 0],
  ["--max-machines", "12", 12],
  ["--max-usd-per-hour", "0.5", 0.5],
  ["--speed", "0.1", 0.1],
  ["--cluster", "team-a.2", "team-a.2"],
])("%s %s is understood", ([flag, text, want]) => {
  expect(parsed(flag, text)).toBe(want);
});

test.for<[string, string, string]>([
  ["--port", "80.5", "a whole number from 0 to 65535 is expected"],
  ["--port", "65536", "a whole number from 0 to 65535 is expected"],
  ["--max-machines", "1.5", "a whole number from 1 to 100000 is expected"],
  ["--max-usd-per-hour", "", "a number from 0 to 1000000 is expected"],
  ["--max-usd-per-hour", "one", "a number from 0 to 1000000 is expected"],
  ["--cluster", "", "1 to 63 letters"],
  ["--cluster", "../other", "1 to 63 letters"],
  ["--cluster", "a b", "1 to 63 letters"],
  ["--cluster", "a".repeat(64), "1 to 63 letters"],
])("%s %j is refused by its name", ([flag, text, why]) => {
  expect(() => parsed(flag, text)).toThrow(why);
  expect(() => parsed(flag, text)).toThrow(flag);
});
