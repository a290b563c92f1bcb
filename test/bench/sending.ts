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

const posted = (path: string, body: string): Buffer =>
  requestBytes('POST', path, { Authorization: `Bearer ${TOKEN}`, 'Content-Type': 'application/json' }, body);

/** A request that sends it. */
export const reportRequest = (): Buffer => posted('/api/v1/incidents/report', JSON.stringify(REPORT));

/** The same in ASCII alone, as most reports are. */
export const plainReportRequest = (): Buffer =>
  posted('/api/v1/incidents/report', JSON.stringify(REPORT).replaceAll(/[^\x20-\x7e]/g, '?'));

/** How many reports a batch has here. */
export const BATCH = 50;

/** A request that sends the report so many times. */
export const batchRequest = (): Buffer =>
  posted('/api/v1/incidents/reports', JSON.stringify(Array.from({ length: BATCH }, () => REPORT)));

/** A request that confirms the first action of its rule for one incident. */
export const confirmRequest = (id: string): Buffer =>
  posted(
    '/api/v1/containment/confirm',
    JSON.stringify({ action: 'freeze_agent', directive: 'engage', incident_id: id }),
  );

export const resolveRequest = (id: string): Buffer => posted('/api/v1/incidents/resolve', JSON.stringify({ id }));

export const getRequest = (path: string): Buffer => requestBytes('GET', path, {});
