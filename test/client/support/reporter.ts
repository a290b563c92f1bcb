/**
 * A service that reports through a spool, as a process: `reporter.ts URL TOKEN-FILE SPOOL-FILE`. Each line of standard
 * input is the number of a report to send. When the report is taken, the process writes a line with the number and the
 * outcome. At the end of input it waits until no report waits any more, and closes the spool.
 */
import { createInterface } from 'node:readline';
import { RecorderClient, ReportSpool } from '../../../src/client/index.ts';

const [url, tokenPath, path = ''] = process.argv.slice(2);
const client = new RecorderClient({ url, tokenPath, timeout: 2000 });
const spool = await ReportSpool.open(client, {
  path,
  onDelivered: (key, { outcome }) => console.log(`delivered ${key} ${outcome}`),
});
console.log('ready');
for await (const number of createInterface({ input: process.stdin })) {
  const report = { class: 'tool_call_burst', source: 'reporter', description: number } as const;
  const { outcome } = await spool.report(report, `report-${number}`);
  console.log(`${number} ${outcome}`);
}
await spool.drained();
await spool.close();
