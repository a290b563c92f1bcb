/**
 * A whole incident in one entry, and the incident that a replay makes of it.
 *
 * `incident.carried` repeats what the entries before it have made of an unresolved incident, so that these can go to the
 * archive. A replay that has them compares; one that lacks them begins with it. Both come to the same record.
 */
import { type IncidentSnapshot, snapshotOf } from '../../machines/decision.ts';
import type { IncidentContext } from '../../machines/incident.ts';
import type { Rule, State } from '../../machines/vocabulary.ts';
import { canonicalForm } from '../json/canonical-form.ts';
import type { JsonValue } from '../json/exact-json.ts';
import type { Caller } from './caller.ts';
import { Contradiction } from './contradiction.ts';
import type {
  CarriedData,
  DraftOf,
  EarlierEntries,
  EntryOf,
  JsonObject,
  RepeatNote,
  Report,
  WholeEvent,
  WholeIncident,
} from './entries.ts';

/** What is needed of an incident here; the rest of it is repeated as it is. */
interface Shown {
  readonly id: string;
  readonly state: State;
  readonly source: string;
  readonly version: number;
  readonly containment?: unknown;
}

/** An `IncidentRecord`, of which this file does not import the type: that one imports this. */
interface RecordOf<Incident> {
  readonly incident: Incident;
  readonly snapshot: IncidentSnapshot;
  readonly seq: number;
  readonly decisive: number;
  readonly carried?: number | undefined;
}

/** What an incident shows and an entry says elsewhere: in `data`, in the report, or by its own hash. */
const ELSEWHERE = ['id', 'class', 'state', 'source', 'description', 'evidence', 'dedup_key', 'version', 'hash'];

/** What is taken from the log and the database for an incident that is carried over. */
export interface CarriedParts {
  readonly report: Report;
  readonly rule: Rule;
  readonly requests: CarriedData['requests'];
  readonly repeats: readonly RepeatNote[];
  readonly earlier: EarlierEntries;
}

/** The entry that carries an incident over. */
export function carry(
  record: RecordOf<Shown>,
  { report, rule, requests, repeats, earlier }: CarriedParts,
  timestamp: string,
  caller?: Caller,
): DraftOf<'incident.carried'> {
  const { incident, seq, decisive } = record;
  const data = {
    incident: incident.id,
    version: incident.version + 1,
    state: incident.state,
    reported_seq: seq,
    decisive,
    report,
    rule,
    ...partsOf(record),
    requests,
    ...(repeats.length === 0 ? {} : { repeats }),
    earlier,
    ...caller,
  };
  return { timestamp, event: 'incident.carried', data };
}

/** The record that an entry with a whole incident stands for. */
export function wholeIncident<Incident>(entry: EntryOf<WholeEvent>): RecordOf<Incident> {
  const { data, entry_hash: hash } = entry;
  const { incident: id, version, state, report, context, record } = data;
  const { created_at, updated_at, severity, ...rest } = record;
  const incident = {
    id,
    created_at,
    updated_at,
    class: report.class,
    severity,
    state,
    source: report.source,
    description: report.description,
    ...(report.evidence === undefined ? {} : { evidence: report.evidence }),
    ...(report.dedup_key === undefined ? {} : { dedup_key: report.dedup_key }),
    ...rest,
    version,
    hash,
  };
  const snapshot = snapshotOf(state, context as unknown as IncidentContext);
  if (entry.event === 'incident.imported') {
    const own = { ...incident, ...askedFor(record.containment, data.seq) };
    return { incident: own as Incident, snapshot, seq: data.seq, decisive: version };
  }
  const { reported_seq: seq, decisive } = data as CarriedData;
  return { incident: incident as Incident, snapshot, seq, decisive, carried: data.seq };
}

/** The deliveries of an imported incident: they are asked for by its entry, which could not name itself. */
function askedFor(containment: JsonValue | undefined, seq: number): object {
  if (containment === undefined) return {};
  const { actions, ...rest } = containment as unknown as { readonly actions: readonly object[] };
  return { containment: { ...rest, actions: actions.map((delivery) => ({ ...delivery, asked_seq: seq })) } };
}

/**
 * The record after an entry that carries it over: nothing but its version and hash has changed.
 * @throws Contradiction when the entry says something else of it
 */
export function carriedOver<Incident extends Shown>(
  before: RecordOf<Incident>,
  entry: EntryOf<'incident.carried'>,
): RecordOf<Incident> {
  const { context, record, reported_seq, decisive, report, state } = entry.data;
  const said = { context, record, reported_seq, decisive, state, source: report.source };
  const { incident, seq, decisive: known } = before;
  const parts = partsOf(before);
  const own = {
    context: parts.context,
    record: 'notes_count' in record ? parts.record : withoutNotes(parts.record),
    reported_seq: seq,
    decisive: known,
    state: incident.state,
    source: incident.source,
  };
  if (formOf(said) !== formOf(own)) throw new Contradiction(entry, 'it carries over another state than there was');
  const whole = wholeIncident<Incident>(entry);
  const { containment } = incident;
  // The same deliveries: nothing is asked for again.
  return { ...whole, incident: containment === undefined ? whole.incident : { ...whole.incident, containment } };
}

/** Versions before log format 3 kept no list of notes. */
function withoutNotes(record: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(record).filter(([name]) => name !== 'notes' && name !== 'notes_count'));
}

/** What the report does not say of a record, as plain JSON. */
function partsOf({
  incident,
  snapshot,
}: Pick<RecordOf<Shown>, 'incident' | 'snapshot'>): Pick<WholeIncident, 'context' | 'record'> {
  const record: Partial<Record<string, JsonValue>> = JSON.parse(JSON.stringify(incident));
  for (const name of ELSEWHERE) delete record[name];
  return { context: JSON.parse(JSON.stringify(snapshot.context)), record: record as JsonObject };
}

const formOf = (value: unknown): string => canonicalForm(value as JsonValue);
