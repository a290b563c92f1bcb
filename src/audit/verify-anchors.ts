/**
 * Compares a log with its anchors: those that it records, and notes that were kept elsewhere.
 *
 * Whoever has the key can write another past that verifies. It does not have the entries and the roots that somebody else
 * has signed before.
 */
import { readAnchor } from '../anchor.ts';
import { type LogAnchoredData, readEntry, type StoredEntry } from '../domain/entries.ts';
import { RecorderError } from '../errors.ts';
import type { Verifier } from '../signed-note.ts';
import { CompactRange } from './compact-range.ts';
import { readEntryLine } from './entry-line.ts';
import type { Head } from './entry.ts';
import { readLines } from './lines.ts';
import { openLogFile } from './log-reader.ts';

/** What an anchor says, and where it was found. */
interface FoundAnchor {
  readonly place: string;
  readonly log: string;
  readonly seq: number;
  readonly hash: string;
  readonly root: string;
  readonly time: string;
  readonly range?: readonly string[] | undefined;
}

export interface AnchorsVerified {
  /** How many agree with the log, and of how many of these also the root over all entries was computed. */
  readonly agree: number;
  readonly roots: number;
  /** How many are about entries that are not in these files. */
  readonly archived: number;
  readonly signatures: 'verified' | 'not checked';
  /** The last one that agrees. */
  readonly last?: { readonly seq: number; readonly time: string };
}

/** A signed note in a text: lines, an empty line, and lines that begin with a dash. */
const NOTE = /(?:^[^\n]+\n)+\n(?:^\u2014 [^\n]+\n)+/gm;

export class AnchorVerification {
  readonly #verifiers: readonly Verifier[];
  readonly #anchors: FoundAnchor[] = [];
  #next = 0;
  #range: CompactRange | undefined = CompactRange.empty();
  #first: number | undefined;
  #identity: string | undefined;
  #fault: string | undefined;
  #agree = 0;
  #roots = 0;
  #archived = 0;
  #last: AnchorsVerified['last'];

  /** @param verifiers the keys that may have signed; without any, signatures are not checked */
  constructor(verifiers: readonly Verifier[]) {
    this.#verifiers = verifiers;
  }

  /**
   * Takes the notes in a text.
   * @param name of the text, for what is found wrong
   * @returns how many there are
   * @throws RecorderError `invalid_request` for one that none of the keys has signed, and for a part of one
   */
  addNotes(name: string, text: string): number {
    // The line feed at the end is easily lost, and with it the last note, which says most.
    const whole = text.endsWith('\n') ? text : `${text}\n`;
    const notes = whole.match(NOTE) ?? [];
    if (/^\u2014 /m.test(whole.replaceAll(NOTE, '\n')))
      throw new RecorderError('invalid_request', `${name} has a line of a signature that belongs to no note`);
    for (const [at, note] of notes.entries()) {
      const place = `note ${at + 1} of ${name}`;
      try {
        this.#anchors.push({ ...readAnchor(note, this.#verifiers), place });
      } catch (error) {
        if (!(error instanceof RecorderError)) throw error;
        throw new RecorderError(error.code, `${place}: ${error.message}`, { cause: error });
      }
    }
    return notes.length;
  }

  /** Finds the anchors that the files of a log record. To be called before the log is verified. */
  async addRecorded(files: readonly string[]): Promise<void> {
    for (const path of files) {
      const file = await openLogFile(path);
      if (file === undefined) continue;
      try {
        for await (const lines of readLines(file, 0, (await file.stat()).size)) {
          for (const line of lines) {
            if (!line.whole || readEntryLine(line)?.event !== 'log.anchored') continue;
            const { data } = readEntry(line.bytes.toString('utf8'));
            this.#addRecorded(data as LogAnchoredData & { readonly seq: number });
          }
        }
      } catch (error) {
        // A line that is none: verification finds it.
        if (!(error instanceof SyntaxError)) throw error;
      } finally {
        await file.close();
      }
    }
  }

  #addRecorded({
    seq,
    log_id,
    anchored_seq,
    hash,
    root,
    time,
    range,
    anchor,
  }: LogAnchoredData & { seq: number }): void {
    const recorded = { log: log_id, seq: anchored_seq, hash, root, time };
    const place = `the anchor in entry ${seq}`;
    if (this.#verifiers.length > 0) {
      try {
        const signed = readAnchor(anchor, this.#verifiers);
        const differs = (Object.keys(recorded) as (keyof typeof recorded)[]).find(
          (name) => signed[name] !== recorded[name],
        );
        if (differs !== undefined) this.#fault ??= `${place}: its ${differs} is another than was signed`;
      } catch (error) {
        if (!(error instanceof RecorderError)) throw error;
        this.#fault ??= `${place}: ${error.message}`;
      }
    }
    this.#anchors.push({ ...recorded, place, range });
  }

  /** Takes the next valid entries of the log. */
  take(entries: readonly StoredEntry[]): void {
    if (this.#first === undefined) this.#begin(entries[0]?.data.seq ?? 1);
    for (const { data, entry_hash: hash } of entries) {
      const { seq } = data;
      if (seq === 1) this.#identity = hash;
      if (this.#range?.size === seq - 1) this.#range.append(Buffer.from(hash, 'hex'));
      else this.#range = undefined;
      for (let due = this.#anchors[this.#next]; due !== undefined && due.seq <= seq; due = this.#anchors[this.#next]) {
        this.#next += 1;
        if (due.seq < seq) this.#archived += 1;
        else this.#compare(due, hash);
      }
    }
  }

  /** What is wrong, once all entries are taken; undefined when all anchors agree. @param head the end of the log */
  faultAt(head: Head): string | undefined {
    const beyond = this.#anchors.slice(this.#next).at(-1);
    if (this.#fault !== undefined || beyond === undefined) return this.#fault;
    return `${beyond.place} is of entry ${beyond.seq}, and the log ends after entry ${head.entries}: it was rolled back`;
  }

  get result(): AnchorsVerified {
    return {
      agree: this.#agree,
      roots: this.#roots,
      archived: this.#archived,
      signatures: this.#verifiers.length === 0 ? 'not checked' : 'verified',
      ...(this.#last === undefined ? {} : { last: this.#last }),
    };
  }

  #begin(first: number): void {
    this.#first = first;
    this.#anchors.sort((one, other) => one.seq - other.seq);
  }

  #compare({ place, log, seq, hash, root, time, range }: FoundAnchor, own: string): void {
    if (this.#identity !== undefined && log !== this.#identity) {
      this.#fault ??= `${place} is about the log ${log}, and this one is ${this.#identity}`;
    } else if (own !== hash) {
      this.#fault ??= `entry ${seq} is another than ${place} says: the log was rewritten`;
    } else if (this.#range !== undefined && this.#range.root().toString('hex') !== root) {
      this.#fault ??= `the entries before ${seq} are others than ${place} says: the log was rewritten`;
    } else {
      this.#agree += 1;
      this.#last = { seq, time };
      if (this.#range !== undefined) this.#roots += 1;
      else this.#goOnFrom(seq, root, range);
    }
  }

  /** Where the beginning of the log is archived, roots are computed from what an anchor that agrees has recorded. */
  #goOnFrom(seq: number, root: string, hashes: readonly string[] | undefined): void {
    const range = hashes === undefined ? undefined : CompactRange.read({ size: seq, hashes });
    if (range?.root().toString('hex') === root) this.#range = range;
  }
}
