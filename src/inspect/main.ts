/**
 * `npm run inspect`: the service in local use, its actors shown live in the Stately Inspector. For development: what is
 * in the actors reaches a page of stately.ai in the browser of whoever opens the address.
 */
import { createInspector } from '@statelyai/inspect';
import pino from 'pino';
import { systemClock } from '../clock.ts';
import { readConfig } from '../config.ts';
import { localUseNotice, prepareLocalUse } from '../local-use.ts';
import { startService } from '../compose/service.ts';
import { InspectorRelay } from './relay.ts';

const PORT = 8516;

const relay = await InspectorRelay.listen(PORT);
const inspector = createInspector({ send: (event) => relay.send(event) });
inspector.start();

const config = readConfig(process.env, await prepareLocalUse(process.cwd()));
const service = await startService(config, systemClock, pino({ level: config.logLevel }), {
  inspect: inspector.inspect,
});
process.stdout.write(`${localUseNotice(service.address, config)}\n`);
process.stdout.write(`The actors are shown at ${relay.url}, in a page of stately.ai.\n`);

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    relay.close();
    void service.stop(signal).then(() => process.exit(0));
  });
}
