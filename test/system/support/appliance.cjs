/**
 * What the appliance's services are to the recorder: the agent on its socket, which drains its work first, the airlock,
 * the broker of the vault, which runs as root, and the attestor, whose first bundle is not good enough. Strict about methods, paths, tokens and fields. What was asked of them
 * is in a file, a line of JSON each.
 *
 * Usage: node appliance.cjs SECONDS, how long the agent drains.
 */
const {
  appendFileSync,
  chmodSync,
  chownSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} = require('node:fs');
const { createServer } = require('node:http');
const { execFileSync } = require('node:child_process');
const { createHmac } = require('node:crypto');

const ASKED = '/root/asked';
const AGENT = '/run/secure-ai/agent/agent.sock';
const VAULT = '/run/secure-ai/vault-control';
const drain = Number(process.argv[2]) * 1000;
const tokenOf = (name) => readFileSync(`/var/lib/secure-ai/credentials/${name}-containment.token`, 'utf8').trim();
const groupOf = (name) => Number(execFileSync('getent', ['group', name], { encoding: 'utf8' }).split(':')[2]);
const note = (what) => appendFileSync(ASKED, `${JSON.stringify(what)}\n`);

/** A service that takes one request: this action, at this path, under its own token, with these fields and no other. */
const service = (name, path, action, outcome, after) =>
  createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8').on('data', (part) => (text += part));
    request.on('end', () => {
      const answer = (status, body) => {
        note({ name, status, text });
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
      };
      if (request.method !== 'POST' || request.url !== path) return answer(404, { error: 'not found' });
      if (request.headers.authorization !== `Bearer ${tokenOf(name)}`) return answer(403, { error: 'forbidden' });
      let body;
      try {
        body = JSON.parse(text);
      } catch {
        return answer(400, { error: 'invalid request body' });
      }
      const fields = Object.keys(body).filter((one) => !['action', 'incident_id', 'reason'].includes(one));
      if (fields.length > 0 || body.action !== action || !/^[\w.-]{1,128}$/.test(body.incident_id)) {
        return answer(400, { error: `not taken: ${fields.join(', ')}` });
      }
      setTimeout(() => answer(200, { ...outcome, incident_id: body.incident_id, persisted: true }), after);
    });
  });

service('agent', '/api/v1/freeze', 'freeze', { status: 'frozen', drained: true, active_executions: 0 }, drain).listen(
  AGENT,
  () => {
    chownSync(AGENT, 0, groupOf('secure-ai-agent-ipc'));
    chmodSync(AGENT, 0o660);
  },
);
service('airlock', '/api/v1/disable', 'disable', { status: 'disabled' }, 0).listen(8490, '127.0.0.1');

const sorted = (value) => {
  if (typeof value !== 'object') return JSON.stringify(value);
  const members = Object.keys(value).toSorted();
  return `{${members.map((key) => `${JSON.stringify(key)}:${sorted(value[key])}`).join()}}`;
};
let attested = 0;
createServer((request, response) => {
  let text = '';
  request.setEncoding('utf8').on('data', (part) => (text += part));
  request.on('end', () => {
    const token = readFileSync('/var/lib/secure-ai/credentials/runtime-attestor.token', 'utf8').trim();
    const key = readFileSync('/var/lib/secure-ai/credentials/attestation-hmac.key', 'utf8').trim();
    const [, nonce] = /^\{"request_nonce":"([\da-f]{64})"\}$/.exec(text) ?? [];
    const isGood =
      request.method === 'POST' &&
      request.url === '/api/v1/refresh' &&
      request.headers.authorization === `Bearer ${token}` &&
      nonce !== undefined;
    note({ name: 'attestor', status: isGood ? 200 : 400, text });
    if (!isGood) return response.writeHead(400).end();
    const bundle = {
      timestamp: new Date().toISOString(),
      state: attested++ === 0 ? 'degraded' : 'attested',
      assurance_mode: 'hardware',
      evidence_verified: true,
      request_nonce: nonce,
      boot_measurements: { secure_boot_enabled: true },
      deployment_verified: true,
      release_baseline_verified: true,
      tpm_available: true,
      tpm_measurements_verified: true,
      tpm_quote_verified: true,
      tpm_ak_public_key_sha256: 'e'.repeat(64),
      bundle_hmac: '',
    };
    const hmac = createHmac('sha256', Buffer.from(key, 'hex')).update(sorted(bundle)).digest('hex');
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ ...bundle, bundle_hmac: hmac }));
  });
}).listen(8505, '127.0.0.1');

setInterval(() => {
  for (const file of readdirSync(`${VAULT}/requests`)) {
    if (!file.endsWith('.json')) continue;
    const claimed = `${VAULT}/processing/${file}`;
    renameSync(`${VAULT}/requests/${file}`, claimed);
    const text = readFileSync(claimed, 'utf8');
    const request = JSON.parse(text);
    const isGood =
      Object.keys(request).every((key) => ['action', 'incident_id', 'reason'].includes(key)) &&
      request.action === 'relock' &&
      `${request.incident_id}.json` === file;
    note({ name: 'vault', status: isGood ? 200 : 400, text });
    const result = isGood ? { success: true } : { success: false, error: 'request action or incident id mismatch' };
    const unfinished = `${VAULT}/results/.result-${process.pid}`;
    writeFileSync(unfinished, `${JSON.stringify({ incident_id: request.incident_id, ...result })}\n`, { mode: 0o640 });
    chownSync(unfinished, 0, groupOf('secure-ai-vault-control'));
    renameSync(unfinished, `${VAULT}/results/${file}`);
    rmSync(claimed);
  }
}, 100);
