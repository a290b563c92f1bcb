import { effect, useSignal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import { health, healthAt, readHealth } from '../health.ts';
import { epoch, head, isSettled, listen } from '../live-entries.ts';
import { useActs } from '../keyboard.ts';
import { CopyButton } from '../parts/copy-button.tsx';
import { ContainmentMark } from '../parts/marks.tsx';
import { Notice } from '../parts/notice.tsx';
import { AsOf } from '../parts/time.tsx';
import { reasonOf } from '../request.ts';
import { route } from '../route.ts';
import { counted, grouped } from '../format.ts';
import { AuditFilter } from './audit-filter.tsx';
import { auditLines, doerOf, isFiltered, isNoise, readAuditFilters } from './audit-lines.ts';
import { EntryRows } from './entry-rows.tsx';
import { type LoggedLine, readRange } from './log-range.ts';
import { type RangeVerdict, verifyRange } from './verify-range.ts';

/** Entries in one read: the first, and further ones of somebody who looks for something. */
const PAGE = 100;
const FAR = 500;
/** The most entries on the page. */
const MOST_SHOWN = 5000;
/** Lines of the table at first, and that one click adds. */
const AT_A_TIME = 300;
/** Fewer lines than this that match: older entries are read by themselves, down to so many. */
const FEW = 30;
const LOOKED_AT = 2000;
const MOST_PEOPLE = 50;

/** The log itself: the head of its chain, what the service has verified, and verification in this browser. */
export const AuditView = () => {
  const lines = useSignal<readonly LoggedLine[]>([]);
  const fault = useSignal<string | undefined>(undefined);
  const isReading = useSignal(true);
  const unfolded = useSignal<ReadonlySet<string>>(new Set());
  const shown = useSignal(AT_A_TIME);
  const abort = useMemo(() => new AbortController(), []);
  const { query } = route.value;
  const filters = useMemo(() => readAuditFilters(query), [query]);

  const readBefore = async (seq: number, count: number): Promise<void> => {
    isReading.value = true;
    try {
      const older = await readRange(Math.max(0, seq - 1 - count), seq - 1, abort.signal);
      const before = lines.peek().filter(({ entry }) => entry.data.seq >= seq);
      lines.value = [...older, ...before];
      fault.value = undefined;
    } catch (error) {
      if (!abort.signal.aborted) fault.value = reasonOf(error);
    } finally {
      isReading.value = false;
    }
  };

  useEffect(() => {
    const stop = [
      listen((entry, line) => {
        lines.value = [...lines.peek(), { entry, line }].slice(-MOST_SHOWN);
      }),
      effect(() => {
        void epoch.value;
        if (!isSettled.value) return;
        lines.value = [];
        void readHealth().catch(() => {});
        void readBefore(head.peek() + 1, PAGE);
      }),
    ];
    return () => {
      for (const end of stop) end();
      abort.abort();
    };
  }, []);

  const all = useMemo(() => auditLines(lines.value, filters, unfolded.value), [lines.value, filters, unfolded.value]);
  const first = lines.value[0]?.entry.data.seq ?? 1;
  const matching = all.reduce(
    (sum, line) => sum + (line.kind === 'noise' ? 0 : line.kind === 'entry' ? 1 : line.all.length),
    0,
  );
  const mayReadOlder = first > 1 && lines.value.length > 0 && lines.value.length < MOST_SHOWN;
  // Nobody need page through what does not match, or through hidden deliveries.
  const isLooking = all.length < FEW && mayReadOlder && lines.value.length < LOOKED_AT;
  useEffect(() => {
    if (isLooking && !isReading.peek() && fault.peek() === undefined) void readBefore(first, FAR);
  }, [isLooking, first, isReading.value]);
  const noise = useMemo(() => lines.value.filter(({ entry }) => isNoise(entry)).length, [lines.value]);
  const people = useMemo(
    () => [...new Set(lines.value.map(({ entry }) => doerOf(entry)).flatMap((one) => (one.isPerson ? one.name : [])))],
    [lines.value],
  );
  const move = (by: 1 | -1) => (): void => {
    const stops = [...document.querySelectorAll<HTMLElement>('.entries .seq')];
    const at = stops.indexOf(document.activeElement as HTMLElement);
    (stops[at === -1 ? (by === 1 ? 0 : stops.length - 1) : at + by] ?? stops[at])?.focus();
  };
  useActs({ next: move(1), previous: move(-1) });
  return (
    <div class="audit">
      <h1 class="unseen">Audit log</h1>
      <div class="strip">
        <Chain lines={lines.value} />
        <Verification lines={lines.value} />
      </div>
      <AuditFilter filters={filters} noise={noise} people={people.slice(0, MOST_PEOPLE)} />
      <section class="entries-place" aria-label="Entries" tabIndex={0}>
        {fault.value !== undefined && (
          <Notice kind="fault" title="The log could not be read">
            <p>{fault.value}</p>
            <button
              type="button"
              onClick={() => void readBefore(lines.peek()[0]?.entry.data.seq ?? head.peek() + 1, PAGE)}
            >
              Try again
            </button>
          </Notice>
        )}
        {lines.value.length === 0 && fault.value === undefined && <Notice kind="busy" title="Reading the log…" />}
        {lines.value.length > 0 && all.length === 0 && (
          <Notice kind="empty" title={isLooking ? 'Looking further back…' : 'No entry matches'}>
            <p>
              Entries {grouped(first)} to {grouped(head.value)} were looked at.
            </p>
          </Notice>
        )}
        {all.length > 0 && (
          <EntryRows
            lines={all.slice(0, shown.value)}
            onUnfold={(key) => (unfolded.value = new Set([...unfolded.value, key]))}
          />
        )}
        <p class="older">
          {all.length > shown.value && (
            <button type="button" class="sm" onClick={() => (shown.value += AT_A_TIME)}>
              Show more
            </button>
          )}
          {mayReadOlder && (
            <button
              type="button"
              class="sm"
              disabled={isReading.value}
              onClick={() => void readBefore(first, isFiltered(filters) ? FAR : PAGE)}
            >
              {isReading.value ? 'Reading…' : `Read ${Math.min(isFiltered(filters) ? FAR : PAGE, first - 1)} older`}
            </button>
          )}
        </p>
      </section>
      <footer class="audit-foot small">
        <span role="status">
          <b>
            {grouped(matching)} of {counted(head.value, 'entry', 'entries')}
          </b>
          {lines.value.length > 0 && `, of ${grouped(first)} to ${grouped(lines.value.at(-1)!.entry.data.seq)}`}
          {!filters.noise && noise > 0 && ` · ${counted(noise, 'delivery entry', 'delivery entries')} hidden`}
        </span>
        <span class="end muted">
          <span>Rows of people are tinted</span>
          <span>
            <kbd>j</kbd> <kbd>k</kbd> move
          </span>
          <span>
            <kbd>Enter</kbd> whole entry
          </span>
          <span>
            <kbd>d</kbd> delivery entries
          </span>
        </span>
      </footer>
    </div>
  );
};

interface LinesProps {
  /** Oldest first. */
  readonly lines: readonly LoggedLine[];
}

/** How far the service has verified the chain, how it is chained, and where it ends. */
const Chain = ({ lines }: LinesProps) => {
  const known = health.value;
  if (known?.audit === undefined) return null;
  const { audit } = known;
  const last = lines.at(-1)?.entry;
  const isDamaged = audit.state === 'damaged';
  const isVerified = audit.verified_seq !== null;
  return (
    <section class="chain" aria-label="Chain">
      <span>
        <ContainmentMark look={isDamaged ? 'overdue' : isVerified ? 'done' : 'unknown'}>
          {isDamaged
            ? 'Damaged'
            : !isVerified
              ? 'Being verified'
              : audit.verified_seq === 0
                ? 'Verified'
                : `Verified up to ${grouped(audit.verified_seq ?? 0)}`}
        </ContainmentMark>{' '}
        <span class="small muted">
          {isDamaged
            ? known.reasons !== undefined && known.reasons.join('; ')
            : audit.verified_seq === 0
              ? 'by the service, each as it was written'
              : 'by the service when it started; each later one as it was written'}
          , <AsOf time={healthAt.value} />
        </span>
        <button type="button" class="quiet sm" onClick={() => void readHealth().catch(() => {})}>
          Ask again
        </button>
      </span>
      <span class="small muted">
        {last !== undefined && (
          <>
            Head {grouped(head.value)}{' '}
            <code class="hash" title={last.entry_hash}>
              {last.entry_hash.slice(0, 12)}…
            </code>
            <CopyButton text={() => `${last.data.seq}:${last.entry_hash}`} what="the head as an anchor" />
          </>
        )}
      </span>
      <span class="small muted">
        {audit.algorithm === 'sha256'
          ? 'SHA-256 without a key: shows accidents, not forgery'
          : 'HMAC-SHA256 under the audit key'}
      </span>
      <span class="small muted">
        {counted(audit.segments, 'file')}, {audit.segments === 1 ? '' : 'the last with '}
        {grouped(Math.ceil(audit.bytes / 1024))} KiB
      </span>
    </section>
  );
};

export const Verification = ({ lines }: LinesProps) => {
  const verdict = useSignal<RangeVerdict | undefined>(undefined);
  const isUnderWay = useSignal(false);
  const verify = async (): Promise<void> => {
    isUnderWay.value = true;
    verdict.value = await verifyRange(lines);
    isUnderWay.value = false;
  };
  return (
    <section aria-label="Verification in this browser" class="verification">
      <button
        type="button"
        class="sm"
        title="Computes the hashes of what is on this page, or checks that they are linked, in this browser"
        disabled={lines.length === 0 || isUnderWay.value}
        onClick={() => void verify()}
      >
        {lines.length === 0
          ? 'Verify here'
          : lines.length === 1
            ? 'Verify this entry here'
            : `Verify these ${grouped(lines.length)} entries here`}
      </button>
      <div role="status">{verdict.value !== undefined && <Verdict verdict={verdict.value} />}</div>
    </section>
  );
};

const Verdict = ({ verdict: { first, last, proves, isWithheld, damage } }: { readonly verdict: RangeVerdict }) => {
  if (damage !== undefined) {
    return (
      <p class="verdict bad">
        <strong>Not valid:</strong> entry {damage.seq}: {damage.reason}.
      </p>
    );
  }
  return (
    <p class="verdict good">
      <strong>
        {first === last
          ? `Entry ${grouped(first)} ${proves === 'hashes' ? 'is valid' : 'stands alone: there is no link to check'}.`
          : `Entries ${grouped(first)} to ${grouped(last)} ${proves === 'hashes' ? 'are valid' : 'are linked without a gap'}.`}
      </strong>{' '}
      {proves === 'hashes'
        ? 'This browser has computed each hash from the contents of the entry.'
        : isWithheld
          ? 'Something of these entries is withheld, such as answers of services without the token, so their hashes can’t be computed here: use “incident-recorder verify”.'
          : 'Only the audit key shows whether the hashes match the contents, and browsers must not have it: use “incident-recorder verify”.'}
    </p>
  );
};
