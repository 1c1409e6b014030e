import { expect, test } from "vitest";
import { binding, container, startAgent } from "./agent-kit.ts";

test("a bound Pod is pulled, created and started", async () => {
  const agent = await startAgent();
  await agent.bind(binding([container("web", "echo hello; sleep 1000")]));
  const report = await agent.until(({ containerStatuses: [web] }) => web?.ready === true && web.imageID !== "");
  expect(report.uid).toBe("uid-1");
  expect(report.containerStatuses[0]).toMatchObject({
    name: "web",
    restartCount: 0,
    started: true,
    image: "docker.io/library/tool:1",
    imageID: `docker.io/library/tool@sha256:${"a".repeat(64)}`,
    state: { running: { startedAt: expect.stringMatching(/^\d{4}-.*Z$/) } },
  });
  expect(report.events.map(({ reason }) => reason)).toEqual(["Pulling", "Pulled", "Created", "Started"]);
});
