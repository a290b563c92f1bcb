import { isAboutIncident } from '../../domain/entries.ts';
import { effect, useSignal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import { health, healthAt, readHealth } from '../health.ts';
import { phraseOf } from '../incident/timeline.tsx';
import { epoch, head, isSettled, listen } from '../live-entries.ts';
import { CopyButton } from '../parts/copy-button.tsx';
import { Notice } from '../parts/notice.tsx';
import { AsOf, Moment } from '../parts/time.tsx';
import { reasonOf } from '../request.ts';
import { fragmentOf } from '../route.ts';
import { counted, grouped } from '../format.ts';
import { type LoggedLine, readRange } from './log-range.ts';
import { type RangeVerdict, verifyRange } from './verify-range.ts';

/** Entries in one read. */
const PAGE = 100;
/** The most entries on the page. */
const MOST_SHOWN = 5000;

/** The log itself: the head of its chain, what the service has verified, and verification in this browser. */
export const AuditView = () => {
  const lines = useSignal<readonly LoggedLine[]>([]);
  const fault = useSignal<string | undefined>(undefined);
  const isReading = useSignal(true);
  const abort = useMemo(() => new AbortController(), []);

  const readBefore = async (seq: number): Promise<void> => {
    isReading.value = true;
    try {
      const older = await readRange(Math.max(0, seq - 1 - PAGE), seq - 1, abort.signal);
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
        void readBefore(head.peek() + 1);
      }),
    ];
    return () => {
      for (const end of stop) end();
      abort.abort();
    };
  }, []);

  const first = lines.value[0]?.entry.data.seq ?? 1;
  return (
    <div class="page audit">
      <h1>Audit log</h1>
      <Chain lines={lines.value} />
      <Verification lines={lines.value} />
      <section aria-label="Entries">
        <h2>Entries</h2>
        {fault.value !== undefined && (
          <Notice kind="fault" title="The log could not be read">
            <p>{fault.value}</p>
            <button type="button" onClick={() => void readBefore(lines.peek()[0]?.entry.data.seq ?? head.peek() + 1)}>
              Try again
            </button>
          </Notice>
        )}
        {lines.value.length === 0 && fault.value === undefined && <Notice kind="busy" title="Reading the log…" />}
        <EntryTable lines={lines.value} />
        {first > 1 && lines.value.length > 0 && lines.value.length < MOST_SHOWN && (
          <button type="button" disabled={isReading.value} onClick={() => void readBefore(first)}>
            {isReading.value ? 'Reading…' : `Read ${Math.min(PAGE, first - 1)} older`}
          </button>
        )}
      </section>
    </div>
  );
};

interface LinesProps {
  /** Oldest first. */
  readonly lines: readonly LoggedLine[];
}

const Chain = ({ lines }: LinesProps) => {
  const known = health.value;
  if (known === undefined) return null;
  const { audit } = known;
  const last = lines.at(-1)?.entry;
  return (
    <section aria-label="Chain">
      <dl class="facts">
        <div>
          <dt>Head</dt>
          <dd>
            entry {grouped(head.value)}
            {last !== undefined && (
              <>
                {' · '}
                <code class="hash">{last.entry_hash}</code>
                <CopyButton text={() => `${last.data.seq}:${last.entry_hash}`} what="the head as an anchor" />
              </>
            )}
          </dd>
        </div>
        <div>
          <dt>Chain</dt>
          <dd>
            {audit.algorithm === 'sha256'
              ? 'SHA-256 without a key: shows accidents, not forgery'
              : 'HMAC-SHA256 under the audit key'}
          </dd>
        </div>
        <div>
          <dt>Verified by the service</dt>
          <dd>
            {audit.state === 'damaged' ? (
              <strong class="error">damaged{known.reasons !== undefined && `: ${known.reasons.join('; ')}`}</strong>
            ) : audit.verified_seq === null ? (
              'in progress'
            ) : (
              `at its start, up to entry ${grouped(audit.verified_seq)}; each later one when it was written`
            )}{' '}
            <button type="button" class="quiet" onClick={() => void readHealth().catch(() => {})}>
              Ask again
            </button>{' '}
            <span class="hint">
              <AsOf time={healthAt.value} />
            </span>
          </dd>
        </div>
        <div>
          <dt>Files</dt>
          <dd>
            {counted(audit.segments, 'file')}, {audit.segments === 1 ? '' : 'the last with '}
            {grouped(Math.ceil(audit.bytes / 1024))} KiB
          </dd>
        </div>
      </dl>
    </section>
  );
};

const Verification = ({ lines }: LinesProps) => {
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
        class="primary"
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

const EntryTable = ({ lines }: LinesProps) =>
  lines.length === 0 ? null : (
    <div class="scroll">
      <table class="entries">
        <thead>
          <tr>
            <th scope="col" class="number">
              seq
            </th>
            <th scope="col">Time</th>
            <th scope="col">What</th>
            <th scope="col">Incident</th>
            <th scope="col">Hash</th>
            <th scope="col">
              <span class="unseen">Copy</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {lines.toReversed().map(({ entry, line }) => (
            <tr key={entry.data.seq}>
              <td class="number">{entry.data.seq}</td>
              <td>
                <Moment at={entry.timestamp} />
              </td>
              <td>{phraseOf(entry)}</td>
              <td>
                {isAboutIncident(entry) && (
                  <a href={fragmentOf({ view: 'incidents', id: entry.data.incident, query: '' })}>
                    <code>{entry.data.incident}</code>
                  </a>
                )}
              </td>
              <td>
                <code title={entry.entry_hash}>{entry.entry_hash.slice(0, 16)}…</code>
              </td>
              <td>
                <CopyButton text={() => line} what={`entry ${entry.data.seq}`} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
