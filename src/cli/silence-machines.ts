/** Silences on many machines of a fleet: added by one act, and ended by one. */
import { actOnMachines, type Candidate, labelsOf, type Outcome } from './act-on-machines.ts';
import type { ApiOptions } from './api-client.ts';
import type { Column } from './terminal/table.ts';

interface OfSilences {
  readonly silences: readonly string[];
}

const PATH = '/api/v1/silences/by-label';

/** Whether options name more than one machine. */
export const isOnMachines = ({ machine = [], label = [] }: ApiOptions): boolean =>
  label.length > 0 || machine.length > 1;

/**
 * Adds a silence on the machines that options name, or ends those that run there.
 * @param said what the silence says, or which are to end
 * @param confirm the number of machines, where nobody can be asked
 */
export function silenceMachines(
  options: ApiOptions,
  kind: 'add' | 'end',
  said: Readonly<Record<string, unknown>>,
  confirm: string | undefined,
): Promise<void> {
  const { machine: machines = [] } = options;
  const labels = labelsOf(options);
  const body = {
    ...said,
    ...(Object.keys(labels).length > 0 && { labels }),
    ...(machines.length > 0 && { machines }),
  };
  return actOnMachines<Candidate & OfSilences, Outcome & OfSilences>(options, {
    path: kind === 'add' ? PATH : `${PATH}/end`,
    followed: PATH,
    what: kind === 'add' ? 'silence' : 'end silences',
    body,
    confirm,
    shown: kind === 'add' ? [WHY] : [WHY, SILENCES],
    progress: [SILENCES],
  });
}

const WHY: Column<Candidate> = { header: 'WHY', value: ({ why }) => why ?? '', optional: true };

const SILENCES: Column<OfSilences> = { header: 'SILENCES', value: ({ silences }) => silences.join(' '), least: 12 };
