/**
 * `npm run inspect`: the service in local use, with its actors shown live. For development: in a browser that reaches
 * stately.ai, what is in the actors is sent to a page from there.
 *
 * Exits with 1, and one line that says why, when it can't start.
 */
import { createInspector } from '@statelyai/inspect';
import pino from 'pino';
import { systemClock } from '../clock.ts';
import { readConfig } from '../config.ts';
import { RecorderError } from '../errors.ts';
import { localUseNotice, prepareLocalUse } from '../local-use.ts';
import { startService } from '../compose/service.ts';
import { InspectorRelay } from './relay.ts';

const PORT = 8516;

async function main(): Promise<void> {
  const relay = await InspectorRelay.listen(PORT);
  const inspector = createInspector({ send: (event) => relay.send(event) });
  inspector.start();

  const config = readConfig(process.env, await prepareLocalUse(process.cwd()));
  const service = await startService(config, systemClock, pino({ level: config.logLevel }), {
    inspect: inspector.inspect,
  });
  process.stdout.write(`${localUseNotice(service.address, config)}\n`);
  process.stdout.write(`The actors are listed at ${relay.url}. With stately.ai in reach it shows their charts too.\n`);

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      relay.close();
      void service.stop(signal).then(() => process.exit(0));
    });
  }
}

main().catch((error: unknown) => {
  const known = error instanceof RecorderError;
  process.stderr.write(`incident-recorder: ${known ? error.message : String((error as Error)?.stack ?? error)}\n`);
  process.exit(1);
});
