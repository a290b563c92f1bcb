import { counted } from '../format.ts';
import { keyOfIncident } from '../incident-key.ts';
import { readBulkAct } from '../incidents/send-bulk.ts';
import { Dialog, DialogBody, DialogFoot } from '../parts/dialog.tsx';
import { Verbatim } from '../parts/verbatim.tsx';
import { fragmentOf } from '../route.ts';
import { ActProgress } from './act-progress.tsx';
import { CommandFate } from './command-fate.tsx';
import { useAct } from './use-act.ts';

/** How many incidents are shown: those that were refused or wait first. */
const MOST_SHOWN = 500;
const RANK = { refused: 0, expired: 1, pending: 2, left: 3, done: 4 } as const;

/** What became of a command on many incidents, one by one, read again until no machine is waited for. */
export const BulkActDialog = ({ act, onClose }: { readonly act: string; readonly onClose: () => void }) => {
  const { known, fault } = useAct(act, readBulkAct);
  const incidents = (known?.incidents ?? []).toSorted((one, other) => RANK[one.status] - RANK[other.status]);
  return (
    <Dialog title="On many incidents" about={<code>{act}</code>} onClose={onClose}>
      <div>
        <DialogBody>
          {fault !== undefined && (
            <p class="error" role="alert">
              {fault}
            </p>
          )}
          {known === undefined && fault === undefined && <p class="muted">Reading…</p>}
          {known !== undefined && (
            <>
              <p>
                <code>{known.command}</code> {counted(known.count, 'incident')}, by {known.by}
                {known.note !== null && (
                  <>
                    : “<Verbatim text={known.note} longest={300} />”
                  </>
                )}
              </p>
              <p role="status" class="strong">
                <ActProgress of={known} />
              </p>
              <progress
                max={known.count}
                value={known.count - known.pending - known.left}
                aria-label="Incidents whose machine has answered"
              />
              <ul class="by-label">
                {incidents.slice(0, MOST_SHOWN).map(({ machine, id, status, reason }) => (
                  <li key={keyOfIncident(id, machine)}>
                    {status === 'left' ? <span class="muted">Not given</span> : <CommandFate status={status} />}
                    <a
                      href={fragmentOf({ view: 'incidents', id: keyOfIncident(id, machine), query: '' })}
                      onClick={onClose}
                    >
                      {machine}
                    </a>
                    <span class="small muted">
                      <code>{id}</code> {reason !== null && <Verbatim text={reason} longest={200} />}
                    </span>
                  </li>
                ))}
              </ul>
            </>
          )}
        </DialogBody>
        <DialogFoot says="It goes on when this is closed: see Commands.">
          <button type="button" class="primary" onClick={onClose}>
            Close
          </button>
        </DialogFoot>
      </div>
    </Dialog>
  );
};
