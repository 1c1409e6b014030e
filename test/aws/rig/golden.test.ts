import { afterAll, beforeAll, expect, test } from "vitest";
import { type RiggedDrover, startRiggedDrover } from "./drover.ts";
import type { Entry } from "./journal.ts";
import type { AwsRequest } from "./request.ts";

const minutes = 60_000;
let drover: RiggedDrover;

beforeAll(async () => {
  drover = await startRiggedDrover();
}, 3 * minutes);

afterAll(() => drover?.close(), minutes);

const deployment = (image: string) => `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 2
      containers:
      - name: web
        image: ${image}
        ports: [{containerPort: 8080}]
        resources: {requests: {cpu: 100m, memory: 64Mi}}
`;
const service = `
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
`;

const isRead = ({ action }: AwsRequest) => /^(Describe|Get|List)/.test(action);

/** What differs from run to run, by what it is. */
const masks: readonly [RegExp, string][] = [
  [/\bl-\w+-\d+/g, "LAUNCH"],
  [/roster-0 (\S+)=\S+/g, "roster-0 $1=ROSTER"],
  [/(drover-aws-)[0-9a-f]{8,}-[0-9a-f]{8}\b/g, "$1HASH"],
  [/H4sI[\w+/=]+/g, "USER-DATA"],
  [/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, "UUID"],
  [/\b(i|vpc|subnet|sg|vol|ami|lt|rtb)-[0-9a-f]{8,}\b/g, "$1-ID"],
  [/arn:aws:elasticloadbalancing:[\w-]+:\d+:(\w+)\/[\w/-]+/g, "ARN($1)"],
  [/\bdr-[0-9a-f]{24}(-\d+)?\b/g, "dr-HASH"],
  [/\b172\.31\.\d+\.\d+\b(?!\/)/g, "ADDRESS"],
  [/\b(?=[0-9]*[A-Z])[0-9A-Z]{14,}\b/g, "ZONE"],
  [/\b[0-9a-f]{12,64}\b/g, "HASH"],
  [/\bweb-[a-z0-9]{8,10}-?([a-z0-9]{5})?=?[\w-]*/g, "web-POD"],
  [/\bus-east-1[a-f]\b/g, "ZONE-NAME"],
  [/\b10\.\d+\.\d+\.\d+\b/g, "CLUSTER-ADDRESS"],
];

/** One line: the service, the action and what it was given. */
function line({ request }: Entry): string {
  const { service, action, parameters, body } = request;
  const given = [...parameters].filter(([name]) => name !== "Action" && name !== "Version");
  const text =
    service === "route53" ? body.replace(/^<\?xml[^>]*>/, "") : given.map((pair) => pair.join("=")).join(" ");
  const masked = masks.reduce((said, [pattern, mask]) => said.replaceAll(pattern, mask), text);
  return `${service}:${action} ${masked}`.trim();
}

const services = ["ec2", "elasticloadbalancing", "route53"];

/** Until its balancer is there a name leads to the Service's own address: whether it ever does depends on who is quicker. */
const early =
  /<Change><Action>\w+<\/Action><ResourceRecordSet><Name>web\.[^<]*<\/Name><Type>A<\/Type>(?:(?!<\/Change>).)*CLUSTER-ADDRESS.*?<\/Change>/g;

function withoutEarlyNames(said: string): string[] {
  const left = said.replaceAll(early, "");
  return left !== said && !left.includes("<Change>") ? [] : [left];
}

/** Writes of each service in their order, once each where they repeat: services are not waited for by one another. */
function told(entries: readonly Entry[]): string {
  const writes = services.flatMap((service) => {
    const lines = entries
      .filter(({ request }) => request.service === service && !isRead(request))
      .flatMap((entry) => withoutEarlyNames(line(entry)));
    return inRuns(lines).filter((each, index, all) => each !== all[index - 1]);
  });
  return writes.join("\n");
}

/** Calls of one action that follow each other are made at the same time: their order means nothing. */
function inRuns(lines: readonly string[]): string[] {
  const actionOf = (each = "") => each.split(" ", 1)[0];
  const runs: string[][] = [];
  for (const each of lines) {
    const last = runs.at(-1);
    if (last && actionOf(last[0]) === actionOf(each)) last.push(each);
    else runs.push([each]);
  }
  return runs.flatMap((run) => run.sort());
}

const reads = (entries: readonly Entry[]): string[] =>
  entries.filter(({ request }) => isRead(request)).map(({ request }) => `${request.service}:${request.action}`);

test("the requests of one apply, rollout and delete, each of which moto accepts", {
  timeout: 8 * minutes,
}, async () => {
  const { k, rig } = drover;
  const phases: string[] = [];
  let from = 0;
  const phase = async (name: string, work: () => Promise<unknown>) => {
    await work();
    phases.push(`# ${name}\n${told(rig.journal.entries.slice(from))}\n`);
    from = rig.journal.entries.length;
  };
  const rolledOut = () => k("rollout status deployment/web --timeout=200s");
  const made = (action: string, count = 1) =>
    expect
      .poll(() => rig.journal.entries.filter(({ request }) => request.action === action).length, { timeout: minutes })
      .toBeGreaterThanOrEqual(count);
  /** The name leads to the balancer (UPSERT), or does no more. */
  const named = (change: string) => {
    const pattern = new RegExp(`<Action>${change}</Action><ResourceRecordSet><Name>web\\.[^<]*</Name><Type>CNAME<`);
    return expect
      .poll(() => rig.journal.entries.some(({ request }) => pattern.test(request.body)), { timeout: minutes })
      .toBe(true);
  };
  await phase("start", () => made("ChangeResourceRecordSets"));
  await phase("apply a Service", async () => {
    await k("apply -f -", service);
    await drover.url("service/web");
    await named("UPSERT");
  });
  await phase("apply a Deployment", async () => {
    await k("apply -f -", deployment("web:1"));
    await rolledOut();
  });
  await phase("roll out", async () => {
    await k("apply -f -", deployment("web:2"));
    await rolledOut();
    await made("TerminateInstances");
  });
  await phase("delete", async () => {
    await k("delete deployment web --timeout=120s");
    await k("wait --for=delete pods -l app=web --timeout=120s");
    // Without Pods the group's delay is the one that Pods have who say nothing of their grace.
    await made("ModifyTargetGroupAttributes", 3);
    await k("delete service web --timeout=120s");
    await made("TerminateInstances", 2);
    await made("DeleteTargetGroup");
    await named("DELETE");
    await made("DeleteSecurityGroup");
  });
  phases.push(`# reads\n${[...new Set(reads(rig.journal.entries))].sort().join("\n")}\n`);
  const refused = rig.journal.entries.filter(({ status = 200 }) => status >= 300);
  expect(refused.map(line)).toEqual([]);
  await expect(phases.join("\n")).toMatchFileSnapshot("golden/requests.txt");
});
