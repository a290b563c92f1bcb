import type { ContainmentAction } from '../../machines/vocabulary.ts';
import { type EntryOf, isAboutIncident } from '../domain/entries.ts';
import { RecorderError } from '../errors.ts';
import { LogCursor } from './log-cursor.ts';
import type { ReadableLog } from './log.ts';
import type { Holders, SignedPosture } from './signed-posture.ts';

/** What a signed posture and the entries behind it lead to: how many hold each action, or why it is not of this log. */
export interface FoldedPosture {
  readonly holders?: Holders;
  readonly fault?: string;
}

/**
 * Folds the entries behind a signed posture, each of which is verified.
 *
 * An incident that asks again for what it holds is counted twice. So a count may be too high, never too low.
 * @param to `seq` of the last entry to fold
 * @param rest awaited after each page
 * @returns neither field when the entries behind the posture are no longer in the log
 * @throws RecorderError `damaged_log`, `overloaded` like `LogCursor`; whatever `rest` throws
 */
export async function foldPosture(
  log: ReadableLog,
  { head, holders }: SignedPosture,
  to: number,
  rest: () => Promise<void>,
): Promise<FoldedPosture> {
  const { entries: seq, hash } = head;
  if (seq > to) return { fault: `it counts ${seq} entries, the log ends after entry ${to}` };
  const counts = { ...holders };
  const cursor = new LogCursor(log, Math.max(0, seq - 1));
  try {
    while (cursor.position < to) {
      for (const line of await cursor.next()) {
        if (line.seq > to) break;
        const entry = line.entry();
        if (line.seq === seq && entry.entry_hash !== hash)
          return { fault: `its entry ${seq} is another than the log's` };
        if (line.seq <= seq || !isAboutIncident(entry)) continue;
        // A drill holds nothing.
        if (entry.data.drill === true) continue;
        if (entry.event === 'incident.imported') for (const action of heldBy(entry)) counts[action] += 1;
        if (!('intents' in entry.data)) continue;
        for (const { action, directive } of entry.data.intents ?? []) counts[action] += directive === 'engage' ? 1 : -1;
      }
      await rest();
    }
  } catch (error) {
    if (!(error instanceof RecorderError) || error.code !== 'gone') throw error;
    return {};
  }
  return { holders: counts };
}

/** The actions that an imported incident holds. */
const heldBy = ({ data: { state, record } }: EntryOf<'incident.imported'>): readonly ContainmentAction[] =>
  state === 'resolved' ? [] : ((record.containment_actions ?? []) as readonly ContainmentAction[]);
