import { describe, expect, test } from "vitest";
import { isWrite } from "../../src/clouds/sim/aws/buckets.ts";
import { crash } from "./crash.ts";
import { databases } from "./crash-disks.ts";

const callsMax = 100;

describe.for(["kept", "lost"] as const)("drover dies while disks are made and moved, its store is %s", (store) => {
  test.for(["before", "after"] as const)("%s every call that changes something", async (moment) => {
    const found: string[] = [];
    const actions: string[] = [];
    for (let call = 0; call < callsMax; call++) {
      const point = { seed: 1, call, moment, store, counts: isWrite, workload: databases };
      const { problems, action } = await crash(point);
      found.push(...problems.map((problem) => `call ${call} (${action}): ${problem}`));
      if (action === "") break;
      actions.push(action);
    }
    expect(found).toEqual([]);
    expect(actions).toEqual(expect.arrayContaining(["CreateVolume", "DetachVolume", "AttachVolume"]));
  });
});
