import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { ownAddress } from "../../src/cli/own-address.ts";

/** A server that says this to everybody. */
async function saying(text: string): Promise<string> {
  const server = createServer((_, response) => response.end(text)).listen(0, "127.0.0.1");
  onTestFinished(() => void server.close());
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

test("the address is what the server says", async () => {
  expect(await ownAddress(await saying("203.0.113.7\n"))).toBe("203.0.113.7");
});

test.for(["<html>log in first</html>", "2001:db8::7", ""])("%j is no address: the flag is named", async (said) => {
  const asked = ownAddress(await saying(said));
  await expect(asked).rejects.toMatchObject({
    code: "SETUP_MISSING",
    message: expect.stringContaining("--operator-cidr"),
  });
});

test("so it is where nobody answers", async () => {
  await expect(ownAddress("http://127.0.0.1:1/")).rejects.toMatchObject({
    code: "SETUP_MISSING",
    message: expect.stringContaining("--operator-cidr"),
  });
});
