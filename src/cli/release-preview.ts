/** What a command would release, in words: for the question before it, and for what was done. */
import { Refused } from '../client/errors.ts';
import type { ReleasePreview } from '../client/shapes.ts';
import { type ApiClient, withQuery } from './api-client.ts';
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

/** What would become of each action. @param they whom it is about, as "they are" */
export const releaseLines = (actions: ReleasePreview['actions'], they: string): readonly string[] =>
  actions.length === 0
    ? ['nothing is released']
    : actions.map(({ action, holders, others, last }) => {
        const among = holders === 1 ? 'the only holder' : `the last of ${holders} holders`;
        return last
          ? `${they} ${among} of ${action}: it is released`
          : `${others} of ${holders} holders of ${action} are others: it stays in force`;
      });

/** What would become of each action, and which incidents can't take the command yet. */
export function previewLines({ actions, incidents }: ReleasePreview): readonly string[] {
  const [one] = incidents;
  const who = incidents.length === 1 && one !== undefined ? printable(one.id) : `these ${incidents.length} incidents`;
  const be = incidents.length === 1 ? 'is' : 'are';
  return [
    ...releaseLines(actions, `${who} ${be}`),
    ...incidents.flatMap(({ id, missing = [] }) =>
      missing.length === 0 ? [] : [`${printable(id)} can't be resolved yet: its recovery needs ${missing.join(', ')}`],
    ),
  ];
}
