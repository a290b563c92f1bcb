/**
 * The process: arguments and environment in, exit code out.
 *
 * SIGTERM and SIGINT end the service, SIGHUP reloads policy and token. Exit codes: 0 after a stop that was asked for;
 * 78 (sysexits.h, EX_CONFIG) for a configuration or policy that must be mended first; 75 (EX_TEMPFAIL) when another
 * recorder holds the log; 74 (EX_IOERR) when the log could not be synced; 1 for anything else.
 */
import { parseArgs } from 'node:util';
import pino, { type Logger } from 'pino';
import { systemClock } from './clock.ts';
import { readConfig } from './config.ts';
import { RecorderError } from './errors.ts';
import { firstReport, prepareLocalUse } from './local-use.ts';
import { type Service, startService } from './service.ts';

const EXIT_CODES: Partial<Record<string, number>> = { config: 78, invalid_policy: 78, locked: 75 };
const EX_IOERR = 74;

/** Log lines that wait for a reader of standard output that is stuck, in bytes; more are dropped, reports are not. */
const MAX_LOG_BACKLOG = 1024 * 1024;

async function main(): Promise<void> {
  process.umask(0o027);
  const { values } = parseArgs({ options: { local: { type: 'boolean', default: false } } });
  const local = values.local ? prepareLocalUse(process.cwd()) : {};
  const config = readConfig(process.env, local);
  const output = pino.destination({ dest: 1, sync: false, maxLength: MAX_LOG_BACKLOG });
  const logger = pino({ level: config.logLevel, base: null, timestamp: pino.stdTimeFunctions.isoTime }, output);

  const service = await startService(config, systemClock, logger);
  logger.info({ address: service.address, log: config.logPath }, 'listening');
  if (values.local) process.stdout.write(`${firstReport(service.address, config.tokenPath, process.cwd())}\n`);
  const code = await runUntilEnd(service, logger);
  output.flushSync();
  process.exit(code);
}

/** Resolves with the exit code when the service has ended. */
function runUntilEnd(service: Service, logger: Logger): Promise<number> {
  return new Promise((resolve) => {
    let stopping = false;
    const stop = (signal: string): void => {
      if (stopping) return;
      stopping = true;
      logger.info({ signal }, 'stopping');
      void service.stop(signal).then(() => resolve(0));
    };
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
    process.on('SIGHUP', () => void service.reload());
    void service.failed.then((error) => {
      logger.fatal({ err: error }, 'the audit log could not be synced: ending, the next start writes its tail again');
      resolve(EX_IOERR);
    });
  });
}

main().catch((error: unknown) => {
  const known = error instanceof RecorderError;
  process.stderr.write(`incident-recorder: ${known ? error.message : String((error as Error)?.stack ?? error)}\n`);
  process.exit(known ? (EXIT_CODES[error.code] ?? 1) : 1);
});
