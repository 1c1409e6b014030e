#!/usr/bin/env node
// Replays recorded.json (seen on kube-apiserver 1.36.3) against any Kubernetes API server and compares the answers.
//   node replay.mjs --kubeconfig F [--only REGEX] [--jobs 4] [--file recorded.json] [--record]
// Every sequence runs in a fresh namespace: {ns} in paths and bodies; {0.metadata.uid} = that value in step 0's reply.
// A step {poll: N} is repeated for up to N seconds until it matches. --record writes the server's answers into the file.
// Imported, it is `connect(access)`, which gives a function that replays one sequence.
import { readFileSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function send({ server, agent, token }, { method = 'GET', path, contentType, accept, body }) {
  return new Promise((resolve, reject) => {
    const payload = body === undefined ? undefined : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
    const headers = { accept: accept ?? 'application/json', 'user-agent': 'replay/1.0' };
    if (payload) Object.assign(headers, { 'content-type': contentType ?? 'application/json', 'content-length': payload.length });
    if (token) headers.authorization = `Bearer ${token}`;
    const request = https.request(server + path, { method, agent, headers, timeout: 60_000 }, (res) => {
      const chunks = [];
      res.on('data', (c) => chunks.push(c));
      res.on('error', reject);
      res.on('end', () => {
        const raw = Buffer.concat(chunks).toString();
        const lines = raw.trim().split('\n');
        let reply = raw;
        try { reply = /[?&]watch=/.test(path) && res.statusCode === 200 ? lines.filter(Boolean).map((l) => JSON.parse(l)).filter(lasting) : JSON.parse(raw); } catch { /* plain text */ }
        const warnings = []; // but for drover's own, which Kubernetes has no reason to give
        for (let i = 0; i < res.rawHeaders.length; i += 2) {
          if (/^warning$/i.test(res.rawHeaders[i]) && !/^299 - "spec[^ ]*: drover (ignores|refuses) it: /.test(res.rawHeaders[i + 1])) warnings.push(res.rawHeaders[i + 1].replace(/^299 - "/, '').replace(/"$/, '').replace(/\\(.)/g, '$1'));
        }
        resolve({ status: res.statusCode, ...(warnings.length && { warnings }), body: reply });
      });
    });
    request.on('timeout', () => request.destroy(new Error('no answer in 60 s')));
    request.on('error', reject);
    request.end(payload);
  });
}

const lasting = (e) => e.type !== 'BOOKMARK' || e.object.metadata.annotations; // other bookmarks come when they like
const ipKeys = new Set(['clusterIP', 'clusterIPs', 'podIP', 'hostIP', 'ip', 'podIPs', 'hostIPs']);
const maskText = (s, ns) => s.replaceAll(ns, '{ns}')
  .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, '<uid>')
  .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z(?!07)/g, '<time>')
  .replace(/X509SHA256=[0-9a-f]+/g, 'X509SHA256=<hash>')
  .replace(/kube-api-access-[a-z0-9]{5}/g, 'kube-api-access-<suffix>')
  .replace(/(in record \(|resource version: 1 \(|current: |resourceVersion\\?":\\?")\d+/g, '$1<rv>')
  .replace(/\n@@ [^]*$/, '') // a difference of Go's internal structs
  .replace(/-[bcdfghjklmnpqrstvwxz2456789]{6,10}(?=" (has|is))/g, '-<hash>');
const owner = (e) => [e.operation, e.manager, e.apiVersion, e.subresource].join();
function mask(value, ns, key = '') {
  if (typeof value === 'string') {
    if (key === 'resourceVersion' && /^[1-9]\d*$/.test(value)) return '<rv>';
    if (key === 'continue' && value) return '<continue>';
    if (key === 'token' && value) return '<token>';
    if (key === 'serverAddress') return '<address>';
    if (key === 'kubernetes.io/description') return '<text>';
    if (ipKeys.has(key) && /^\d+\.\d+\.\d+\.\d+$/.test(value)) return '<ip>';
    if (key === 'cells' && /^(\d+[smhd])+$/.test(value)) return '<age>';
    if (key === 'cells' && /^\d+:\d{5}\//.test(value)) return value.replace(/:\d{5}\//g, ':<port>/');
    if (key === 'cells' && /^10\.\d+\.\d+\.\d+$/.test(value)) return '<ip>';
    return maskText(value, ns);
  }
  if (key === 'nodePort' || key === 'healthCheckNodePort') return '<port>';
  if (key === 'managedFields' && Array.isArray(value)) value = [...value].sort((a, b) => (owner(a) < owner(b) ? -1 : 1)); // their order depends on the clock's second
  if (key === 'causes' && value[0]?.reason === 'FieldManagerConflict') value = [...value].sort((a, b) => (a.message + a.field < b.message + b.field ? -1 : 1)); // a Go map's order
  if (Array.isArray(value)) return value.map((v) => mask(v, ns, key));
  if (value === null || typeof value !== 'object') return value;
  const out = {};
  for (const k of Object.keys(value).sort()) out[maskText(k, ns)] = mask(value[k], ns, k);
  if (out.fieldsV1 && /^kube-/.test(out.manager)) out.fieldsV1 = '<fields>'; // a controller's set depends on how often it wrote
  if (typeof out.description === 'string' && 'format' in out && 'priority' in out) out.description = '<text>'; // a column's, in the server's own words
  const meta = out.metadata;
  if (meta?.generateName && meta.name?.startsWith(meta.generateName)) meta.name = `${meta.generateName}<suffix>`;
  return out;
}

function difference(want, got, at = '') {
  if (want === got) return;
  const branch = (v) => v !== null && typeof v === 'object';
  if (!branch(want) || !branch(got) || Array.isArray(want) !== Array.isArray(got)) return `${at || '.'}: want ${JSON.stringify(want)}, got ${JSON.stringify(got)}`;
  for (const k of new Set([...Object.keys(want), ...Object.keys(got)])) {
    const found = difference(want[k], got[k], Array.isArray(want) ? `${at}[${k}]` : `${at}.${k}`);
    if (found) return found;
  }
}

/** What differs from the recording, or undefined. `recording`: takes the answers over instead. */
async function sequence(access, entry, recording) {
  const ask = (request) => send(access, request);
  const ns = `spec-${Math.random().toString(36).slice(2, 10)}x`;
  const replies = [];
  const fill = (v) => v.replaceAll('{ns}', ns).replace(/\{(\d+)\.([\w.]+)\}/g, (_, i, path) => path.split('.').reduce((o, k) => o?.[k], replies[i]) ?? '');
  const prepare = (step) => ({ ...step, path: fill(step.path), body: step.body === undefined ? undefined : typeof step.body === 'string' ? fill(step.body) : JSON.parse(fill(JSON.stringify(step.body))) });
  await ask({ method: 'POST', path: '/api/v1/namespaces', body: { apiVersion: 'v1', kind: 'Namespace', metadata: { name: ns } } });
  for (let i = 0; i < 100 && (await ask({ path: `/api/v1/namespaces/${ns}/serviceaccounts/default` })).status !== 200; i++) await sleep(100);
  try {
    if (recording) entry.expect = [];
    for (const [i, step] of entry.steps.entries()) {
      const until = Date.now() + (step.poll ?? 0) * 1000;
      if (recording && step.poll) await sleep(Math.min(step.poll, 8, step.poll / 2) * 1000 + (step.poll > 40 ? 15_000 : 0));
      for (;;) {
        const reply = await ask(prepare(step));
        replies[i] = reply.body;
        const got = mask(reply, ns);
        if (recording) { entry.expect[i] = got; break; }
        const found = difference(mask(entry.expect[i], ns), got);
        if (!found) break;
        if (Date.now() >= until) return `step ${i} ${step.method ?? 'GET'} ${step.path}: ${found}`;
        await sleep(250);
      }
    }
  } finally {
    for (const path of entry.cleanup ?? []) await ask({ method: 'DELETE', path: fill(path) });
    await ask({ method: 'DELETE', path: `/api/v1/namespaces/${ns}` });
  }
}

/** `access`: { server: 'https://…', ca, cert, key, token } with PEM texts. */
export function connect({ server, token, ca, cert, key }) {
  const agent = new https.Agent({ keepAlive: true, ca, cert, key });
  return { replay: (entry) => sequence({ server, agent, token }, entry, false), close: () => agent.destroy() };
}

async function main() {
  const args = process.argv.slice(2);
  const option = (name, fallback) => (args.includes(name) ? args[args.indexOf(name) + 1] : fallback);
  const file = option('--file', join(dirname(fileURLToPath(import.meta.url)), 'recorded.json'));
  const only = new RegExp(option('--only', '.'));
  const jobs = Number(option('--jobs', 4));
  const recording = args.includes('--record');
  const text = readFileSync(option('--kubeconfig', process.env.KUBECONFIG ?? ''), 'utf8');
  const given = (key) => text.match(new RegExp(`[\\s{"]${key}"?:\\s*(?:\\|-?\\s*|>-?\\s*)?"?([^\\s",}]+)`))?.[1];
  const pem = (key) => (given(`${key}-data`) ? Buffer.from(given(`${key}-data`), 'base64') : given(key) && readFileSync(given(key)));
  const agent = new https.Agent({ keepAlive: true, ca: pem('certificate-authority'), cert: pem('client-certificate'), key: pem('client-key') });
  const access = { server: given('server'), agent, token: given('token') };
  const all = JSON.parse(readFileSync(file, 'utf8'));
  const chosen = all.filter((e) => only.test(e.name));
  let failed = 0;
  const queue = [...chosen];
  await Promise.all(Array.from({ length: jobs }, async () => {
    for (let entry = queue.shift(); entry; entry = queue.shift()) {
      const problem = await sequence(access, entry, recording).catch((e) => e.message);
      if (problem) failed++;
      console.log(problem ? `FAIL ${entry.name}\n     ${problem}` : `pass ${entry.name}`);
    }
  }));
  if (recording) writeFileSync(file, `[\n${all.map((e) => JSON.stringify(e)).join(',\n')}\n]\n`);
  console.log(`${chosen.length - failed} passed, ${failed} failed`);
  agent.destroy();
  process.exit(failed ? 1 : 0);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
