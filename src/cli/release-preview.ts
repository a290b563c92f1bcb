/** What a command would release, in words: for the question before it, and for what was done. */
import { Refused } from '../client/errors.ts';
import type { UncertainMachine } from '../domain/bulk-command.ts';
import type { ReleasePreview } from '../client/shapes.ts';
import { type ApiClient, withQuery } from './api-client.ts';
import { counted } from './terminal/counted.ts';
import { printable } from './terminal/printable.ts';

/** How many incidents one request asks about. */
const AT_ONCE = 500;

/**
 * What a command would release; undefined where the recorder does not say: it is an older one, or the token may not read.
 * @throws NotReachable
 */
export async function previewOf(
  api: ApiClient,
  ids: readonly string[],
  command: ReleasePreview['command'],
  action?: string,
): Promise<ReleasePreview | undefined> {
  if (ids.length > AT_ONCE) return undefined;
  try {
    return await api.read<ReleasePreview>(withQuery('/api/v1/containment/preview', { id: ids, command, action }));
  } catch (error) {
    if (error instanceof Refused) return undefined;
    throw error;
  }
}

/** The actions that it would release. */
export const releasedIn = (preview: ReleasePreview | undefined): readonly string[] =>
  (preview?.actions ?? []).filter(({ releases }) => releases).map(({ action }) => action);

/** What would become of each action, and which incidents can't take the command yet. */
export function previewLines({ actions, incidents, uncertain }: ReleasePreview): readonly string[] {
  const [one] = incidents;
  return [
    ...effectLines(actions, incidents.length === 1 && one !== undefined ? printable(one.id) : incidents.length),
    ...incidents.flatMap(({ id, missing = [] }) =>
      missing.length === 0 ? [] : [`${printable(id)} can't be resolved yet: its recovery needs ${missing.join(', ')}`],
    ),
    ...uncertainLines(uncertain),
  ];
}

/** How many machines are named. */
const MOST_NAMED = 20;

/** The machines of which a fleet does not know how they are now. */
export function uncertainLines(machines: readonly UncertainMachine[] = []): readonly string[] {
  const named = machines.slice(0, MOST_NAMED).map(({ machine, silent, heard_at: heard, behind }) => {
    const why = silent ? `is silent, last heard ${heard ?? 'never'}` : `has ${behind} more entries than the fleet`;
    return `${printable(machine)} ${why}: it may be otherwise there by now`;
  });
  const more = machines.length - named.length;
  return more > 0 ? [...named, `and ${counted(more, 'more such machine')}`] : named;
}

/**
 * What would become of each action.
 * @param who the only incident that has the command, or how many have it
 */
export function effectLines(actions: ReleasePreview['actions'], who: string | number): readonly string[] {
  if (actions.length === 0) return ['nothing is released'];
  return actions.map(({ machine, action: name, releases, holders, others, last }) => {
    // Who holds it is counted on each machine by itself.
    const action = machine === undefined ? name : `${name} on ${printable(machine)}`;
    if (!last) {
      const are = others === 1 ? 'is another' : 'are others';
      return `${others} of ${counted(holders, 'holder')} of ${action} ${are}: it stays in force`;
    }
    const end = releases ? 'it is released' : 'it stays in force as long as one of them refuses';
    if (typeof who === 'string') {
      const among = holders === 1 ? 'the only holder' : `the last of ${holders} holders`;
      return `${who} is ${among} of ${action}: ${releases ? end : 'it stays in force until that is possible'}`;
    }
    if (holders === 1 && who === 1)
      return `it is the only holder of ${action}: ${releases ? end : 'it stays in force'}`;
    if (holders === who) return `these ${who} incidents are the last of ${holders} holders of ${action}: ${end}`;
    return holders === 1
      ? `one of these ${who} incidents is the only holder of ${action}: ${releases ? end : 'it stays in force'}`
      : `${holders} of these ${who} incidents are the last of ${holders} holders of ${action}: ${end}`;
  });
}
