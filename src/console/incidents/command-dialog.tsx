import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { TargetedSubmitEvent } from 'preact';
import { type Resolution, RESOLUTIONS } from '../../../machines/vocabulary.ts';
import { missingOf, RECOVERY_ACTS, WAIVER, whoMay } from '../../domain/recovery-steps.ts';
import { attention } from '../attention.ts';
import { counted, spelled } from '../format.ts';
import { identity, obstacleFor } from '../identity.ts';
import { isOld } from '../live-entries.ts';
import { announce } from '../live-region.ts';
import { useLiveResource } from '../live-resource.ts';
import { me } from '../me.ts';
import { NotSent } from '../operator.ts';
import { Choice, Dialog, DialogBody, DialogFoot } from '../parts/dialog.tsx';
import { VerbatimLine } from '../parts/verbatim.tsx';
import { keyOfRecovery, recoveries } from '../recoveries.ts';
import { incidentFragment } from '../route.ts';
import { Answers, countOf } from './command-answers.tsx';
import {
  type CommandAnswer,
  DOINGS,
  type GivenCommand,
  givenCommand,
  type Said,
  sendCommand,
  takeBack,
} from './given-command.ts';
import { Kinds, ReleasePreview, usePreview } from './command-effects.tsx';
import { AssignTo, snoozeEnd, SnoozeUntil } from './command-fields.tsx';
import type { IncidentRow } from './incident-row.ts';
import { deselect } from './selection.ts';
import { type BulkSelection, selectBulk, sendBulk } from './send-bulk.ts';

const LONGEST_NOTE = 4096;

/**
 * Says what follows, asks for what the command needs, sends it, and shows the answers. When all of it is done it closes
 * by itself.
 */
export const CommandDialog = (given: GivenCommand) => {
  const { command, ids } = given;
  const rows = given.rows ?? rowsOf(ids);
  const [answers, setAnswers] = useState<ReadonlyMap<string, CommandAnswer>>();
  const [isUnderWay, setUnderWay] = useState(false);
  const [note, setNote] = useState('');
  const [resolution, setResolution] = useState<Resolution | undefined>(undefined);
  const [to, setTo] = useState(me.peek() ?? '');
  const [until, setUntil] = useState(() => snoozeEnd('1h'));
  const [isUnsent, setUnsent] = useState(false);
  const abort = useRef(new AbortController());
  /** From where the command goes on, where few requests work all. */
  const selection = useRef<BulkSelection | undefined>(undefined);
  const closeButton = useRef<HTMLButtonElement>(null);
  useEffect(() => () => abort.current.abort(), []);
  // Resolving says what it releases; whoever resolves nothing need not know.
  const preview = usePreview(command === 'resolve' ? ids : []);

  const { label, done, button, roles, note: hint } = DOINGS[command];
  const isOne = ids.length === 1;
  const object = isOne ? ids[0]! : counted(ids.length, 'incident');
  const obstacle = isOld.value
    ? 'can’t be given: what is shown may have changed since the service was heard'
    : obstacleFor(roles);
  const left = rows.filter(
    ({ state }) => state === 'resolved' && command !== 'note' && command !== 'reopen' && command !== 'assign',
  );
  const sent =
    left.length === 0 || left.length === ids.length ? ids : ids.filter((id) => !left.some((row) => row.id === id));
  const close = (): void => {
    givenCommand.value = undefined;
    if (answers !== undefined) deselect(ids);
  };
  const said: Said = {
    note,
    ...(command === 'resolve' && { resolution }),
    ...(command === 'assign' && { to: to.trim() === '' ? null : to.trim() }),
    ...(command === 'snooze' && { until }),
  };

  /** Works them by few requests, if the filter selects just these. @returns those to which the command is given singly */
  const sendAtOnce = async (
    some: readonly string[],
    addAnswer: (id: string, answer: CommandAnswer) => void,
  ): Promise<readonly string[]> => {
    const { filter } = given;
    try {
      selection.current ??= await selectBulk(command, filter, ids, sent, said);
      if (selection.current === undefined) return some;
      const waiting = new Set(some);
      const answer = (id: string, one: CommandAnswer): void => {
        if (waiting.delete(id)) addAnswer(id, one);
      };
      const end = await sendBulk(command, selection.current, said, answer, abort.current.signal);
      selection.current = end === undefined ? undefined : { ...selection.current, cursor: end.cursor };
      if (end?.reason === undefined) return end === undefined ? [...waiting] : [];
      const [next] = waiting;
      if (next !== undefined) addAnswer(next, { kind: 'unanswered', reason: end.reason });
    } catch (error) {
      if (!(error instanceof NotSent)) throw error;
    }
    return [];
  };
  const send = async (some: readonly string[]): Promise<void> => {
    const known = new Map(answers);
    abort.current = new AbortController();
    setAnswers(known);
    setUnderWay(true);
    setUnsent(false);
    const addAnswer = (id: string, answer: CommandAnswer): void => {
      known.set(id, answer);
      setAnswers(new Map(known));
    };
    const singly = await sendAtOnce(some, addAnswer);
    if (singly.length > 0) await sendCommand({ command, ids: singly }, said, addAnswer, abort.current.signal);
    setUnderWay(false);
    if (known.size === 0) {
      // Nobody entered the token: the command can still be given.
      setAnswers(undefined);
      setUnsent(true);
      return;
    }
    const succeeded = countOf(known, 'done');
    const isWhole = succeeded === sent.length;
    if (isWhole) {
      close();
      deselect(ids);
    }
    const undo = takeBack({ ...given, rows, ids: sent.filter((id) => known.get(id)?.kind === 'done') });
    announce(
      `${done} ${isWhole ? object : `${succeeded} of ${counted(sent.length, 'incident')}`}`,
      undo && (() => void undo().then(() => announce(`Undone: ${label.toLowerCase()} ${object}`))),
    );
  };
  const start = (event: TargetedSubmitEvent<HTMLFormElement>): void => {
    event.preventDefault();
    // The keyboard reaches the form although the button is disabled.
    if (obstacle === undefined && !isUnderWay && answers === undefined) void send(sent);
  };

  const isOver = answers !== undefined && !isUnderWay;
  const rest = isOver
    ? sent.filter((id) => answers.get(id)?.kind !== 'done' && answers.get(id)?.kind !== 'refused')
    : [];
  useLayoutEffect(() => {
    if (isOver) closeButton.current?.focus();
  }, [isOver]);
  const releases = preview.known?.actions.filter((one) => one.releases).length ?? 0;
  const count = isOne ? '' : ` ${sent.length}`;
  const releasing = command === 'resolve' && releases > 0 ? `, release ${releases}` : '';
  return (
    <Dialog
      title={isOne ? `${label} this incident?` : `${label} ${counted(sent.length, 'incident')}?`}
      about={<About given={given} rows={rows} />}
      onClose={close}
    >
      <form onSubmit={start}>
        <DialogBody>
          {!isOne && answers === undefined && <Kinds rows={rows} left={left.length} of={ids.length} />}
          {command === 'resolve' && answers === undefined && (
            <>
              <ReleasePreview preview={preview} isOne={isOne} />
              <NotRecovered ids={ids} onLeave={close} />
            </>
          )}
          {command === 'assign' && <AssignTo value={to} disabled={answers !== undefined} onChange={setTo} />}
          {command === 'snooze' && <SnoozeUntil value={until} disabled={answers !== undefined} onChange={setUntil} />}
          {command === 'resolve' && (
            <Choice
              label={isOne ? 'What was it?' : 'What were they?'}
              options={RESOLUTIONS.map((name) => [name, spelled(name)] as const)}
              value={resolution}
              disabled={answers !== undefined}
              onChoose={setResolution}
            />
          )}
          <label>
            {isOne ? 'Note, for the log' : 'Note, the same for all'}
            <textarea
              rows={3}
              autofocus={command !== 'assign' && command !== 'snooze'}
              required={command === 'note'}
              maxLength={LONGEST_NOTE}
              placeholder={hint}
              value={note}
              disabled={answers !== undefined}
              onInput={({ currentTarget }) => setNote(currentTarget.value)}
              onKeyDown={(event) => {
                if (event.key === 'Enter' && (event.ctrlKey || event.metaKey))
                  event.currentTarget.form?.requestSubmit();
              }}
            />
          </label>
          {answers !== undefined && <Answers ids={sent} answers={answers} done={done} isUnderWay={isUnderWay} />}
          {isUnsent && (
            <p class="error" role="alert">
              Nothing was sent: a command needs a token.
            </p>
          )}
          {obstacle !== undefined && answers === undefined && (
            <p class="error" role="alert">
              {label} {obstacle}.
            </p>
          )}
        </DialogBody>
        <DialogFoot says={<Consequence command={command} isOne={isOne} />}>
          <button ref={closeButton} type="button" onClick={isUnderWay && !isOne ? () => abort.current.abort() : close}>
            {isOver ? 'Close' : isUnderWay ? 'Stop' : 'Cancel'} <kbd aria-hidden="true">Esc</kbd>
          </button>
          {rest.length > 0 && (
            <button type="button" class={button} onClick={() => void send(rest)}>
              Resume, {rest.length} left
            </button>
          )}
          {!isOver && (
            <button type="submit" class={button} disabled={isUnderWay || obstacle !== undefined}>
              {label}
              {count}
              {releasing} <kbd aria-hidden="true">Ctrl ↵</kbd>
            </button>
          )}
        </DialogFoot>
      </form>
    </Dialog>
  );
};

/** What the page knows of incidents. */
const rowsOf = (ids: readonly string[]): readonly IncidentRow[] =>
  ids.flatMap((id) => attention.shown.peek().get(id) ?? []);

const About = ({
  given: { ids, chosenBy },
  rows,
}: {
  readonly given: GivenCommand;
  readonly rows: readonly IncidentRow[];
}) => {
  const description = rows[0]?.description;
  if (ids.length === 1) {
    return (
      <>
        <code>{ids[0]}</code>
        {description !== undefined && (
          <>
            {' · '}
            <VerbatimLine text={description} />
          </>
        )}
      </>
    );
  }
  return (
    <>
      {chosenBy !== undefined && (
        <>
          What matches now: <code>{chosenBy}</code>.{' '}
        </>
      )}
      Nothing that arrives after this moment.
    </>
  );
};

/** What can be taken back, and in whose name it is done. */
const Consequence = ({ command, isOne }: { readonly command: GivenCommand['command']; readonly isOne: boolean }) => {
  const known = identity.value;
  const role = known?.roles.find((one) => DOINGS[command].roles.includes(one));
  return (
    <>
      {command === 'resolve' && isOne && 'Cannot be undone; reopen makes a linked incident. '}
      {(command === 'assign' || command === 'snooze') && 'Can be undone. '}
      {!isOne && 'Can be stopped and resumed. '}
      {me.value !== undefined && (
        <>
          By <b>{me.value}</b>
          {role !== undefined && `, ${role}`}.
        </>
      )}
    </>
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
  const waiting = pending.filter((one) => ids.includes(keyOfRecovery(one)));
  if (waiting.length === 0) return null;
  const others = waiting.length - MOST_NAMED;
  return (
    <div class="error unrecovered" role="status">
      <p>{ids.length === 1 ? 'It' : `${waiting.length} of them`} can’t be resolved yet: recovery is incomplete.</p>
      <ul>
        {waiting.slice(0, MOST_NAMED).map((one) => (
          <li key={keyOfRecovery(one)}>
            {ids.length > 1 && (
              <a class="inline" href={incidentFragment(keyOfRecovery(one))} onClick={onLeave}>
                {one.incident_id}
              </a>
            )}
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
