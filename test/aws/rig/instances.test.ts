import { expect, onTestFinished, test } from "vitest";
import { openInstances } from "./instances.ts";
import { type AwsRequest, xmlAnswer } from "./request.ts";

const userData = Buffer.from("#cloud-config").toString("base64");
const address = "172.31.16.4";

test("an address that is given away again is its next instance's once the former one has left it", async () => {
  const events: string[] = [];
  let leave = () => {};
  const instances = openInstances({
    ask: async () => `<value>${userData}</value>`,
    async start({ instanceId }) {
      events.push(`${instanceId} starts`);
      if (instanceId === "i-2") throw new Error("no room");
      const left = new Promise<void>((resolve) => {
        leave = resolve;
      });
      return {
        console: "",
        attach() {},
        detach() {},
        end: () => left.then(() => void events.push(`${instanceId} ends`)),
      };
    },
  });
  onTestFinished(() => instances.close());
  const send = (action: string, instanceId: string) => {
    const parameters = new URLSearchParams({ "InstanceId.1": instanceId });
    const request: AwsRequest = {
      service: "ec2",
      action,
      parameters,
      method: "POST",
      path: "/",
      headers: {},
      body: "",
    };
    const made = `<instanceId>${instanceId}</instanceId><privateIpAddress>${address}</privateIpAddress>`;
    return instances.manner(request, async (asked) => xmlAnswer(asked, made));
  };
  await send("RunInstances", "i-1");
  await expect.poll(() => events).toEqual(["i-1 starts"]);
  // Nothing was heard of the former one's end.
  await send("RunInstances", "i-2");
  await send("RunInstances", "i-3");
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(events).toEqual(["i-1 starts"]);
  leave();
  await expect.poll(() => events).toEqual(["i-1 starts", "i-1 ends", "i-2 starts", "i-3 starts"]);
  leave();
});
