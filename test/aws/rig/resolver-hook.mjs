// Loaded before a program of the rig's: names of load balancers, which no DNS of this computer has, are asked of the rig.
import dns from "node:dns";

// AWS' own form for a network load balancer, and moto's: `NAME.elb.REGION.…`, `NAME.REGION.elb.…`.
const ofBalancer = /\.elb\.(?:[a-z0-9-]+\.)?amazonaws\.com$/;
const resolver = process.env.DROVER_RIG_RESOLVER;
const known = new Map();
const { lookup } = dns;

async function addressOf(hostname) {
  const answer = await fetch(`${resolver}/${hostname}`);
  if (!answer.ok) throw Object.assign(new Error(`getaddrinfo ENOTFOUND ${hostname}`), { code: "ENOTFOUND", hostname });
  const address = await answer.text();
  known.set(hostname, address);
  return address;
}

dns.lookup = (hostname, options, callback) => {
  if (!ofBalancer.test(hostname)) return lookup(hostname, options, callback);
  const done = callback ?? options;
  const give = (address) => (options.all ? done(null, [{ address, family: 4 }]) : done(null, address, 4));
  const address = known.get(hostname);
  if (address === undefined) addressOf(hostname).then(give, done);
  else process.nextTick(give, address);
};
