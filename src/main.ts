/**
 * The process of the service: arguments, signals, exit codes.
 *
 * SIGTERM and SIGINT stop the service, SIGHUP reloads policy and token. Exit codes: 0 after a requested stop; 78
 * (sysexits.h, EX_CONFIG) for a configuration or policy that must be corrected first; 75 (EX_TEMPFAIL) when another
 * recorder holds the log; 74 (EX_IOERR) when the log could not be synced; 1 for anything else.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import pino, { type Logger } from 'pino';
import { systemClock } from './clock.ts';
import { readConfig } from './config.ts';
import { RecorderError } from './errors.ts';
import { localUseNotice, prepareLocalUse } from './local-use.ts';
import { journalLines, ProcessOutput, requestLines } from './process-output.ts';
import { StandardStream } from './standard-stream.ts';
import { type Service, startService } from './compose/service.ts';

const EX_CONFIG = 78;
const EXIT_CODES: Partial<Record<string, number>> = {
  config: EX_CONFIG,
  invalid_policy: EX_CONFIG,
  invalid_access: EX_CONFIG,
  locked: 75,
};
/** Errors of the file system that an operator mends, and that no other start goes without. */
const MENDABLE: ReadonlySet<string> = new Set(['EACCES', 'EPERM', 'EISDIR', 'ENOTDIR', 'ELOOP', 'ENXIO', 'EROFS']);
const EX_IOERR = 74;
/** How long the last message waits for its reader, in milliseconds. */
const LAST_WAIT = 400;

async function main(): Promise<void> {
  process.umask(0o027);
  const { values } = readArguments();
  const local = values.local ? await prepareLocalUse(process.cwd()) : {};
  // The checkout may belong to anybody, its state does not.
  const trusted = values.local ? { trustedBelow: join(process.cwd(), 'var') } : {};
  const config = { ...readConfig(process.env, local), ...trusted };
  const output = new ProcessOutput();
  process.once('exit', () => output.end());
  const logger = pino({ level: config.logLevel, base: null, timestamp: pino.stdTimeFunctions.isoTime }, output);

  const signals = new Signals(logger);
  const service = await startService(config, systemClock, logger, {
    logRequest: requestLines(logger, output),
    logJournal: journalLines(logger, output),
    onServing: () => signals.serving(),
  });
  const { address, addresses } = service;
  const where = addresses.length === 1 ? { address } : { address, addresses };
  const reading = service.isReading ? { reading: true } : {};
  logger.info({ ...where, log: config.logPath, ...reading }, 'listening');
  if (values.local) output.write(`${localUseNotice(address, config)}\n`);
  process.exit(await signals.obey(service));
}

function readArguments() {
  // The parser's module would be loaded at start.
  if (process.argv.length === 2) return { values: { local: false } };
  try {
    return parseArgs({ options: { local: { type: 'boolean', default: false } } });
  } catch (error) {
    throw new RecorderError('config', `${(error as Error).message} (the only option is --local)`);
  }
}

/**
 * Reacts to signals. Until the service has started, a reload does nothing. A stop ends the process at once as long as
 * nobody was served; later it is recorded, so it waits until the service has started.
 */
class Signals {
  readonly #logger: Logger;
  #serving = false;
  #service: Service | undefined;
  #stopping: string | undefined;
  #stopped: () => void = () => {};

  constructor(logger: Logger) {
    this.#logger = logger;
    process.on('SIGTERM', this.#stop).on('SIGINT', this.#stop);
    process.on('SIGHUP', () => void this.#service?.reload());
  }

  /** The service answers, and is still starting. */
  serving(): void {
    this.#serving = true;
  }

  /** Lets signals control the service. Resolves with the exit code when the service has ended. */
  async obey(service: Service): Promise<number> {
    this.#service = service;
    const stopped = new Promise<void>((resolve) => {
      this.#stopped = resolve;
    });
    if (this.#stopping !== undefined) this.#end(service, this.#stopping);
    await Promise.race([service.failed, stopped]);
    const { failure } = service;
    if (failure === undefined) return 0;
    const message = 'the audit log could not be synced: ending, the next start writes its tail again';
    this.#logger.fatal({ err: failure }, message);
    return EX_IOERR;
  }

  readonly #stop = (signal: string): void => {
    this.#logger.info({ signal }, 'stopping');
    if (!this.#serving) process.exit(0);
    if (this.#stopping !== undefined) return;
    this.#stopping = signal;
    if (this.#service !== undefined) this.#end(this.#service, signal);
  };

  #end(service: Service, signal: string): void {
    void service.stop(signal).then(() => this.#stopped());
  }
}

/** Names the file that an error of the file system is about, where its permissions or its kind are the cause. */
function unusableFile(error: unknown): string | undefined {
  const { code = '', path } = error as NodeJS.ErrnoException;
  return path !== undefined && MENDABLE.has(code) ? `${path} can't be used (${code})` : undefined;
}

main().catch((error: unknown) => {
  const known = error instanceof RecorderError;
  const unusable = known ? undefined : unusableFile(error);
  const message = known ? error.message : (unusable ?? String((error as Error)?.stack ?? error));
  new StandardStream(2).writeWithin(LAST_WAIT, `incident-recorder: ${message}\n`);
  process.exit(known ? (EXIT_CODES[error.code] ?? 1) : unusable === undefined ? 1 : EX_CONFIG);
});
