import type { FleetCommand } from '../fleet-command.ts';
import { type ContainmentLook, ContainmentMark } from '../parts/marks.tsx';

const FATES: Readonly<Record<FleetCommand['status'], readonly [ContainmentLook, string]>> = {
  pending: ['asked', 'Pending'],
  done: ['done', 'Done'],
  refused: ['overdue', 'Refused'],
  expired: ['unknown', 'Expired'],
};

/** What became of a command. */
export const CommandFate = ({ status }: Pick<FleetCommand, 'status'>) => {
  const [look, word] = FATES[status];
  return <ContainmentMark look={look}>{word}</ContainmentMark>;
};
