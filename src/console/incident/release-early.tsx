/** Releasing one action early, while its incident stays: asks for the reason, and says what follows before it is done. */
import { useEffect, useState } from 'preact/hooks';
import type { TargetedSubmitEvent } from 'preact';
import type { ContainmentAction, Role } from '../../../machines/vocabulary.ts';
import { counted } from '../format.ts';
import { obstacleFor } from '../identity.ts';
import { queryOfIncident } from '../incident-key.ts';
import { announce } from '../live-region.ts';
import { isOld } from '../live-entries.ts';
import { NotSent, perform, read } from '../operator.ts';
import { Choice, Dialog, DialogBody, DialogFoot } from '../parts/dialog.tsx';
import { ContainmentShape, SeverityMark } from '../parts/marks.tsx';
import { Verbatim, VerbatimLine } from '../parts/verbatim.tsx';
import { reasonOf } from '../request.ts';
import type { HolderGroup } from '../../projections/holder-groups.ts';

const LONGEST_REASON = 4096;

interface ReleaseEarlyProps {
  /** The actions to choose from; the first is chosen. */
  readonly actions: readonly ContainmentAction[];
  /** The incident that holds them. */
  readonly id?: string;
  /** Where no incident is given: who holds the action, and how many they are. */
  readonly groups?: readonly HolderGroup[];
  readonly holders?: number;
  /** The roles that may. */
  readonly roles: readonly Role[];
  readonly onClose: () => void;
}

interface Known {
  readonly actions: readonly {
    readonly action: ContainmentAction;
    readonly holders: number;
    readonly others: number;
  }[];
}

/** How many other incidents hold the action; undefined while that is not known. */
const useOthers = (id: string | undefined, action: ContainmentAction): number | undefined => {
  const [others, setOthers] = useState<number>();
  useEffect(() => {
    setOthers(undefined);
    if (id === undefined) return undefined;
    const ends = new AbortController();
    const path = `/api/v1/containment/preview?${queryOfIncident(id)}&command=release&action=${action}`;
    read<Known>(path, ends.signal).then(
      ({ body }) => setOthers(body.actions.find((one) => one.action === action)?.others),
      () => {},
    );
    return () => ends.abort();
  }, [id, action]);
  return others;
};

export const ReleaseEarly = ({ actions, id, groups = [], holders = 0, roles, onClose }: ReleaseEarlyProps) => {
  const [action, setAction] = useState(actions[0]!);
  const [chosen, choose] = useState<ReadonlySet<number>>(new Set(groups.length === 1 ? [0] : []));
  const [reason, setReason] = useState('');
  const [done, setDone] = useState(0);
  const [isUnderWay, setUnderWay] = useState(false);
  const [refusal, setRefusal] = useState<string>();
  const others = useOthers(id, action);
  const ids = id === undefined ? groups.flatMap((group, index) => (chosen.has(index) ? group.ids : [])) : [id];
  const stays = id === undefined ? holders - ids.length : others;
  const obstacle = isOld.value
    ? 'can’t be given: what is shown may have changed since the service was heard'
    : obstacleFor(roles);

  const start = async (event: TargetedSubmitEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault();
    if (obstacle !== undefined || isUnderWay || reason.trim() === '' || ids.length === 0) return;
    setUnderWay(true);
    setRefusal(undefined);
    try {
      for (const [index, one] of ids.slice(done).entries()) {
        await perform('/api/v1/containment/release', { id: one, action, reason: reason.trim() });
        setDone(done + index + 1);
      }
      announce(`Released ${action} early for ${counted(ids.length, 'incident')}`);
      onClose();
    } catch (error) {
      setRefusal(error instanceof NotSent ? 'Nothing was sent: it needs a token.' : reasonOf(error));
      setUnderWay(false);
    }
  };
  return (
    <Dialog
      title={id === undefined ? `Release ${action} early?` : 'Release one action early?'}
      about={id === undefined ? undefined : <code>{id}</code>}
      onClose={onClose}
    >
      <form onSubmit={(event) => void start(event)}>
        <DialogBody>
          {actions.length > 1 && (
            <Choice
              label="Which"
              options={actions.map((name) => [name, name] as const)}
              value={action}
              disabled={isUnderWay}
              onChoose={setAction}
            />
          )}
          {id === undefined && (
            <fieldset class="holders-choice" disabled={isUnderWay || done > 0}>
              <legend>For whom</legend>
              {groups.map((group, index) => (
                <label key={`${group.class} ${group.source}`} class="tick-line">
                  <input
                    type="checkbox"
                    checked={chosen.has(index)}
                    onChange={() => {
                      const next = new Set(chosen);
                      if (!next.delete(index)) next.add(index);
                      choose(next);
                    }}
                  />
                  <SeverityMark severity={group.severity} />
                  <code>{group.class}</code>
                  <span class="from">
                    from <VerbatimLine text={group.source} />
                  </span>
                  <span class="muted">
                    {group.ids.length < group.count ? `the oldest ${group.ids.length} of ${group.count}` : group.count}
                  </span>
                </label>
              ))}
            </fieldset>
          )}
          <ul class="effects">
            <li class={stays === 0 ? 'lets' : ''}>
              <ContainmentShape look={stays === 0 ? 'released' : 'done'} />
              <code class="strong">{action}</code>
              <span>
                <Follows stays={stays} chosen={ids.length} />
              </span>
            </li>
          </ul>
          <label>
            Reason, for the log
            <textarea
              autofocus
              rows={3}
              required
              maxLength={LONGEST_REASON}
              placeholder="Why it must end before the incident does"
              value={reason}
              disabled={isUnderWay}
              onInput={({ currentTarget }) => setReason(currentTarget.value)}
              onKeyDown={(event) => {
                if (event.key === 'Enter' && (event.ctrlKey || event.metaKey))
                  event.currentTarget.form?.requestSubmit();
              }}
            />
          </label>
          {refusal !== undefined && (
            <p class="error" role="alert">
              {done > 0 && `Released for ${done} of ${ids.length}. `}
              <Verbatim text={refusal} longest={300} />
            </p>
          )}
          {obstacle !== undefined && (
            <p class="error" role="alert">
              This {obstacle}.
            </p>
          )}
        </DialogBody>
        <DialogFoot says="The incident stays, and so do its other actions. Reported again, it may ask for this one again.">
          <button type="button" onClick={onClose}>
            Cancel <kbd aria-hidden="true">Esc</kbd>
          </button>
          <button type="submit" class="grave" disabled={isUnderWay || obstacle !== undefined || ids.length === 0}>
            Release early{ids.length > 1 && ` for ${ids.length}`} <kbd aria-hidden="true">Ctrl ↵</kbd>
          </button>
        </DialogFoot>
      </form>
    </Dialog>
  );
};

const Follows = ({ stays, chosen }: { readonly stays: number | undefined; readonly chosen: number }) => {
  if (chosen === 0) return <>Nobody is chosen.</>;
  if (stays === undefined) return <>Who else holds it is being read…</>;
  if (stays === 0)
    return (
      <>
        <b>Released.</b> Nobody else holds it. Until its service confirms, the release is “asked for”.
      </>
    );
  return (
    <>
      Stays in force: {counted(stays, 'other incident')} {stays === 1 ? 'holds' : 'hold'} it.
    </>
  );
};
