// A rolling update of a thousand machines at AWS: all of drover on the fake of EC2 and ELB, in virtual time.
import { openAwsCluster } from "../test/aws/cluster.ts";
import { rollOut } from "../test/aws/rollout.ts";

const machines = Number(process.env["MACHINES"] ?? 1_000);
const print = (figure: string, value: number, unit = "") =>
  console.log(
    JSON.stringify({ figure: `${machines} machines: ${figure}`, value: Math.round(value * 1_000) / 1_000, unit }),
  );

// With what is there and what comes, and what is still ending.
const cluster = await openAwsCluster({ machinesMax: 2 * machines });
const { seconds, leastSeconds, leastReady, calls, writes, largest, rest } = await rollOut(cluster, machines);
await cluster.close();
print("rollout", seconds, "s");
print("rollout / least time", seconds / leastSeconds);
print("least ready Pods", leastReady);
print("calls that change something", writes);
for (const action of ["RunInstances", "RegisterTargets", "DeregisterTargets", "TerminateInstances"]) {
  print(`${action}`, calls.get(action) ?? 0, "calls");
  print(`largest ${action}`, largest.get(action) ?? 0, "machines");
}
print("calls at rest", (rest.calls / rest.seconds) * 10, "per 10 s");
print("CPU of drover and the fake", process.cpuUsage().user / 1e6, "s");
