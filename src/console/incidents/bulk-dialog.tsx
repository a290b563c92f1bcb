import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { TargetedSubmitEvent } from 'preact';
import { COMMAND_TABLE } from '../../../machines/commands.ts';
import { obstacleFor } from '../identity.ts';
import { type Resolution, RESOLUTIONS } from '../../../machines/vocabulary.ts';
import { announce } from '../live-region.ts';
import { Dialog } from '../parts/dialog.tsx';
import { useLiveResource } from '../live-resource.ts';
import { recoveries } from '../recoveries.ts';
import { missingOf, RECOVERY_ACTS, WAIVER, whoMay } from '../../domain/recovery-steps.ts';
import { counted, spelled } from '../format.ts';
import { incidentFragment } from '../route.ts';
import { type BulkCommand, bulkCommand, type CommandAnswer, sendBulkCommand } from './bulk-command.ts';
import { deselect } from './selection.ts';

const LONGEST_NOTE = 4096;

/** Asks for a note, sends the command, and shows the answers. With one incident that is done it closes by itself. */
export const BulkDialog = ({ command, ids }: BulkCommand) => {
  const [answers, setAnswers] = useState<ReadonlyMap<string, CommandAnswer>>();
  const [isUnderWay, setUnderWay] = useState(false);
  const [note, setNote] = useState('');
  const [resolution, setResolution] = useState<Resolution | undefined>(undefined);
  const [isUnsent, setUnsent] = useState(false);
  const abort = useRef(new AbortController());
  const closeButton = useRef<HTMLButtonElement>(null);
  useEffect(() => () => abort.current.abort(), []);

  const doing = spelled(command);
  const done = spelled(COMMAND_TABLE[command].done);
  const obstacle = obstacleFor(COMMAND_TABLE[command].roles);
  const object = ids.length === 1 ? ids[0]! : counted(ids.length, 'incident');
  const close = (): void => {
    bulkCommand.value = undefined;
    if (answers !== undefined) deselect(ids);
  };

  const start = async (event: TargetedSubmitEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault();
    // The keyboard reaches the form although the button is disabled.
    if (obstacle !== undefined) return;
    const known = new Map<string, CommandAnswer>();
    setAnswers(known);
    setUnderWay(true);
    setUnsent(false);
    const addAnswer = (id: string, answer: CommandAnswer): void => {
      known.set(id, answer);
      setAnswers(new Map(known));
    };
    await sendBulkCommand({ command, ids }, { note, resolution }, addAnswer, abort.current.signal);
    setUnderWay(false);
    if (known.size === 0) {
      // Nobody entered the token: the command can still be given.
      setAnswers(undefined);
      setUnsent(true);
      return;
    }
    const succeeded = [...known.values()].filter(({ kind }) => kind === 'done').length;
    if (ids.length === 1 && succeeded === 1) close();
    announce(
      `${done} ${ids.length === 1 && succeeded === 1 ? object : `${succeeded} of ${counted(ids.length, 'incident')}`}`,
    );
  };

  const isOver = answers !== undefined && !isUnderWay;
  useLayoutEffect(() => {
    if (isOver) closeButton.current?.focus();
  }, [isOver]);
  return (
    <Dialog title={`${doing} ${object}`} onClose={close}>
      <form onSubmit={(event) => void start(event)}>
        <label>
          Note, for the log
          <textarea
            rows={3}
            maxLength={LONGEST_NOTE}
            placeholder={COMMAND_TABLE[command].note}
            value={note}
            disabled={answers !== undefined}
            onInput={({ currentTarget }) => setNote(currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) event.currentTarget.form?.requestSubmit();
            }}
          />
        </label>
        {command === 'resolve' && answers === undefined && <NotRecovered ids={ids} onLeave={close} />}
        {command === 'resolve' && (
          <label>
            {ids.length === 1 ? 'What it was' : 'What they were'}
            <select
              value={resolution ?? ''}
              disabled={answers !== undefined}
              onChange={({ currentTarget }) => setResolution(RESOLUTIONS.find((name) => name === currentTarget.value))}
            >
              <option value="">not said</option>
              {RESOLUTIONS.map((name) => (
                <option key={name} value={name}>
                  {spelled(name)}
                </option>
              ))}
            </select>
          </label>
        )}
        {answers !== undefined && <Answers ids={ids} answers={answers} done={done} isUnderWay={isUnderWay} />}
        {isUnsent && (
          <p class="error" role="alert">
            Nothing was sent: a command needs a token.
          </p>
        )}
        {obstacle !== undefined && answers === undefined && (
          <p class="error" role="alert">
            {doing} {obstacle}.
          </p>
        )}
        <div class="dialog-buttons">
          <button ref={closeButton} type="button" onClick={close}>
            {isOver ? 'Close' : isUnderWay ? 'Stop' : 'Cancel'}
          </button>
          {!isOver && (
            <button type="submit" class="primary" disabled={isUnderWay || obstacle !== undefined}>
              {doing}
            </button>
          )}
        </div>
      </form>
    </Dialog>
  );
};

interface NotRecoveredProps {
  readonly ids: readonly string[];
  /** Called when one of them is opened. */
  readonly onLeave: () => void;
}

/** How many incidents that can't be resolved yet are named. */
const MOST_NAMED = 5;

/** Which of the incidents can't be resolved yet, and what they need. */
const NotRecovered = ({ ids, onLeave }: NotRecoveredProps) => {
  const pending = useLiveResource(recoveries)?.pending_recoveries ?? [];
  const waiting = pending.filter(({ incident_id: id }) => ids.includes(id));
  if (waiting.length === 0) return null;
  const others = waiting.length - MOST_NAMED;
  return (
    <div class="error" role="status">
      <p>{ids.length === 1 ? 'It' : `${waiting.length} of them`} can’t be resolved yet: recovery is incomplete.</p>
      <ul>
        {waiting.slice(0, MOST_NAMED).map((one) => (
          <li key={one.incident_id}>
            <a href={incidentFragment(one.incident_id)} onClick={onLeave}>
              {one.incident_id}
            </a>
            {missingOf(one).map((step) => (
              <p key={step}>
                {spelled(RECOVERY_ACTS[step].needs)}. Who may: {whoMay(RECOVERY_ACTS[step])}.
              </p>
            ))}
          </li>
        ))}
      </ul>
      {others > 0 && <p>and {counted(others, 'other')}</p>}
      <p>It is done where the incident is shown. There {whoMay(WAIVER)} may waive it.</p>
    </div>
  );
};

interface AnswersProps {
  readonly ids: readonly string[];
  readonly answers: ReadonlyMap<string, CommandAnswer>;
  readonly done: string;
  readonly isUnderWay: boolean;
}

const Answers = ({ ids, answers, done, isUnderWay }: AnswersProps) => {
  const count = (kind: CommandAnswer['kind']): number =>
    [...answers.values()].filter((answer) => answer.kind === kind).length;
  const refused = count('refused');
  const unanswered = count('unanswered');
  return (
    <>
      <p role="status">
        {isUnderWay ? `${answers.size} of ${ids.length}` : `${done} ${count('done')} of ${ids.length}`}
        {refused > 0 && `, ${refused} refused`}
        {unanswered > 0 && `, ${unanswered} without an answer`}
        {!isUnderWay && answers.size < ids.length && `, ${ids.length - answers.size} not sent`}
      </p>
      <progress max={ids.length} value={answers.size} aria-label="Progress" />
      <ol class="answers" tabIndex={0} aria-label="Answers">
        {ids.map((id) => {
          const answer = answers.get(id);
          return (
            <li key={id} class={answer?.kind}>
              <code>{id}</code>
              <span>{answer === undefined ? (isUnderWay ? '…' : 'not sent') : wordsOf(answer, done)}</span>
            </li>
          );
        })}
      </ol>
    </>
  );
};

const wordsOf = (answer: CommandAnswer, done: string): string => {
  if (answer.kind === 'done') return done;
  if (answer.kind === 'refused') return answer.reason;
  return `${answer.reason}: whether it was carried out is not known`;
};
