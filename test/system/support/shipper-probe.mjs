/** Stands in for the command line in the unit of the shipper: see `probe.cjs`. */
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { connect, createServer } from 'node:net';

const reach = (host, port) => async () => {
  const socket = connect({ host, port, signal: AbortSignal.timeout(5000) });
  await once(socket, 'connect');
  socket.destroy();
};
const listen = (port) => async () => {
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  server.close();
};

const ATTEMPTS = {
  'read the audit key': () => readFileSync('/etc/secure-ai/incident-recorder/audit-hmac-key'),
  'read the log': () => readFileSync('/var/lib/secure-ai/logs/incident-recorder-audit.jsonl'),
  'list the logs': () => readdirSync('/var/lib/secure-ai/logs'),
  'read the policy': () => readFileSync('/etc/secure-ai/policy/incident-containment.yaml'),
  'read the files of root': () => readFileSync('/etc/secure-ai/incident-shipper/fleet-token'),
  'read /etc/passwd': () => readFileSync('/etc/passwd'),
  'write /tmp': () => writeFileSync('/tmp/probe', 'x'),
  'run a shell': () => {
    const { error } = spawnSync('/bin/sh', ['-c', 'true']);
    if (error) throw error;
  },
  'reach another machine': reach('192.0.2.66', 80),
  'bind another port': listen(9999),

  'read its tokens': () => {
    readFileSync(process.env.FLEET_TOKEN_PATH);
    readFileSync(process.env.INCIDENT_RECORDER_TOKEN_PATH);
  },
  'reach the recorder': reach('127.0.0.1', 8515),
  'reach the fleet': reach(process.env.FLEET_ADDRESS, 8520),
  'bind the port of its metrics': listen(8516),
  'measure its memory': () => process.memoryUsage(),
};

const outcomes = {};
for (const [name, attempt] of Object.entries(ATTEMPTS)) {
  try {
    await attempt();
    outcomes[name] = 'done';
  } catch (error) {
    outcomes[name] = error.code ?? error.name;
  }
}
process.stdout.write(`${JSON.stringify(outcomes)}\n`);
setInterval(() => {}, 60_000);
