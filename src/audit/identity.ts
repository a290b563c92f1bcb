/**
 * The identity of a log: the hash of its first entry, which holds a random number. `<log>.identity` keeps it, signed, so
 * that a log that was begun where there was another differs from it, also when the first segment is archived.
 */
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { replaceFile } from '../durable-file.ts';
import { readSmallFile } from './small-file.ts';
import type { ChainHash } from './chain-hash.ts';
import { EntryFault, parseGenuine } from './entry.ts';
import type { Finding } from './findings.ts';
import { readLines } from './lines.ts';
import { openLogFile } from './log-reader.ts';
import type { AuditLog } from './log.ts';

export const identityPath = (logPath: string): string => `${logPath}.identity`;

const signedText = (id: string): string => `{"log_id":"${id}"}`;

const IDENTITY = /^\{"log_id":"([0-9a-f]{64})","hmac":"([0-9a-f]{64})"\}\n?$/;

export interface LogIdentityOptions {
  /** The path of the log in the directory of its identity. */
  readonly path: string;
  readonly hash: ChainHash;
  readonly log: Pick<AuditLog, 'status' | 'sealed' | 'fileOf'>;
}

export class LogIdentity {
  readonly #options: LogIdentityOptions;
  #id: string | undefined;

  constructor(options: LogIdentityOptions) {
    this.#options = options;
  }

  /** The identity; undefined until the log has an entry, and when neither that nor the file is there. */
  get id(): string | undefined {
    return this.#id;
  }

  /**
   * Finds the identity, and keeps it in the file. To be called when the log has an entry.
   * @returns the finding, when the file says another
   * @throws whatever reading and writing the files throws
   */
  async establish(): Promise<Finding | undefined> {
    const { log } = this.#options;
    const [own, kept] = [await this.#ownId(), this.#keptId()];
    this.#id = own ?? kept?.id;
    if (own === undefined || kept?.id === own || log.status.state === 'damaged') return undefined;
    this.#keep(own);
    if (kept === undefined) return undefined;
    const detail =
      kept.fault ?? `this log is not the one that was here: that one's identity is ${kept.id}, its own ${own}`;
    return { name: 'log_is_another', detail };
  }

  /** Writes the file in one step, without a sync: until the first segment is archived the log says the same. */
  #keep(id: string): void {
    const { path, hash } = this.#options;
    const temporary = `${identityPath(path)}.new`;
    rmSync(temporary, { force: true });
    writeFileSync(temporary, identityText(id, hash), { mode: 0o640, flag: 'wx' });
    renameSync(temporary, identityPath(path));
  }

  /** The hash of entry 1; undefined when it is not in the log, or not as it was written. */
  async #ownId(): Promise<string | undefined> {
    const { log, hash } = this.#options;
    const { path, first } = log.fileOf(1);
    const file = first === 1 ? await openLogFile(path) : undefined;
    if (file === undefined) return undefined;
    try {
      for await (const [line] of readLines(file, 0, (await file.stat()).size)) {
        if (line === undefined || !line.whole) return undefined;
        const entry = parseGenuine(line.bytes.toString('utf8'), hash);
        return entry.data.seq === 1 ? entry.entry_hash : undefined;
      }
    } catch (error) {
      if (!(error instanceof EntryFault)) throw error;
    } finally {
      await file.close();
    }
    return undefined;
  }

  #keptId(): { readonly id?: string; readonly fault?: string } | undefined {
    return readIdentity(this.#options.path, this.#options.hash);
  }
}

/**
 * Reads the file with the identity of a log; undefined when it is not there.
 * @param path of the log in the directory of its identity
 */
export function readIdentity(
  path: string,
  hash: ChainHash,
): { readonly id?: string; readonly fault?: string } | undefined {
  const text = readSmallFile(identityPath(path));
  // A power cut may have left its name only.
  if (text === undefined || text === '') return undefined;
  const [, id, hmac] = IDENTITY.exec(text) ?? [];
  if (id !== undefined && hash.digest(signedText(id)) === hmac) return { id };
  return { fault: `${identityPath(path)} was not written by the recorder with this key` };
}

/**
 * Writes the identity of a log, durably.
 * @param path of the log in the directory of its identity
 */
export const writeIdentity = (path: string, id: string, hash: ChainHash): Promise<void> =>
  replaceFile(identityPath(path), identityText(id, hash));

const identityText = (id: string, hash: ChainHash): string =>
  `{"log_id":"${id}","hmac":"${hash.digest(signedText(id))}"}\n`;
