/**
 * Makes the cached data of the bundled service: starts the service, sends every frequent request once, and writes what
 * V8 has compiled until then. The build runs it, and the installer on the host, as `dist/warm-up.cjs`.
 *
 * Usage: `warm-up BUNDLE CACHE SOCKET TOKEN`, with the flags under which the cached data will be used, and with an
 * environment in which the service has that unix socket, that token and its own files.
 */
import { once } from 'node:events';
import { type IncomingMessage, request as httpRequest } from 'node:http';
import { setTimeout } from 'node:timers/promises';
import { ServiceScript } from './service-script.ts';

const POLL_INTERVAL = 20;

const REPORT = {
  class: 'prompt_injection',
  source: 'build',
  description: 'a report',
  evidence: { text: 'naïve', numbers: [1, 2.5], nested: { is: true } },
};

// Removed from the arguments, because the service reads them too.
const [bundle = '', cache = '', socket = '', token = ''] = process.argv.splice(2);

interface WarmUpResponse {
  readonly status: number;
  readonly text: string;
}

async function send(method: string, path: string, body?: object): Promise<WarmUpResponse> {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${token}` };
  const asked = httpRequest({ socketPath: socket, method, path, headers: { host: 'localhost', ...headers } });
  asked.end(body === undefined ? undefined : JSON.stringify(body));
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += String(chunk);
  return { status: response.statusCode ?? 0, text };
}

/** Sends a request that must succeed; returns the body of the response. */
async function request(method: string, path: string, body?: object): Promise<string> {
  const { status, text } = await send(method, path, body);
  if (status < 200 || status > 299) throw new Error(`${method} ${path} was answered ${status}: ${text}`);
  return text;
}

const isUp = (): Promise<boolean> =>
  send('GET', '/health').then(
    ({ status }) => status === 200,
    () => false,
  );

const script = new ServiceScript(bundle, cache);
script.run(require);
void (async () => {
  while (!(await isUp())) await setTimeout(POLL_INTERVAL);
  const { id } = JSON.parse(await request('POST', '/api/v1/incidents/report', REPORT)) as { id: string };
  for (const path of ['incidents', `incidents/get?id=${id}`, `incidents/history?id=${id}`, 'stats']) {
    await request('GET', `/api/v1/${path}`);
  }
  await request('POST', '/api/v1/incidents/acknowledge', { id, by: 'build' });
  await request('POST', '/api/v1/incidents/resolve', { id, by: 'build' });
  script.writeCache(cache);
  process.kill(process.pid, 'SIGTERM');
})();
