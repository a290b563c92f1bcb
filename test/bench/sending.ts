import { TOKEN } from '../support/running-service.ts';
import { imagineEvidence } from './imagined-report.ts';
import { requestBytes } from './load.ts';
import { Random } from './random.ts';

/** The report that the benchmarks send: contained at once, with an alert, so it makes two entries. */
export const REPORT = {
  class: 'prompt_injection',
  source: 'tool-firewall',
  description: 'instructions found in a tool result of session 4711 of agent-7',
  evidence: imagineEvidence(new Random(7), 600),
} as const;

/** A request that sends it. */
export const reportRequest = (): Buffer =>
  requestBytes(
    'POST',
    '/api/v1/incidents/report',
    { Authorization: `Bearer ${TOKEN}`, 'Content-Type': 'application/json' },
    JSON.stringify(REPORT),
  );

export const getRequest = (path: string): Buffer => requestBytes('GET', path, {});
