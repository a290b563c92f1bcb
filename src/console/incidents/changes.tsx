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

/** One change as the API gives it: an entry of the log without delivery noise. */
export interface Change {
  readonly seq: number;
  readonly timestamp: string;
  readonly event: string;
  readonly incident?: string;
  readonly class?: string;
  readonly severity?: string;
  readonly by?: string;
  readonly role?: string;
  readonly note?: string;
  readonly [member: string]: unknown;
}

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
                <time dateTime={change.timestamp}>{momentOf(Date.parse(change.timestamp), now.value)}</time>
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
  const { body } = await read<readonly Change[] | { readonly changes: readonly Change[] }>(
    `/api/v1/incidents/changes?after=${after}`,
    ends,
  );
  return ('changes' in body ? body.changes : body).toReversed();
};
