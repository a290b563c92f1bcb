/**
 * A service that reports through a spool, as a process of its own: `reporter.ts URL TOKEN-FILE SPOOL-FILE`. Each line of
 * standard input is the number of a report to be handed over; when it has been, a line of standard output says so, the
 * number before what became of it. At the end of input it waits until nothing waits any more, and closes the spool.
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
