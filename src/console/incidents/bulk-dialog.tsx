import { useEffect, useRef, useState } from 'preact/hooks';
import type { TargetedSubmitEvent } from 'preact';
import type { CommandName } from '../../../machines/decision.ts';
import { announce } from '../live-region.ts';
import { Dialog } from '../parts/dialog.tsx';
import { counted } from '../format.ts';
import { clearSelection } from './selection.ts';
import { carryOut, COMMAND_WORDS, type Outcome, type Task, task } from './bulk-command.ts';

const LONGEST_NOTE = 4096;

const NOTE_HINTS: Readonly<Record<CommandName, string>> = {
  contain: 'Why it has to be contained',
  acknowledge: 'What is being looked at',
  resolve: 'What was found, and what was done',
};

/** Asks for a note, gives the command, and shows how it went: at once for one incident, one by one for several. */
export const TaskDialog = ({ command, ids }: Task) => {
  const [outcomes, setOutcomes] = useState<ReadonlyMap<string, Outcome>>();
  const [isUnderWay, setUnderWay] = useState(false);
  const [note, setNote] = useState('');
  const abort = useRef(new AbortController());
  useEffect(() => () => abort.current.abort(), []);

  const [doing, done] = COMMAND_WORDS[command];
  const object = ids.length === 1 ? ids[0]! : counted(ids.length, 'incident');
  const close = (): void => {
    task.value = undefined;
    if (outcomes !== undefined) clearSelection();
  };

  const start = async (event: TargetedSubmitEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault();
    const known = new Map<string, Outcome>();
    setOutcomes(known);
    setUnderWay(true);
    const tell = (id: string, outcome: Outcome): void => {
      known.set(id, outcome);
      setOutcomes(new Map(known));
    };
    await carryOut({ command, ids }, note, tell, abort.current.signal);
    setUnderWay(false);
    const succeeded = [...known.values()].filter(({ kind }) => kind === 'done').length;
    if (ids.length === 1 && succeeded === 1) close();
    announce(
      `${done} ${ids.length === 1 && succeeded === 1 ? object : `${succeeded} of ${counted(ids.length, 'incident')}`}`,
    );
  };

  const isOver = outcomes !== undefined && !isUnderWay;
  return (
    <Dialog title={`${doing} ${object}`} onClose={close}>
      <form onSubmit={(event) => void start(event)}>
        <label>
          Note, for the log
          <textarea
            rows={3}
            maxLength={LONGEST_NOTE}
            placeholder={NOTE_HINTS[command]}
            value={note}
            disabled={outcomes !== undefined}
            onInput={({ currentTarget }) => setNote(currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) event.currentTarget.form?.requestSubmit();
            }}
          />
        </label>
        {outcomes !== undefined && <Outcomes ids={ids} outcomes={outcomes} done={done} isUnderWay={isUnderWay} />}
        <div class="dialog-buttons">
          <button type="button" onClick={close}>
            {isOver ? 'Close' : isUnderWay ? 'Stop' : 'Cancel'}
          </button>
          {!isOver && (
            <button type="submit" class="primary" disabled={isUnderWay}>
              {doing}
            </button>
          )}
        </div>
      </form>
    </Dialog>
  );
};

interface OutcomesProps {
  readonly ids: readonly string[];
  readonly outcomes: ReadonlyMap<string, Outcome>;
  readonly done: string;
  readonly isUnderWay: boolean;
}

const Outcomes = ({ ids, outcomes, done, isUnderWay }: OutcomesProps) => {
  const refused = [...outcomes.values()].filter(({ kind }) => kind === 'refused').length;
  return (
    <>
      <p role="status">
        {isUnderWay ? `${outcomes.size} of ${ids.length}` : `${done} ${outcomes.size - refused} of ${ids.length}`}
        {refused > 0 && `, ${refused} refused`}
        {!isUnderWay && outcomes.size < ids.length && `, ${ids.length - outcomes.size} not sent`}
      </p>
      <progress max={ids.length} value={outcomes.size} aria-label="Progress" />
      <ol class="outcomes" tabIndex={0} aria-label="Outcomes">
        {ids.map((id) => {
          const outcome = outcomes.get(id);
          return (
            <li key={id} class={outcome?.kind}>
              <code>{id}</code>
              <span>{outcome === undefined ? '…' : outcome.kind === 'done' ? done : outcome.reason}</span>
            </li>
          );
        })}
      </ol>
    </>
  );
};
