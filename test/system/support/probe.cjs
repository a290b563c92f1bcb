/**
 * Stands in for the service in its unit, tries what the service must not be able to do and what it must, and writes what
 * came of it in one line of JSON: for each attempt the error's code, or `done`.
 */
const { spawnSync } = require('node:child_process');
const { once } = require('node:events');
const { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } = require('node:fs');
const { connect, createServer } = require('node:net');
const { setPriority } = require('node:os');

const LOGS = '/var/lib/secure-ai/logs';
const write = (path) => () => writeFileSync(path, 'x');

const run = (...command) => {
  const { error, status } = spawnSync(command[0], command.slice(1));
  if (error) throw error;
  if (status !== 0) throw Object.assign(new Error(), { code: `status ${status}` });
};

const listen = (options) => async () => {
  const server = createServer().listen(options);
  await once(server, 'listening');
  server.close();
};

const reach = (options) => async () => {
  const socket = connect({ ...options, signal: AbortSignal.timeout(5000) });
  await once(socket, 'connect');
  socket.destroy();
};

const ATTEMPTS = {
  'read /etc/passwd': () => readFileSync('/etc/passwd'),
  'list /': () => readdirSync('/'),
  'read /usr/bin/sh': () => readFileSync('/usr/bin/sh'),
  'write /etc/secure-ai': write('/etc/secure-ai/probe'),
  'write /run/secure-ai': write('/run/secure-ai/probe'),
  'write /var/lib/secure-ai': write('/var/lib/secure-ai/probe'),
  'write /tmp': write('/tmp/probe'),
  'write its own program': write('/usr/lib/secure-ai/incident-recorder/dist/probe'),
  'make a link among the logs': () => symlinkSync('/etc/passwd', `${LOGS}/probe-link`),
  'run a shell': () => run('/bin/sh', '-c', 'true'),
  'run a program by the loader': () => run('/usr/lib/secure-ai/incident-recorder/loader', '/usr/bin/true'),
  'raise its priority': () => setPriority(-5),
  'see process 1': () => readdirSync('/proc/1'),
  'signal process 1': () => process.kill(1, 0),
  // Freed by nobody: where it may bind, this fails with EADDRINUSE.
  'bind its own port': listen({ host: '127.0.0.1', port: 8515 }),
  'bind another port': listen({ host: '127.0.0.1', port: 8516 }),
  'bind IPv6': listen({ host: '::1', port: 8515 }),
  'reach another machine': reach({ host: '192.0.2.1', port: 8490 }),

  'listen on the sockets that systemd passes': async () => {
    for (const fd of [3, 4]) await listen({ fd })();
  },
  'reach a service on the loopback': reach({ host: '127.0.0.1', port: 8490 }),
  'reach a socket in /run/secure-ai': reach({ path: '/run/secure-ai/probe.socket' }),
  'read the policy': () => readFileSync('/etc/secure-ai/policy/incident-containment.yaml'),
  'read the token': () => readFileSync('/run/secure-ai/service-token'),
  'write among the logs': write(`${LOGS}/probe`),
  'archive among the logs': () => {
    mkdirSync(`${LOGS}/probe-archive`, { recursive: true });
    renameSync(`${LOGS}/probe`, `${LOGS}/probe-archive/probe`);
    rmSync(`${LOGS}/probe-archive/probe`);
  },
  'measure its memory': () => process.memoryUsage(),
};

void (async () => {
  const outcomes = {};
  for (const [name, attempt] of Object.entries(ATTEMPTS)) {
    try {
      await attempt();
      outcomes[name] = 'done';
    } catch (error) {
      outcomes[name] = error.code ?? String(error);
    }
  }
  process.stdout.write(`${JSON.stringify(outcomes)}\n`);
  setInterval(() => {}, 60_000);
})();
