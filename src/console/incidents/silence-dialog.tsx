import { signal } from '@preact/signals';
import type { TargetedSubmitEvent } from 'preact';
import { useState } from 'preact/hooks';
import { CLASSES, SEVERITIES, type IncidentClass, type Severity } from '../../../machines/vocabulary.ts';
import { HOUR } from '../../clock.ts';
import { momentOf, spelled } from '../format.ts';
import { obstacleFor } from '../identity.ts';
import { isOld } from '../live-entries.ts';
import { announce } from '../live-region.ts';
import { now } from '../now.ts';
import { NotSent, perform } from '../operator.ts';
import { Choice, Dialog, DialogBody, DialogFoot } from '../parts/dialog.tsx';
import { reasonOf, Refusal } from '../request.ts';
import { serviceTime } from '../service-time.ts';
import { localTime } from './command-fields.tsx';
import { silences } from './silences.ts';

export interface SilenceDraft {
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
  const [fault, setFault] = useState<string>();
  const [isUnderWay, setUnderWay] = useState(false);
  const obstacle = isOld.value ? 'can’t be given without a stream' : obstacleFor(['operator']);
  const isEverything = classes.length === 0 && source.trim() === '' && severity === '' && words.trim() === '';
  const close = (): void => {
    silenceDraft.value = undefined;
  };
  const start = async (event: TargetedSubmitEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault();
    if (obstacle !== undefined || reason.trim() === '') return;
    setUnderWay(true);
    setFault(undefined);
    try {
      const { id } = await perform<{ readonly id: string }>('/api/v1/silences', {
        ...(classes.length > 0 && { class: classes }),
        ...(source.trim() !== '' && { source: [source.trim()] }),
        ...(severity !== '' && { severity: [severity] }),
        ...(words.trim() !== '' && { q: words.trim() }),
        until,
        reason: reason.trim(),
      });
      close();
      silences.refresh();
      announce(`Silenced until ${momentOf(Date.parse(until), now.peek())}`, () => void endSilence(id, 'undone'));
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
          <button type="submit" class="primary" disabled={isUnderWay || obstacle !== undefined}>
            Silence <kbd aria-hidden="true">Ctrl ↵</kbd>
          </button>
        </DialogFoot>
      </form>
    </Dialog>
  );
};

/** Ends a silence. */
export const endSilence = async (id: string, reason?: string): Promise<void> => {
  try {
    await perform('/api/v1/silences/end', { id, ...(reason !== undefined && { reason }) });
    announce(`Ended the silence ${id}`);
    silences.refresh();
  } catch (error) {
    if (!(error instanceof NotSent)) announce(`The silence was not ended: ${reasonOf(error)}`);
  }
};
