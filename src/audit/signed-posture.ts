/**
 * The signed posture: `<log>.posture` says how many incidents held each action after an entry of the log, under the
 * key.
 *
 * The database says that as well, but whoever can write in its directory can edit it. So after a start "not in force"
 * may be believed when this file and the entries behind it lead to what the database says. Without a key everybody
 * could sign: then there is no such file.
 */
import { readSmallFile } from './small-file.ts';
import { ACTIONS, type ContainmentAction } from '../../machines/vocabulary.ts';
import { replaceFile } from '../durable-file.ts';
import type { ChainHash } from './chain-hash.ts';
import type { Head } from './entry.ts';

export const posturePath = (logPath: string): string => `${logPath}.posture`;

/** How many unresolved incidents hold each action. */
export type Holders = Readonly<Record<ContainmentAction, number>>;

export interface SignedPosture {
  /** The last entry that it counts. */
  readonly head: Head;
  readonly holders: Holders;
}

/** What was read: a posture, no file (neither field), or a file that the recorder has not written (`fault`). */
interface PostureReading {
  readonly signed?: SignedPosture;
  readonly fault?: string;
}

const POSTURE =
  /^\{"seq":(\d{1,15}),"last_hash":"([0-9a-f]{64}|)","holders":(\{[^{}]{0,1024}\}),"hmac":"([0-9a-f]{64})"\}\n?$/;

function signedText({ head, holders }: SignedPosture): string {
  const counts = Object.fromEntries(ACTIONS.map((action) => [action, holders[action]]));
  return `{"seq":${head.entries},"last_hash":"${head.hash}","holders":${JSON.stringify(counts)}}`;
}

/** Reads the signed posture of a log. @throws the file system's error, unless the file does not exist */
export function readPosture(logPath: string, hash: ChainHash): PostureReading {
  const path = posturePath(logPath);
  const text = readSmallFile(path);
  if (text === undefined) return {};
  const fault = `${path} was not written by the recorder with this key`;
  const [, seq, last, counts = '', hmac] = POSTURE.exec(text) ?? [];
  if (seq === undefined || last === undefined) return { fault };
  if (hash.digest(`{"seq":${seq},"last_hash":"${last}","holders":${counts}}`) !== hmac) return { fault };
  // What is signed is JSON. A file of another version may lack an action: it proves nothing about that one.
  const holders = JSON.parse(counts) as Partial<Holders>;
  if (!ACTIONS.every((action) => Number.isSafeInteger(holders[action]))) return {};
  return { signed: { head: { entries: Number(seq), hash: last }, holders: holders as Holders } };
}

/**
 * After so many entries it is written again although no count has changed: those behind it are read at the next start.
 */
const MOST_BEHIND = 250;

/** Writes the posture of a growing log. */
export class PostureSigner {
  readonly #logPath: string;
  readonly #hash: ChainHash;
  readonly #holdersAt: (head: Head) => Holders | undefined;
  #written: SignedPosture | undefined;

  /** @param holdersAt says how many hold each action after an entry; undefined when that is not proved, or not known */
  constructor(logPath: string, hash: ChainHash, holdersAt: (head: Head) => Holders | undefined) {
    this.#logPath = logPath;
    this.#hash = hash;
    this.#holdersAt = holdersAt;
  }

  /**
   * Writes the posture after the log's last entry, when that is worth it.
   * @param head the last entry of the log in this turn of the event loop
   * @returns undefined when there is nothing to write
   */
  sign(head: Head): Promise<void> | undefined {
    if (!this.#hash.keyed) return undefined;
    const holders = this.#holdersAt(head);
    if (holders === undefined || this.#isWritten(head, holders)) return undefined;
    return this.#write({ head, holders });
  }

  #isWritten({ entries }: Head, holders: Holders): boolean {
    const known = this.#written;
    if (known === undefined || entries - known.head.entries >= MOST_BEHIND) return false;
    return ACTIONS.every((action) => known.holders[action] === holders[action]);
  }

  async #write(signed: SignedPosture): Promise<void> {
    const text = signedText(signed);
    await replaceFile(posturePath(this.#logPath), `${text.slice(0, -1)},"hmac":"${this.#hash.digest(text)}"}\n`);
    this.#written = signed;
  }
}
