import { signal } from '@preact/signals';
import type { TargetedSubmitEvent } from 'preact';
import { useState } from 'preact/hooks';
import { CLASSES, SEVERITIES, type IncidentClass, type Severity } from '../../../machines/vocabulary.ts';
import { HOUR, SECOND } from '../../clock.ts';
import { partsOfLabel } from '../filters.ts';
import { counted, momentOf, spelled } from '../format.ts';
import { obstacleFor } from '../identity.ts';
import { idOf } from '../incident-key.ts';
import { isOld } from '../live-entries.ts';
import { announce } from '../live-region.ts';
import { useLiveResource } from '../live-resource.ts';
import { now } from '../now.ts';
import { knownLabels } from '../of-fleet/known-labels.ts';
import { fleetMachines } from '../of-fleet/live-fleet.ts';
import type { LabelAct } from '../of-fleet/by-label-dialog.tsx';
import { NotSent, perform, read } from '../operator.ts';
import { Choice, Dialog, DialogBody, DialogFoot } from '../parts/dialog.tsx';
import { reasonOf, Refusal } from '../request.ts';
import { isFleet } from '../service.ts';
import { serviceTime } from '../service-time.ts';
import { localTime } from './command-fields.tsx';
import { silences } from './silences.ts';

export interface SilenceDraft {
  /** At a fleet: where. */
  readonly machine?: string;
  readonly class?: IncidentClass;
  readonly source?: string;
}

/** The silence that the dialog proposes; undefined when there is none. */
export const silenceDraft = signal<SilenceDraft | undefined>(undefined);

const SPANS = ['1', '2', '8', '24'] as const;
const spanEnd = (hours: string): string => new Date(serviceTime() + Number(hours) * HOUR).toISOString();
const LONGEST_REASON = 1024;

/** Asks what to silence, until when and why. */
export const SilenceDialog = (draft: SilenceDraft) => {
  const [classes, setClasses] = useState<readonly IncidentClass[]>(draft.class === undefined ? [] : [draft.class]);
  const [source, setSource] = useState(draft.source ?? '');
  const [severity, setSeverity] = useState<Severity | ''>('');
  const [words, setWords] = useState('');
  const [until, setUntil] = useState(() => spanEnd('2'));
  const [reason, setReason] = useState('');
  const [place, setPlace] = useState(draft.machine ?? '');
  const machines = machinesAt(place);
  const [fault, setFault] = useState<string>();
  const [isUnderWay, setUnderWay] = useState(false);
  const [keys] = useState(() => new KeyOfTries());
  const obstacle = isOld.value ? 'can’t be given without a stream' : obstacleFor(['operator']);
  const isEverything = classes.length === 0 && source.trim() === '' && severity === '' && words.trim() === '';
  const close = (): void => {
    silenceDraft.value = undefined;
  };
  const start = async (event: TargetedSubmitEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault();
    if (obstacle !== undefined || reason.trim() === '' || (isFleet && machines.length === 0)) return;
    setUnderWay(true);
    setFault(undefined);
    try {
      const silence = {
        ...(classes.length > 0 && { class: classes }),
        ...(source.trim() !== '' && { source: [source.trim()] }),
        ...(severity !== '' && { severity: [severity] }),
        ...(words.trim() !== '' && { q: words.trim() }),
        until,
        reason: reason.trim(),
      };
      const { where, undo } =
        isFleet && place.includes('=')
          ? await silenceLabel(place, machines.length, silence, keys)
          : await silenceOne(silence, isFleet ? machines[0] : undefined);
      close();
      silences.refresh();
      announce(`Silenced${where} until ${momentOf(Date.parse(until), now.peek())}`, undo);
    } catch (error) {
      if (error instanceof NotSent) setFault('Nothing was sent: a command needs a token.');
      else if (error instanceof Refusal && error.status === 404) setFault('This service knows no silences.');
      else setFault(reasonOf(error));
    }
    setUnderWay(false);
  };
  const chosen = SPANS.find((hours) => Math.abs(Date.parse(spanEnd(hours)) - Date.parse(until)) < 10 * 60_000);
  return (
    <Dialog
      title={
        draft.class !== undefined && draft.source !== undefined ? 'Silence this class and source' : 'Add a silence'
      }
      about="What matches is recorded and contained as always. Nobody is notified of it, and it does not count as needing attention."
      onClose={close}
    >
      <form onSubmit={(event) => void start(event)}>
        <DialogBody>
          <div class="fields">
            <label>
              Class
              <select
                value={classes[0] ?? ''}
                onChange={({ currentTarget: { value } }) => setClasses(CLASSES.filter((name) => name === value))}
              >
                <option value="">any</option>
                {CLASSES.map((name) => (
                  <option key={name} value={name}>
                    {name}
                  </option>
                ))}
              </select>
            </label>
            <label>
              Source
              <input
                maxLength={256}
                placeholder="any"
                value={source}
                onInput={({ currentTarget }) => setSource(currentTarget.value)}
              />
            </label>
            <label>
              Severity
              <select
                value={severity}
                onChange={({ currentTarget: { value } }) =>
                  setSeverity(SEVERITIES.find((name) => name === value) ?? '')
                }
              >
                <option value="">any</option>
                {SEVERITIES.map((name) => (
                  <option key={name} value={name}>
                    {spelled(name)}
                  </option>
                ))}
              </select>
            </label>
            <label>
              With the words
              <input
                maxLength={256}
                placeholder="any"
                value={words}
                onInput={({ currentTarget }) => setWords(currentTarget.value)}
              />
            </label>
          </div>
          <div class="fields">
            <Choice
              label="For"
              options={SPANS.map((hours) => [hours, `${hours} h`] as const)}
              value={chosen}
              onChoose={(hours) => setUntil(spanEnd(hours))}
            />
            <label>
              Until {momentOf(Date.parse(until), now.value)}
              <input
                type="datetime-local"
                value={localTime(until)}
                onChange={({ currentTarget: { value } }) => {
                  const at = Date.parse(value);
                  if (!Number.isNaN(at)) setUntil(new Date(at).toISOString());
                }}
              />
            </label>
          </div>
          <label>
            Reason, for the log
            <textarea
              rows={2}
              autofocus
              required
              maxLength={LONGEST_REASON}
              placeholder="Why nobody needs to be told"
              value={reason}
              onInput={({ currentTarget }) => setReason(currentTarget.value)}
              onKeyDown={(event) => {
                if (event.key === 'Enter' && (event.ctrlKey || event.metaKey))
                  event.currentTarget.form?.requestSubmit();
              }}
            />
          </label>
          {isFleet && <Where place={place} machines={machines} onChange={setPlace} />}
          {isEverything && <p class="error">This silences everything.</p>}
          {(fault ?? obstacle) !== undefined && (
            <p class="error" role="alert">
              {fault ?? `A silence ${obstacle}.`}
            </p>
          )}
        </DialogBody>
        <DialogFoot says="Can be undone, and ended at any time.">
          <button type="button" onClick={close}>
            Cancel <kbd aria-hidden="true">Esc</kbd>
          </button>
          <button
            type="submit"
            class="primary"
            disabled={isUnderWay || obstacle !== undefined || (isFleet && machines.length === 0)}
          >
            Silence{isFleet && machines.length > 1 && ` on ${machines.length}`} <kbd aria-hidden="true">Ctrl ↵</kbd>
          </button>
        </DialogFoot>
      </form>
    </Dialog>
  );
};

/** Where it was added, and how that is taken back. */
interface Silenced {
  readonly where: string;
  readonly undo: () => void;
}

/** @throws Refusal, NotSent */
async function silenceOne(silence: object, machine: string | undefined): Promise<Silenced> {
  const of = machine === undefined ? {} : { machine };
  const added = await perform<{ readonly id: string }>('/api/v1/silences', { ...silence, ...of });
  return {
    where: machine === undefined ? '' : ` on ${machine}`,
    undo: () => void endSilence(idOf(added.id), 'undone', machine),
  };
}

const BY_LABEL = '/api/v1/silences/by-label';
interface EndPreview {
  /** On how many machines silences of the act run. */
  readonly count: number;
  readonly machines_digest: string;
}

/** How long the machines are waited for, and how often the act is read. */
const PATIENCE = 20 * SECOND;
const LOOK_EVERY = 1 * SECOND;

/**
 * Adds the same silence on each machine with a label, as one act.
 * @param shown how many machines the dialog has shown
 * @throws Refusal where no machine has added it; NotSent
 */
async function silenceLabel(label: string, shown: number, silence: object, keys: KeyOfTries): Promise<Silenced> {
  const body = { ...silence, labels: Object.fromEntries([partsOfLabel(label.trim())]), confirm: shown };
  let act = await keys.try(body, (idempotency_key) => perform<LabelAct>(BY_LABEL, { ...body, idempotency_key }));
  for (const until = Date.now() + PATIENCE; act.pending > 0 && Date.now() < until;) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY));
    act = (await read<LabelAct>(`${BY_LABEL}/${act.act}`)).body;
  }
  const { done, pending, count, machines = [] } = act;
  const reasons = machines.flatMap(({ machine, reason }) => (reason === null ? [] : [`${machine}: ${reason}`]));
  const why = reasons.length === 0 ? '' : ` (${reasons.slice(0, 5).join('; ')})`;
  if (done + pending === 0) throw new Refusal(409, `Silenced nowhere${why}`);
  const waits = pending === 0 ? '' : `, ${counted(pending, 'machine')} under way,`;
  return {
    where: `${done === count ? ` on ${counted(done, 'machine')}` : ` on ${done} of ${count} machines`}${waits}${why}`,
    undo: () => void endSilencesOf(act.act),
  };
}

/** A key for each thing that is asked for: the same until it was answered. */
class KeyOfTries {
  readonly #keys = new Map<string, string>();

  async try<Answer>(asked: object, ask: (key: string) => Promise<Answer>): Promise<Answer> {
    const text = JSON.stringify(asked);
    const key = this.#keys.get(text) ?? crypto.randomUUID();
    this.#keys.set(text, key);
    const answer = await ask(key);
    this.#keys.delete(text);
    return answer;
  }
}

/** The machines of a name, or with a label. */
const machinesAt = (place: string): readonly string[] => {
  const all = fleetMachines.value.value ?? [];
  const text = place.trim();
  if (!text.includes('=')) return all.filter(({ machine, name }) => machine === text || name === text).map(nameOf);
  const [label, value] = partsOfLabel(text);
  return all.filter(({ labels, revoked_at: revoked }) => labels[label] === value && revoked === null).map(nameOf);
};

const nameOf = ({ machine }: { readonly machine: string }): string => machine;

interface WhereProps {
  readonly place: string;
  readonly machines: readonly string[];
  readonly onChange: (place: string) => void;
}

/** How many machines are named. */
const MOST_NAMED = 8;

/** On which machine of the fleet, or on all with a label; and which these are. */
const Where = ({ place, machines, onChange }: WhereProps) => {
  const known = useLiveResource(fleetMachines) ?? [];
  return (
    <label>
      On the machine, or the machines with the label
      <input
        required
        list="silence-places"
        maxLength={200}
        placeholder="berlin-1, or site=berlin"
        value={place}
        onInput={({ currentTarget: { value } }) => onChange(value)}
      />
      <datalist id="silence-places">
        {knownLabels.value.map(({ label }) => (
          <option key={label} value={label} />
        ))}
        {known.map(({ machine }) => (
          <option key={machine} value={machine} />
        ))}
      </datalist>
      <span class="small muted" role="status">
        {place.trim() !== '' &&
          (machines.length === 0
            ? 'No machine is called so or has this label.'
            : `${counted(machines.length, 'machine')}: ${machines.slice(0, MOST_NAMED).join(', ')}${machines.length > MOST_NAMED ? ', …' : ''}. Each gets a silence of its own.`)}
      </span>
    </label>
  );
};

/** How long an undo waits for silences that machines have added a moment ago. */
const SETTLED = 3 * SECOND;

/** Ends what an act has added and what runs still: meanwhile machines may have added theirs, and people ended some. */
async function endSilencesOf(act: string): Promise<void> {
  try {
    const until = Date.now() + SETTLED;
    const look = async () => {
      const { done, pending } = (await read<LabelAct>(`${BY_LABEL}/${act}`)).body;
      const { count, machines_digest } = (await read<EndPreview>(`${BY_LABEL}/end?act=${act}`)).body;
      return { done, pending, count, machines_digest };
    };
    let found = await look();
    while ((found.pending > 0 || found.count < found.done) && Date.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY));
      found = await look();
    }
    const { pending, done, count, machines_digest } = found;
    if (count > 0) await perform(`${BY_LABEL}/end`, { act, reason: 'undone', confirm: count, machines_digest });
    const runs =
      count === 0
        ? 'The fleet knows none that runs now'
        : `The silences are being ended on ${counted(count, 'machine')}`;
    const unknown =
      done > count ? [`${counted(done - count, 'other')} may have been ended before, or may not be known yet`] : [];
    const coming = pending > 0 ? [`${counted(pending, 'machine')} may still add one`] : [];
    announce([runs, ...unknown, ...coming].join('; '));
    silences.refresh();
  } catch (error) {
    if (!(error instanceof NotSent)) announce(`The silences were not ended: ${reasonOf(error)}`);
  }
}

/** Ends a silence. @param machine at a fleet: where it is */
export const endSilence = async (id: string, reason?: string, machine?: string): Promise<void> => {
  try {
    await perform('/api/v1/silences/end', {
      id,
      ...(reason !== undefined && { reason }),
      ...(machine !== undefined && { machine }),
    });
    announce(`Ended the silence ${id}`);
    silences.refresh();
  } catch (error) {
    if (!(error instanceof NotSent)) announce(`The silence was not ended: ${reasonOf(error)}`);
  }
};
