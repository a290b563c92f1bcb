import { Contradiction } from './contradiction.ts';
import type { IncidentEntry } from './entries.ts';
import { fold, type IncidentRecord } from './incident.ts';

/**
 * The incident after an entry, when entries about it before that are missing from the log. Where the entry makes no sense
 * without them, the incident stays as it was last known: what holds an action keeps holding it.
 */
export function foldOverGap(before: IncidentRecord, entry: IncidentEntry): IncidentRecord {
  const { version } = entry.data;
  const bridged = { ...before, incident: { ...before.incident, version: version - 1 } };
  try {
    return fold(bridged, entry);
  } catch (error) {
    if (!(error instanceof Contradiction)) throw error;
    const { entry_hash: hash, timestamp: updated_at } = entry;
    return { ...before, incident: { ...before.incident, version, hash, updated_at } };
  }
}
