import { expect, test } from "vitest";
import { startMoto } from "./server.ts";

test("moto answers on a port of its own, forgets on demand and ends", async () => {
  const moto = await startMoto();
  const call = (action: string) =>
    fetch(moto.url, {
      method: "POST",
      headers: {
        "content-type": "application/x-www-form-urlencoded",
        authorization:
          "AWS4-HMAC-SHA256 Credential=moto/20260101/us-east-1/ec2/aws4_request, SignedHeaders=host, Signature=0",
      },
      body: `Action=${action}&Version=2016-11-15&CidrBlock=10.0.0.0/16`,
    }).then((answer) => answer.text());
  try {
    expect(await call("CreateVpc")).toContain("<cidrBlock>10.0.0.0/16</cidrBlock>");
    expect(await call("DescribeVpcs")).toContain("10.0.0.0/16");
    await moto.reset();
    expect(await call("DescribeVpcs")).not.toContain("10.0.0.0/16");
  } finally {
    await moto.close();
  }
  await expect(fetch(moto.url)).rejects.toThrow();
}, 120_000);
