import {
  DescribeInstanceAttributeCommand,
  DescribeInstancesCommand,
  DescribeVolumesCommand,
} from "@aws-sdk/client-ec2";
import { expect, test } from "vitest";
import { systemClock } from "../../../src/base/clock.ts";
import { openImages } from "../../../src/clouds/aws/images.ts";
import { openLaunchTemplates } from "../../../src/clouds/aws/launch-template.ts";
import { openMachines } from "../../../src/clouds/aws/machines.ts";
import { zonesOf } from "../../../src/clouds/aws/network.ts";
import { launchOf } from "../../clouds/aws/parts.ts";
import { openAccount, useMoto } from "./account.ts";

useMoto();

function open() {
  const { close, ...account } = openAccount({ cluster: "c", operatorCidrs: ["203.0.113.7/32"] });
  const { send } = account;
  const parts = {
    ...account,
    templates: openLaunchTemplates(send, systemClock, "c"),
    images: openImages(send, systemClock),
  };
  return { ...parts, ...openMachines({ ...parts, offers: async () => [] }), close };
}

/** Every request in AWS' own form, answered by somebody else's reading of AWS. */
test("moto takes every request of a machine's life", async () => {
  const { send, machines, networks, groups, templates, close } = open();
  const zones = zonesOf(await networks.find());
  expect(zones.length).toBeGreaterThan(1);
  await expect(machines.image("al2023", "arm64")).resolves.toMatchObject({ family: "amazon-linux" });
  const image = await machines.image("al2023", "amd64");
  await expect(machines.image(image.id, "arm64")).rejects.toThrow(/is made for x86_64, the Pod for arm64/);

  // moto gives as many as MinCount says, so one a call.
  const template = { image: image.id, ports: [{ port: 80, protocol: "TCP" }] } as const;
  const launches = (["on-demand", "spot"] as const).map((capacityType, index) =>
    launchOf(`l-${index}`, 1, { template, placement: { type: "t3.micro", zone: zones[index] ?? "", capacityType } }),
  );
  const ids: string[] = [];
  for (const launch of launches) ids.push(...(await machines.launch(launch)).map(({ id }) => id));
  expect(ids).toHaveLength(2);
  // moto remembers no tokens: the tags alone keep a repeated launch from being double.
  const again = open();
  for (const launch of launches)
    expect(ids).toEqual(expect.arrayContaining((await again.machines.launch(launch)).map(({ id }) => id)));
  const { machines: seen, complete } = await again.machines.observe();
  expect(complete).toBe(true);
  expect(new Set(seen.map(({ id }) => id))).toEqual(new Set(ids));
  for (const [index, launch] of launches.entries()) {
    expect(seen.find(({ id }) => id === ids[index])).toMatchObject({
      launchId: launch.id,
      zone: zones[index],
      capacityType: launch.placement.capacityType,
      claim: { podName: launch.names[0], podUid: launch.slots[0], owner: launch.owner },
    });
  }

  const { Reservations } = await send("ec2", new DescribeInstancesCommand({ InstanceIds: [ids[0] ?? ""] }));
  expect(Reservations?.[0]?.Instances?.[0]).toMatchObject({
    MetadataOptions: { HttpTokens: "required", HttpPutResponseHopLimit: 1, InstanceMetadataTags: "disabled" },
    SecurityGroups: [
      { GroupName: "drover-c-machines" },
      { GroupName: expect.stringMatching(/^drover-c-ports-/) },
      { GroupName: "drover-c-redirects" },
    ],
  });
  const userData = new DescribeInstanceAttributeCommand({ InstanceId: ids[0], Attribute: "userData" });
  expect((await send("ec2", userData)).UserData?.Value).toMatch(/^H4sI/);
  const volumes = await send("ec2", new DescribeVolumesCommand({ Filters: [{ Name: "encrypted", Values: ["true"] }] }));
  expect(volumes.Volumes).toMatchObject([
    { Size: 20, VolumeType: "gp3" },
    { Size: 20, VolumeType: "gp3" },
  ]);
  expect(await machines.console(ids[0] ?? "")).toContain("Linux version");

  await machines.terminate([...ids, "i-0123456789abcdef0"]);
  const { machines: ended } = await open().machines.observe();
  expect(ended.map(({ state }) => state)).toEqual(["gone", "gone"]);
  await templates.remove();
  await groups.remove();
  close();
}, 120_000);
