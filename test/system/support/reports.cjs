/**
 * Sends 50 reports a second, by turns on the port and on the socket, kept and new connections, each under a key of its
 * own and again under the same key until it is taken. Ends after so many reports, when all are taken:
 * `reports.cjs TOKEN-FILE REPORTS KEYS`; the keys begin with the last. Writes what came of them in one line of JSON.
 */
const { readFileSync } = require('node:fs');
const { Agent, request } = require('node:http');

const [tokenFile, reports, keys] = process.argv.slice(2);
const authorization = `Bearer ${readFileSync(tokenFile, 'utf8').trim()}`;
const kept = new Agent({ keepAlive: true });
const DOORS = [
  { host: '127.0.0.1', port: 8515, agent: kept },
  { socketPath: '/run/secure-ai/recorder.sock', agent: kept },
  { host: '127.0.0.1', port: 8515, agent: false },
  { socketPath: '/run/secure-ai/recorder.sock', agent: false },
];
const outcome = { taken: [], refusals: [], resets: 0, errors: [], longest: 0 };

const send = (door, key, description) =>
  new Promise((resolve, reject) => {
    const body = JSON.stringify({ class: 'tool_call_burst', source: 'system-test', description });
    const headers = {
      host: 'localhost',
      authorization,
      'idempotency-key': key,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    };
    const sent = request({ ...door, method: 'POST', path: '/api/v1/incidents/report', headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk) => (text += chunk));
      response.on('error', reject).on('end', () => resolve({ status: response.statusCode, text }));
    });
    sent.on('error', reject).end(body);
  });

const report = async (number) => {
  const since = performance.now();
  for (;;) {
    try {
      const { status, text } = await send(DOORS[number % DOORS.length], `${keys}-${number}`, `number ${number}`);
      if (status === 200 || status === 201) {
        outcome.taken.push(JSON.parse(text).id);
        break;
      }
      outcome.errors.push(status);
    } catch (error) {
      if (error.code === 'ECONNRESET' || error.code === 'EPIPE') outcome.resets++;
      else outcome.refusals.push(error.code ?? String(error));
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  outcome.longest = Math.max(outcome.longest, Math.round(performance.now() - since));
};

void (async () => {
  const all = [];
  const began = performance.now();
  for (let number = 0; number < Number(reports); number++) {
    const due = began + number * 20 - performance.now();
    if (due > 0) await new Promise((resolve) => setTimeout(resolve, due));
    all.push(report(number));
  }
  await Promise.all(all);
  process.stdout.write(`${JSON.stringify(outcome)}\n`);
  kept.destroy();
})();
