/**
 * Contain by label, and release by label: choose an action and labels, see which machines that is, type their number, and follow what becomes of
 * it on each machine.
 */
import type { TargetedSubmitEvent } from 'preact';
import { useState } from 'preact/hooks';
import { ACTIONS, type ContainmentAction } from '../../../machines/vocabulary.ts';
import { addScope, partsOfLabel } from '../filters.ts';
import { counted, grouped } from '../format.ts';
import { obstacleFor } from '../identity.ts';
import { keyOfIncident } from '../incident-key.ts';
import { announce } from '../live-region.ts';
import { isOld } from '../live-entries.ts';
import { perform, read } from '../operator.ts';
import { Choice, Dialog, DialogBody, DialogFoot } from '../parts/dialog.tsx';
import { ContainmentMark } from '../parts/marks.tsx';
import { Verbatim, VerbatimLine } from '../parts/verbatim.tsx';
import { reasonOf } from '../request.ts';
import { fragmentOf } from '../route.ts';
import { ActProgress } from './act-progress.tsx';
import { CommandFate } from './command-fate.tsx';
import { knownLabels } from './known-labels.ts';
import { useAct } from './use-act.ts';

/** What is done by label: where it is asked, and how it is said. */
export type LabelKind = 'contain' | 'release';
/** A silence is asked for in a dialog of its own. */
export type ActKind = LabelKind | 'silence';
const PATHS: Readonly<Record<ActKind, string>> = {
  contain: '/api/v1/containment/by-label',
  release: '/api/v1/containment/by-label/release',
  silence: '/api/v1/silences/by-label',
};
const TITLES: Readonly<Record<ActKind, string>> = {
  contain: 'Contain by label',
  release: 'Release by label',
  silence: 'Silence by label',
};
const VERBS: Readonly<Record<LabelKind, string>> = { contain: 'Contain', release: 'Release on' };
const LONGEST_REASON = 1024;

interface Preview {
  readonly count: number;
  /** Which machines these are: an older fleet does not say it. */
  readonly machines_digest?: string;
  readonly machines: readonly {
    readonly machine: string;
    readonly name: string;
    readonly possible: boolean;
    readonly why: string | null;
    readonly actions?: readonly string[];
    readonly in_force: boolean;
    readonly silent: boolean;
    /** Of a release: how many incidents hold the action. */
    readonly holders?: number;
  }[];
}

/** An act on many machines, and how far it is. */
export interface LabelAct {
  readonly act: string;
  /** None of a silence. */
  readonly action?: string;
  /** Of silences: whether they are added or ended. */
  readonly kind?: 'add' | 'end';
  /** Of silences: the machines that were named. */
  readonly named?: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly reason: string;
  readonly by: string;
  readonly at: string;
  readonly count: number;
  readonly pending: number;
  readonly done: number;
  readonly refused: number;
  readonly expired: number;
  readonly machines?: readonly {
    readonly machine: string;
    readonly command?: string | null;
    readonly status: 'pending' | 'done' | 'refused' | 'expired';
    readonly reason: string | null;
    readonly incident?: string | null;
    /** Not of a silence. */
    readonly in_force?: boolean;
    readonly silences?: readonly string[];
  }[];
}

/** What an act does, and where: `release of freeze_agent on site=berlin`. */
export const whatOf = ({ action, kind, labels, named = [] }: LabelAct, of: ActKind): string => {
  const what = action === undefined ? (kind === 'end' ? 'end of silences' : 'silence') : action;
  const places = [...Object.entries(labels).map(([name, value]) => `${name}=${value}`), ...named];
  return `${of === 'release' ? 'release of ' : ''}${what}${places.length === 0 ? '' : ` on ${places.join(', ')}`}`;
};

const WORKED: readonly ContainmentAction[] = ACTIONS.filter((name) => name !== 'log_alert');

interface ByLabelProps {
  readonly kind?: LabelKind;
  readonly onClose: () => void;
}

export const ByLabelDialog = ({ kind = 'contain', onClose }: ByLabelProps) => {
  const path = PATHS[kind];
  const [action, setAction] = useState<ContainmentAction>('freeze_agent');
  const [label, setLabel] = useState('');
  const [preview, setPreview] = useState<Preview>();
  const [typed, setTyped] = useState('');
  const [reason, setReason] = useState('');
  const [fault, setFault] = useState<string>();
  const [isUnderWay, setUnderWay] = useState(false);
  const [act, setAct] = useState<string>();
  /** The same for every try: nothing is done twice. */
  const [key, setKey] = useState(() => crypto.randomUUID());
  const labels = label.split(/[\s,]+/).filter((one) => one.includes('='));
  const obstacle = isOld.value
    ? 'can’t be given: what is shown may have changed since the service was heard'
    : obstacleFor(kind === 'contain' ? ['operator'] : ['operator', 'recovery']);
  const possible = preview?.machines.filter((one) => one.possible).length ?? 0;
  const isConfirmed = preview !== undefined && preview.count > 0 && typed.trim() === String(preview.count);

  const change = (set: () => void): void => {
    set();
    setPreview(undefined);
    setTyped('');
    setFault(undefined);
    setKey(crypto.randomUUID());
  };
  const look = async (): Promise<void> => {
    setUnderWay(true);
    setFault(undefined);
    const query = new URLSearchParams({ action });
    addScope(query, { labels });
    try {
      setPreview((await read<Preview>(`${path}?${query.toString()}`)).body);
    } catch (error) {
      setFault(reasonOf(error));
    } finally {
      setUnderWay(false);
    }
  };
  const send = async (): Promise<void> => {
    if (preview === undefined) return;
    setUnderWay(true);
    setFault(undefined);
    try {
      const given = await perform<LabelAct>(path, {
        action,
        labels: Object.fromEntries(labels.map(partsOfLabel)),
        reason: reason.trim(),
        confirm: preview.count,
        machines_digest: preview.machines_digest,
        idempotency_key: key,
      });
      announce(
        kind === 'contain'
          ? `${action} is asked of ${counted(preview.count, 'machine')}`
          : `The release of ${action} is asked of ${counted(preview.count, 'machine')}`,
      );
      setAct(given.act);
    } catch (error) {
      setFault(reasonOf(error));
    } finally {
      setUnderWay(false);
    }
  };
  const submit = (event: TargetedSubmitEvent<HTMLFormElement>): void => {
    event.preventDefault();
    if (isUnderWay || obstacle !== undefined || labels.length === 0) return;
    if (preview === undefined) void look();
    else if (isConfirmed && reason.trim() !== '') void send();
  };
  if (act !== undefined) return <ActDialog kind={kind} act={act} onClose={onClose} />;
  return (
    <Dialog title={TITLES[kind]} onClose={onClose}>
      <form onSubmit={submit}>
        <DialogBody>
          <Choice
            label="Action"
            options={WORKED.map((name) => [name, name] as const)}
            value={action}
            disabled={isUnderWay}
            onChoose={(name) => change(() => setAction(name))}
          />
          <label>
            On the machines with these labels
            <input
              autofocus
              list="by-label-labels"
              placeholder="site=berlin"
              maxLength={200}
              value={label}
              disabled={isUnderWay}
              onInput={({ currentTarget: { value } }) => change(() => setLabel(value))}
            />
            <datalist id="by-label-labels">
              {knownLabels.value.map(({ label: known }) => (
                <option key={known} value={known} />
              ))}
            </datalist>
          </label>
          {preview !== undefined && (
            <>
              <p role="status">
                <b>{counted(preview.count, 'machine')}</b>
                {possible < preview.count && `, ${grouped(preview.count - possible)} of them can’t`}:
              </p>
              <ul class="by-label">
                {preview.machines.map((one) => (
                  <li key={one.machine}>
                    <ContainmentMark look={!one.possible ? 'none' : one.silent ? 'unknown' : 'asked'}>
                      {!one.possible
                        ? 'Not possible'
                        : one.silent
                          ? 'Silent'
                          : one.in_force
                            ? 'Asked for already'
                            : 'Is asked'}
                    </ContainmentMark>

                    <VerbatimLine text={one.name} />
                    <span class="small muted">
                      {one.why ?? ''}
                      {one.why === null &&
                        one.holders !== undefined &&
                        `${counted(one.holders, 'incident')} ${one.holders === 1 ? 'holds' : 'hold'} it${one.silent ? '; the machine is silent' : ''}`}
                      {one.why === null &&
                        (one.actions?.length ?? 0) > 1 &&
                        `also ${one.actions!.filter((name) => name !== action).join(', ')}`}
                    </span>
                  </li>
                ))}
              </ul>
              {preview.count > 0 && (
                <>
                  <label>
                    Reason, for the logs
                    <textarea
                      rows={2}
                      required
                      maxLength={LONGEST_REASON}
                      value={reason}
                      disabled={isUnderWay}
                      onInput={({ currentTarget: { value } }) => setReason(value)}
                    />
                  </label>
                  <label>
                    Type the number of machines, {preview.count}, to confirm
                    <input
                      inputMode="numeric"
                      autocomplete="off"
                      value={typed}
                      disabled={isUnderWay}
                      onInput={({ currentTarget: { value } }) => setTyped(value)}
                    />
                  </label>
                </>
              )}
            </>
          )}
          {fault !== undefined && (
            <p class="error" role="alert">
              <Verbatim text={fault} longest={300} />
            </p>
          )}
          {obstacle !== undefined && (
            <p class="error" role="alert">
              This {obstacle}.
            </p>
          )}
        </DialogBody>
        <DialogFoot says="Each machine decides for itself, and what it did is shown here.">
          <button type="button" onClick={onClose}>
            Cancel <kbd aria-hidden="true">Esc</kbd>
          </button>
          {preview === undefined ? (
            <button type="submit" class="primary" disabled={isUnderWay || labels.length === 0}>
              Show what it does
            </button>
          ) : (
            <button
              type="submit"
              class="grave"
              disabled={isUnderWay || obstacle !== undefined || !isConfirmed || reason.trim() === ''}
            >
              {`${VERBS[kind]} ${counted(preview.count, 'machine')}`}
            </button>
          )}
        </DialogFoot>
      </form>
    </Dialog>
  );
};

interface ActDialogProps {
  readonly kind: ActKind;
  readonly act: string;
  readonly onClose: () => void;
}

/** What became of an act, machine by machine, read again until no machine is waited for. */
export const ActDialog = ({ kind, act, onClose }: ActDialogProps) => {
  const { known, fault } = useAct(act, async (name, ends) => {
    const { body } = await read<LabelAct>(`${PATHS[kind]}/${encodeURIComponent(name)}`, ends);
    return body;
  });
  return (
    <Dialog title={TITLES[kind]} about={<code>{act}</code>} onClose={onClose}>
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
                {whatOf(known, kind)}, by {known.by}
                {known.reason !== '' && (
                  <>
                    : “<Verbatim text={known.reason} longest={300} />”
                  </>
                )}
              </p>
              <p role="status" class="strong">
                <ActProgress of={known} />
              </p>
              <progress
                max={known.count}
                value={known.count - known.pending}
                aria-label="Machines that have answered"
              />
              <ul class="by-label">
                {(known.machines ?? []).map((one) => (
                  <li key={one.machine}>
                    <CommandFate status={one.status} />
                    {one.incident === null || one.incident === undefined ? (
                      <VerbatimLine text={one.machine} />
                    ) : (
                      <a
                        href={fragmentOf({
                          view: 'incidents',
                          id: keyOfIncident(one.incident, one.machine),
                          query: '',
                        })}
                        onClick={onClose}
                      >
                        {one.machine}
                      </a>
                    )}
                    <span class="small muted">
                      {one.reason !== null && <Verbatim text={one.reason} longest={200} />}
                      {one.reason === null && <code>{one.silences?.join(' ')}</code>}
                      {one.reason === null &&
                        (one.in_force ? 'asked for' : kind === 'release' && one.status === 'done' && 'released')}
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
