/** Adds silences, ends them, and lists them: see `domain/silence.ts`. */
import { CLASSES, SEVERITIES } from '../../machines/vocabulary.ts';
import type { AuditLog } from '../audit/log.ts';
import { type Clock, DAY, timestamp } from '../clock.ts';
import type { Caller } from '../domain/caller.ts';
import { isRunning, MOST_SILENCE_BYTES, MOST_SILENCES, type ShownSilence, shownSilence } from '../domain/silence.ts';
import type { SilenceMatchers, SilenceOnRecord } from '../domain/silence-terms.ts';
import { found, RecorderError } from '../errors.ts';
import type { Projections } from '../projections/projections.ts';
import { readSearch } from '../search/search-terms.ts';
import { KeyedLock } from './keyed-lock.ts';

/** For how long a silence may last from now on. */
const LONGEST = 366 * DAY;

/** A silence as somebody asks for it. Times are in milliseconds since the epoch. */
export interface NewSilence extends Partial<SilenceMatchers> {
  /** Now when it is not given. */
  readonly from?: number;
  readonly until: number;
  readonly reason: string;
}

export interface SilenceCommandsDependencies {
  readonly log: Pick<AuditLog, 'append'>;
  readonly projections: Pick<Projections, 'current' | 'attention' | 'silences'>;
  readonly clock: Clock;
  /** Random bytes, from a source that can't be guessed. */
  readonly random: (bytes: number) => Buffer;
}

export class SilenceCommands {
  readonly #dependencies: SilenceCommandsDependencies;
  readonly #turns = new KeyedLock();

  constructor(dependencies: SilenceCommandsDependencies) {
    this.#dependencies = dependencies;
  }

  /** All silences on record, the newest first. Others are answered between one and the next. */
  async list(): Promise<readonly ShownSilence[]> {
    const { projections, clock } = this.#dependencies;
    const now = clock.now();
    const shown: ShownSilence[] = [];
    for (const silence of projections.silences.all().toReversed()) {
      shown.push(this.#shown(silence, now));
      await new Promise(setImmediate);
    }
    return shown;
  }

  /**
   * Adds a silence.
   * @throws RecorderError `invalid_request`, which names the field; `limit_reached` when too many are pending or active;
   *   `log_unavailable` and the other errors of an append
   */
  add(asked: NewSilence, caller?: Caller): Promise<ShownSilence> {
    return this.#turns.run('silences', async () => {
      const { log, projections, clock } = this.#dependencies;
      const now = clock.now();
      const { class: classes = [], source = [], severity = [], q, from = now, until, reason } = asked;
      requireMatcher({ class: classes, source, severity, ...(q === undefined ? {} : { q }) });
      if (from < now - LONGEST) {
        const earliest = timestamp(now - LONGEST);
        throw new RecorderError('invalid_request', `from must be within a year: ${earliest} or later`);
      }
      if (until <= now) throw new RecorderError('invalid_request', 'until must be in the future');
      if (until <= from) throw new RecorderError('invalid_request', 'until must be later than from');
      if (until > now + LONGEST) {
        const latest = timestamp(now + LONGEST);
        throw new RecorderError('invalid_request', `until must be within a year: ${latest} or earlier`);
      }
      const running = projections
        .current()
        .allSilences()
        .filter((silence) => isRunning(silence, now));
      if (running.length >= MOST_SILENCES) {
        const message = `${MOST_SILENCES} silences are pending or active, and there may be no more: end one first`;
        throw new RecorderError('limit_reached', message, { fields: { limit: MOST_SILENCES } });
      }
      const data = {
        silence: this.#newId(now),
        class: classes,
        source,
        severity,
        ...(q === undefined ? {} : { q }),
        from: timestamp(from),
        until: timestamp(until),
        reason,
        ...caller,
      };
      if (Buffer.byteLength(JSON.stringify(data)) > MOST_SILENCE_BYTES) {
        const message = `source and reason are too long: a silence may take ${MOST_SILENCE_BYTES} bytes in the log`;
        throw new RecorderError('invalid_request', message);
      }
      await log.append([{ timestamp: timestamp(now), event: 'silence.added', data }]);
      return this.#shown(found(projections.current().silence(data.silence), 'silence'), now);
    });
  }

  /**
   * Ends a silence. One that is over stays as it is.
   * @throws RecorderError `not_found`, `log_unavailable` and the other errors of an append
   */
  end(id: string, reason?: string, caller?: Caller): Promise<ShownSilence> {
    return this.#turns.run('silences', async () => {
      const { log, projections, clock } = this.#dependencies;
      const now = clock.now();
      const silence = found(projections.current().silence(id), 'silence');
      if (!isRunning(silence, now)) return this.#shown(silence, now);
      const data = { silence: id, ...(reason === undefined ? {} : { reason }), ...caller };
      await log.append([{ timestamp: timestamp(now), event: 'silence.ended', data }]);
      return this.#shown(found(projections.current().silence(id), 'silence'), now);
    });
  }

  #shown(silence: SilenceOnRecord, now: number): ShownSilence {
    const matches = isRunning(silence, now) ? this.#dependencies.projections.attention.matches(silence, now) : 0;
    return shownSilence(silence, now, matches);
  }

  /** `SIL-20261122-18b8a401d3e8` and the like: the day, and twelve hexadecimal digits at random. */
  #newId(now: number): string {
    const { random, projections } = this.#dependencies;
    for (;;) {
      const id = `SIL-${timestamp(now).slice(0, 10).replaceAll('-', '')}-${random(6).toString('hex')}`;
      if (projections.current().silence(id) === undefined) return id;
    }
  }
}

/** @throws RecorderError `invalid_request` when it would match every incident, or for words that can't be searched */
function requireMatcher({ class: classes, source, severity, q }: SilenceMatchers): void {
  if (q !== undefined && readSearch(q).terms.length > 0) {
    const message = 'q of a silence takes words, and no terms such as evidence.ip:… or source:…';
    throw new RecorderError('invalid_request', message);
  }
  // All of them are as good as none.
  const isOfSomeClasses = classes.length > 0 && new Set(classes).size < CLASSES.length;
  const isOfSomeSeverities = severity.length > 0 && new Set(severity).size < SEVERITIES.length;
  if (isOfSomeClasses || source.length > 0 || isOfSomeSeverities || q !== undefined) return;
  const allowed = ['class', 'source', 'severity', 'q'];
  const message = `a silence needs at least one of ${allowed.join(', ')}: without any it would match every incident, as with all classes or all severities`;
  throw new RecorderError('invalid_request', message, { fields: { allowed } });
}
