/**
 * `incident-recorder/client`: for services that report incidents or carry out containment. It needs Node only.
 *
 * ```js
 * import { RecorderClient, ReportSpool } from 'incident-recorder/client';
 *
 * const client = new RecorderClient({ tokenPath: '/run/secure-ai/service-token' });
 * const spool = await ReportSpool.open(client, { path: '/var/lib/tool-firewall/reports.spool' });
 * await spool.report({ class: 'prompt_injection', source: 'tool-firewall', description: 'hidden instructions' });
 * ```
 */
export { Impostor, InvalidReport, NotReachable, Refused, SpoolError, type SpoolFault } from './errors.ts';
export {
  type BatchOptions,
  type ClientOptions,
  type FollowOptions,
  type PostureOptions,
  type Recorded,
  RecorderClient,
  type ReportOptions,
  type TaggedPosture,
} from './recorder-client.ts';
export { ReportSpool, type SpoolOptions, type Taken } from './report-spool.ts';
export type * from './shapes.ts';
