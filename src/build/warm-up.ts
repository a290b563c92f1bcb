/**
 * Makes the cached data of the bundled service: starts it, asks it once for everything that is asked of it often, and
 * keeps what V8 has compiled by then. Run as `warm-up BUNDLE CACHE SOCKET TOKEN`, with the flags under which the cached
 * data is to serve, and an environment that gives the service that unix socket, that token and files of its own. It is
 * `dist/warm-up.cjs`: the build runs it, and the installer on the host.
 */
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { setTimeout } from 'node:timers/promises';
import { ServiceScript } from './service-script.ts';

const POLL_INTERVAL = 20;

const REPORT = {
  class: 'prompt_injection',
  source: 'build',
  description: 'a report',
  evidence: { text: 'naïve', numbers: [1, 2.5], nested: { is: true } },
};

// Taken away, because the service looks at its arguments too.
const [bundle = '', cache = '', socket = '', token = ''] = process.argv.splice(2);

interface Answer {
  readonly status: number;
  readonly text: string;
}

async function ask(method: string, path: string, body?: object): Promise<Answer> {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${token}` };
  const asked = request({ socketPath: socket, method, path, headers: { host: 'localhost', ...headers } });
  asked.end(body === undefined ? undefined : JSON.stringify(body));
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += String(chunk);
  return { status: response.statusCode ?? 0, text };
}

/** The answer to a request that must succeed. */
async function answerOf(method: string, path: string, body?: object): Promise<string> {
  const { status, text } = await ask(method, path, body);
  if (status < 200 || status > 299) throw new Error(`${method} ${path} was answered ${status}: ${text}`);
  return text;
}

const isUp = (): Promise<boolean> =>
  ask('GET', '/health').then(
    ({ status }) => status === 200,
    () => false,
  );

const script = new ServiceScript(bundle, cache);
script.run(require);
void (async () => {
  while (!(await isUp())) await setTimeout(POLL_INTERVAL);
  const { id } = JSON.parse(await answerOf('POST', '/api/v1/incidents/report', REPORT)) as { id: string };
  for (const path of ['incidents', `incidents/get?id=${id}`, `incidents/history?id=${id}`, 'stats']) {
    await answerOf('GET', `/api/v1/${path}`);
  }
  await answerOf('POST', '/api/v1/incidents/acknowledge', { id, by: 'build' });
  await answerOf('POST', '/api/v1/incidents/resolve', { id, by: 'build' });
  script.writeCache(cache);
  process.kill(process.pid, 'SIGTERM');
})();
