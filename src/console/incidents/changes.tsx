import { signal } from '@preact/signals';
import { useEffect, useState } from 'preact/hooks';
import { counted, momentOf } from '../format.ts';
import { idOf, keyOfIncident } from '../incident-key.ts';
import { leftAt, markAsSeen } from '../last-seen.ts';
import { now } from '../now.ts';
import { read } from '../operator.ts';
import { Dialog, DialogBody, DialogFoot } from '../parts/dialog.tsx';
import { Verbatim } from '../parts/verbatim.tsx';
import { reasonOf, Refusal } from '../request.ts';
import { incidentFragment } from '../route.ts';
import { isFleet } from '../service.ts';

export const changesAreShown = signal(false);

/** One thing that was done, without delivery noise. */
export interface Change {
  readonly seq: number;
  /** RFC 3339 */
  readonly at: string;
  readonly event: string;
  readonly by?: string;
  readonly note?: string;
  /** The key of the incident that it was done to. */
  readonly incident?: string;
  /** At a fleet, where it was. */
  readonly machine?: string;
}

/** A page of changes, as the API gives it. */
interface ChangesPage {
  readonly changes: readonly {
    readonly machine?: string;
    readonly id: string;
    readonly events: readonly Omit<Change, 'machine' | 'incident'>[];
  }[];
  readonly others: readonly Omit<Change, 'incident'>[];
  /** The place of the next page. */
  readonly next?: number | string;
}

/** The most pages that are read: each takes some thousand entries of the log. */
const MOST_PAGES = 10;
const MOST_SHOWN = 500;

/** What changed since the person left, newest first, without what deliveries did. */
export const Changes = () => {
  const mark = leftAt.value;
  const [found, setFound] = useState<readonly Change[]>();
  const [fault, setFault] = useState<string>();
  useEffect(() => {
    if (mark === undefined) return undefined;
    const ends = new AbortController();
    readChanges(mark.place, ends.signal).then(setFound, (error: unknown) => {
      if (ends.signal.aborted) return;
      const isOlder = error instanceof Refusal && error.status === 404;
      setFault(isOlder ? 'This service does not say.' : reasonOf(error));
    });
    return () => ends.abort();
  }, [mark?.place]);
  const close = (): void => {
    changesAreShown.value = false;
  };
  return (
    <Dialog
      title={
        mark === undefined ? 'What changed' : `What changed since you left, ${momentOf(Date.parse(mark.at), now.value)}`
      }
      about="Without what deliveries did."
      onClose={close}
    >
      <DialogBody>
        {mark === undefined && <p class="muted">Everything up to now is marked as seen.</p>}
        {fault !== undefined && (
          <p class="error" role="alert">
            What changed could not be read: {fault}
          </p>
        )}
        {mark !== undefined && fault === undefined && found === undefined && <p class="muted">Reading…</p>}
        {found?.length === 0 && <p class="muted">Nothing.</p>}
        {found !== undefined && found.length > 0 && (
          <ol class="changes" tabIndex={0} aria-label={counted(found.length, 'change')}>
            {found.slice(0, MOST_SHOWN).map((change) => (
              <li key={`${change.machine} ${change.seq}`}>
                <time dateTime={change.at}>{momentOf(Date.parse(change.at), now.value)}</time>
                <span>
                  <code>{change.event}</code>
                  {change.by !== undefined && (
                    <>
                      {' by '}
                      <b>
                        <Verbatim text={change.by} />
                      </b>
                    </>
                  )}{' '}
                  {change.incident !== undefined && (
                    <a class="inline" href={incidentFragment(change.incident)} onClick={close}>
                      {idOf(change.incident)}
                    </a>
                  )}
                  {change.machine !== undefined && <span class="muted"> on {change.machine}</span>}
                  {change.note !== undefined && (
                    <span class="small muted">
                      <Verbatim text={change.note} longest={300} />
                    </span>
                  )}
                </span>
              </li>
            ))}
          </ol>
        )}
      </DialogBody>
      <DialogFoot>
        <button
          type="button"
          disabled={mark === undefined}
          onClick={() => {
            markAsSeen();
            close();
          }}
        >
          Mark as seen
        </button>
        <button type="button" class="primary" onClick={close}>
          Close
        </button>
      </DialogFoot>
    </Dialog>
  );
};

/** The changes after a place, newest first. @throws Refusal */
export const readChanges = async (after: string, ends: AbortSignal): Promise<readonly Change[]> => {
  const found: Change[] = [];
  let next: ChangesPage['next'] = after;
  for (let page = 0; next !== undefined && page < MOST_PAGES; page++) {
    const { body }: { readonly body: ChangesPage } = await read<ChangesPage>(
      `/api/v1/incidents/changes?after=${encodeURIComponent(next)}`,
      ends,
    );
    for (const { machine, id, events } of body.changes) {
      const of = { incident: keyOfIncident(id, machine), ...(machine !== undefined && { machine }) };
      found.push(...events.map((event) => ({ ...event, ...of })));
    }
    found.push(...body.others);
    ({ next } = body);
  }
  // The logs of a fleet have numbers of their own each.
  const newestFirst = (one: Change, other: Change): number =>
    (isFleet ? Date.parse(other.at) - Date.parse(one.at) : 0) || other.seq - one.seq;
  return found.toSorted(newestFirst);
};
