import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DescribeVpcsCommand, RunInstancesCommand } from "@aws-sdk/client-ec2";
import { DescribeLoadBalancersCommand } from "@aws-sdk/client-elastic-load-balancing-v2";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { systemClock } from "../../../src/base/clock.ts";
import { openSend } from "../../../src/clouds/aws/call.ts";
import { openClients } from "../../../src/clouds/aws/clients.ts";
import { refreshPrices } from "../../../src/clouds/aws/prices.ts";

type Answer = { status: number; body: string };

const failure = (status: number, code: string): Answer => ({
  status,
  body: `<Response><Errors><Error><Code>${code}</Code><Message>said so</Message></Error></Errors></Response>`,
});
const fine: Answer = { status: 200, body: "<DescribeVpcsResponse><vpcSet/></DescribeVpcsResponse>" };

let server: Server;
let folder: string;
let answers: Answer[];
/** Access keys of the requests that arrived, in order. */
let keys: string[];

const writeKey = (key: string, more = "") =>
  writeFileSync(
    join(folder, "credentials"),
    `[default]\naws_access_key_id=${key}\naws_secret_access_key=s\n[other]\naws_access_key_id=AKIDOTHER\naws_secret_access_key=s\n${more}`,
  );

beforeEach(async () => {
  answers = [];
  keys = [];
  server = createServer((request, response) => {
    keys.push(/Credential=(\w+)\//.exec(request.headers.authorization ?? "")?.[1] ?? "");
    const { status, body } = answers.shift() ?? fine;
    request.resume().on("end", () => response.writeHead(status, { "content-type": "text/xml" }).end(body));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  folder = mkdtempSync(join(tmpdir(), "drover-aws-"));
  writeKey("AKIDFIRST");
  writeFileSync(join(folder, "config"), "[default]\nregion=eu-central-1\n[profile other]\nregion=eu-west-1\n");
  for (const name of Object.keys(process.env).filter((each) => each.startsWith("AWS_"))) vi.stubEnv(name, undefined);
  vi.stubEnv("AWS_ENDPOINT_URL", `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  vi.stubEnv("AWS_SHARED_CREDENTIALS_FILE", join(folder, "credentials"));
  vi.stubEnv("AWS_CONFIG_FILE", join(folder, "config"));
  vi.stubEnv("AWS_EC2_METADATA_DISABLED", "true");
});

afterEach(async () => {
  vi.unstubAllEnvs();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  rmSync(folder, { recursive: true, force: true });
});

function open(options?: Parameters<typeof openClients>[0]) {
  const real = openClients(options);
  return { ...real, send: openSend(real.clients, systemClock, { refresh: real.refresh }) };
}

test("the region and the credentials are found as every AWS tool finds them", async () => {
  const first = open();
  expect(await first.region()).toBe("eu-central-1");
  await first.send("ec2", new DescribeVpcsCommand({}));
  const other = open({ profile: "other" });
  expect(await other.region()).toBe("eu-west-1");
  await other.send("elb", new DescribeLoadBalancersCommand({}));
  expect(await open({ region: "us-west-2" }).region()).toBe("us-west-2");
  expect(keys).toEqual(["AKIDFIRST", "AKIDOTHER"]);
});

test("without a region the message says so", async () => {
  writeFileSync(join(folder, "config"), "");
  await expect(open().region()).rejects.toMatchObject({
    code: "CLOUD_INVALID",
    message: /^No region is chosen: --region/,
  });
  await expect(open({ profile: "nobody's" }).region()).rejects.toMatchObject({
    code: "CLOUD_INVALID",
    message: /^There is no profile nobody's, or it has no region\. No region is chosen: --region/,
  });
});

test("without credentials nothing is sent, and the message says to log in", async () => {
  writeFileSync(join(folder, "credentials"), "");
  await expect(open().send("ec2", new DescribeVpcsCommand({}))).rejects.toMatchObject({
    code: "CLOUD_AUTH",
    message: /CredentialsProviderError.*log in again/,
  });
  expect(keys).toEqual([]);
});

test("an outage of AWS is bridged by the SDK", async () => {
  answers = [failure(503, "Unavailable"), failure(500, "InternalError")];
  await open().send("ec2", new DescribeVpcsCommand({}));
  expect(keys).toHaveLength(3);
});

test("no capacity is told at once, though its status is 500", async () => {
  answers = [failure(500, "InsufficientInstanceCapacity")];
  const command = new RunInstancesCommand({ MinCount: 1, MaxCount: 1 });
  await expect(open().send("ec2", command)).rejects.toMatchObject({ code: "CLOUD_CAPACITY" });
  expect(keys).toHaveLength(1);
});

test("a throttle comes to the buckets, not to the SDK's own repeats", async () => {
  answers = Array.from({ length: 9 }, () => failure(503, "RequestLimitExceeded"));
  await expect(open().send("ec2", new DescribeVpcsCommand({}))).rejects.toMatchObject({ code: "CLOUD_THROTTLED" });
  expect(keys).toHaveLength(3);
});

test("after a new login the new credentials are used", async () => {
  const { clients, refresh } = open();
  await clients.ec2.send(new DescribeVpcsCommand({}));
  writeKey("AKIDSECOND");
  await clients.ec2.send(new DescribeVpcsCommand({}));
  refresh();
  await clients.ec2.send(new DescribeVpcsCommand({}));
  await clients.elb.send(new DescribeLoadBalancersCommand({}));
  expect(keys).toEqual(["AKIDFIRST", "AKIDFIRST", "AKIDSECOND", "AKIDSECOND"]);
});

test("a call can be given up", async () => {
  const aborter = new AbortController();
  answers = [];
  const call = open().send("ec2", new DescribeVpcsCommand({}), { signal: aborter.signal });
  aborter.abort(new Error("enough"));
  await expect(call).rejects.toThrow("enough");
});

test("the price list is read as the SDK gives it, whose entries are no plain strings", async () => {
  const priceDimensions = { rate: { unit: "Hrs", pricePerUnit: { USD: "0.0978" } } };
  const entry = {
    product: { attributes: { instanceType: "m7g.large" } },
    terms: { OnDemand: { term: { priceDimensions } } },
  };
  answers = [{ status: 200, body: JSON.stringify({ PriceList: [JSON.stringify(entry)] }) }];
  const { onDemand } = await refreshPrices(open().send, "eu-central-1", systemClock);
  expect(onDemand).toEqual({ m7g: { large: 0.0978 } });
});
