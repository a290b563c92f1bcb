import { signal } from '@preact/signals';
import { useEffect, useState } from 'preact/hooks';
import { counted, momentOf } from '../format.ts';
import { leftAt, markAsSeen } from '../last-seen.ts';
import { now } from '../now.ts';
import { read } from '../operator.ts';
import { Dialog, DialogBody, DialogFoot } from '../parts/dialog.tsx';
import { Verbatim } from '../parts/verbatim.tsx';
import { reasonOf, Refusal } from '../request.ts';
import { incidentFragment } from '../route.ts';

export const changesAreShown = signal(false);

/** One thing that was done, without delivery noise. */
export interface Change {
  readonly seq: number;
  /** RFC 3339 */
  readonly at: string;
  readonly event: string;
  readonly by?: string;
  readonly note?: string;
  /** The incident that it was done to. */
  readonly incident?: string;
}

/** A page of changes, as the API gives it. */
interface ChangesPage {
  readonly changes: readonly { readonly id: string; readonly events: readonly Change[] }[];
  readonly others: readonly Change[];
  readonly next?: number;
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
    readChanges(mark.seq, ends.signal).then(setFound, (error: unknown) => {
      if (ends.signal.aborted) return;
      const isOlder = error instanceof Refusal && error.status === 404;
      setFault(isOlder ? 'This service does not say.' : reasonOf(error));
    });
    return () => ends.abort();
  }, [mark?.seq]);
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
              <li key={change.seq}>
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
                      {change.incident}
                    </a>
                  )}
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

/** The changes after an entry, newest first. @throws Refusal */
export const readChanges = async (after: number, ends: AbortSignal): Promise<readonly Change[]> => {
  const found: Change[] = [];
  let next: number | undefined = after;
  for (let page = 0; next !== undefined && page < MOST_PAGES; page++) {
    const { body }: { readonly body: ChangesPage } = await read<ChangesPage>(
      `/api/v1/incidents/changes?after=${next}`,
      ends,
    );
    for (const { id, events } of body.changes) found.push(...events.map((event) => ({ ...event, incident: id })));
    found.push(...body.others);
    next = body.next;
  }
  return found.toSorted((one, other) => other.seq - one.seq);
};
