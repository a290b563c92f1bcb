import type { CommandAnswer } from './given-command.ts';

export const countOf = (answers: ReadonlyMap<string, CommandAnswer>, kind: CommandAnswer['kind']): number =>
  [...answers.values()].filter((answer) => answer.kind === kind).length;

interface AnswersProps {
  readonly ids: readonly string[];
  readonly answers: ReadonlyMap<string, CommandAnswer>;
  readonly done: string;
  readonly isUnderWay: boolean;
}

/** How it went with each incident. */
export const Answers = ({ ids, answers, done, isUnderWay }: AnswersProps) => {
  const refused = countOf(answers, 'refused');
  const unanswered = countOf(answers, 'unanswered');
  return (
    <>
      <p role="status">
        {isUnderWay ? `${answers.size} of ${ids.length}` : `${done} ${countOf(answers, 'done')} of ${ids.length}`}
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
