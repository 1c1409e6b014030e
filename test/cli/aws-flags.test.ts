import { Command } from "commander";
import { expect, test } from "vitest";
import { type AwsFlags, reachOf, withAwsFlags, withAwsPlaceFlags } from "../../src/cli/aws-flags.ts";

function parsed(...words: string[]): AwsFlags {
  const command = withAwsFlags(new Command())
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
  return command.parse(words, { from: "user" }).opts<AwsFlags>();
}

test.for<[words: string[], want: object]>([
  [
    ["--operator-cidr", "203.0.113.7/32", "--operator-cidr", "10.0.0.0/8"],
    { operatorCidr: ["203.0.113.7/32", "10.0.0.0/8"] },
  ],
  [["--subnets", "subnet-1, subnet-2,"], { subnets: ["subnet-1", "subnet-2"] }],
  [["--tag", "team=red", "--tag", "note=a=b"], { tag: { team: "red", note: "a=b" } }],
])("%j is understood", ([words, want]) => {
  expect(parsed(...words)).toMatchObject(want);
});

test.for<[words: string[], message: RegExp]>([
  [["--operator-cidr", "300.1.1.1/32"], /an IPv4 network as 203\.0\.113\.7\/32 is expected/],
  [["--operator-cidr", "10.0.0.0/33"], /an IPv4 network/],
  [["--operator-cidr", "10.0.0.1"], /an IPv4 network/],
  [["--operator-cidr", "2001:db8::/64"], /an IPv4 network/],
  [["--subnets", ","], /ids are expected/],
  [["--tag", "team"], /KEY=VALUE is expected/],
  [["--reach", "inside"], /Allowed choices are public, private/],
])("%j is refused by its name", ([words, message]) => {
  const [flag = ""] = words;
  const asked = () => parsed(...words);
  expect(asked).toThrow(message);
  expect(asked).toThrow(flag);
});

test.for<[name: string, flags: Parameters<typeof reachOf>[0], want: object]>([
  ["nothing is said", {}, { reach: { kind: "tcp" }, ownAddress: false, publicAddresses: true }],
  ["private", { reach: "private" }, { reach: { kind: "tcp" }, ownAddress: true, publicAddresses: false }],
  [
    "a program",
    { proxyCommand: "ssh -W %h:%p b" },
    { reach: { kind: "command", command: "ssh -W %h:%p b" }, ownAddress: true },
  ],
  [
    "a program to machines without a public address",
    { proxyCommand: "p", reach: "private" },
    { reach: { kind: "command", command: "p" }, ownAddress: true, publicAddresses: false },
  ],
  [
    "a program that leads outside",
    { proxyCommand: "p", reach: "public" },
    { reach: { kind: "command", command: "p" }, ownAddress: false, publicAddresses: true },
  ],
])("the way to the machines: %s", ([_name, flags, want]) => {
  expect(reachOf(flags)).toEqual(want);
});

test("an empty program is none", () => {
  expect(() => reachOf({ proxyCommand: " " })).toThrow(/--proxy-command is empty/);
});

test("a command that makes nothing shows where it looks, and takes what `drover serve` takes", () => {
  const command = withAwsPlaceFlags(new Command());
  const shown = [...command.helpInformation().matchAll(/^ {2}(--[\w-]+)/gm)].map(([, flag]) => flag);
  expect(shown).toEqual(["--region", "--profile", "--vpc", "--subnets", "--domain"]);
  expect(command.parse(["--tag", "a=b", "--create-zone"], { from: "user" }).opts()).toMatchObject({ tag: { a: "b" } });
});
