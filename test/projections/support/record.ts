import { snapshotOf } from '../../../machines/decision.ts';
import type { Incident, IncidentRecord } from '../../../src/domain/incident.ts';

const START = Date.parse('2026-11-22T00:00:00.000Z');

/** Time is data: the clock jumps by hours, back and forth. */
const jumping = (seq: number): string =>
  new Date(START + seq * 1000 + (seq % 7) * 3_600_000 * (seq % 3 === 0 ? -1 : 1)).toISOString();

/** A record as the projections store it. @param created_at RFC 3339 */
export function recordOf(seq: number, fields: Partial<Incident>, created_at = jumping(seq)): IncidentRecord {
  const incident: Incident = {
    id: `INC-20261122-${String(seq).padStart(12, '0')}`,
    created_at,
    updated_at: created_at,
    class: 'prompt_injection',
    severity: 'high',
    state: 'open',
    source: 'airlock',
    description: `incident ${seq}`,
    occurrences: 1,
    version: 1,
    hash: '',
    ...fields,
  };
  const context = { auto_contain: false, actions: [], occurrences: 1, standings: {} };
  return { incident, seq, decisive: 1, snapshot: snapshotOf(incident.state, context) };
}
