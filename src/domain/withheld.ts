/**
 * What readers do not get. Most get no words with which targets, brokers, webhooks and the attestor have answered: they
 * may hold anything, secrets included. Where the service is configured so (`READ_EVIDENCE=restricted`), most get no
 * evidence either. Nobody gets the keys of reports that could be read or guessed.
 *
 * An entry of which something is left out names that in `data.withheld`. Its `entry_hash` stays that of the whole
 * entry. An incident without its evidence says so in `withheld`.
 */
import { writeExact } from '../json/canonical-form.ts';
import type { JsonValue } from '../json/exact-json.ts';
import type { ContainmentResult } from './containment-results.ts';
import type { DeliveryRecord } from './delivery.ts';
import type { CarriedData, Entry, ImportedData, JsonObject, Receipt } from './entries.ts';
import type { Incident } from './incident.ts';

/** What a reader gets of what not everybody gets. */
export interface Reader {
  /** The words with which services have answered. */
  readonly words: boolean;
  /** The evidence of reports. */
  readonly evidence: boolean;
}

/** The recorder's own words for a target that has answered 202, and whose service confirms later. */
export const AWAITED = 'answered 202: its confirmation is awaited';

/** Where foreign words begin in an error, in the reason of an alert about one, or in what a broker said. */
const FOREIGN = /^(.*?(?:answered \d{3}|the broker could not|the machine could not be attested)): .*$/s;

/** The text without what a service said. */
export const withoutAnswer = (text: string): string => (text === AWAITED ? text : (FOREIGN.exec(text)?.[1] ?? text));

/** A delivery, also as part of a posture, without what a service said. */
export function publicDelivery<Delivery extends Omit<DeliveryRecord, 'action'>>(delivery: Delivery): Delivery {
  const { last_error: error, receipt } = delivery;
  return {
    ...delivery,
    ...(error === undefined ? undefined : { last_error: withoutAnswer(error) }),
    ...(receipt === undefined ? undefined : { receipt: withoutBody(receipt) }),
  };
}

/** The JSON text of an incident (`documentOf`) as a reader gets it. */
export function shownIncident(json: string, { words, evidence }: Reader): string {
  const shown = words ? json : publicIncident(json);
  if (evidence || !shown.includes(EVIDENCE)) return shown;
  const { value, withheld } = withoutEvidence(JSON.parse(shown) as JsonObject);
  return withheld.length === 0 ? shown : writeExact({ ...value, withheld });
}

/** The same without the words of services. */
function publicIncident(json: string): string {
  if (!SAYS_SOMETHING.test(json)) return json;
  const incident = JSON.parse(json) as Incident;
  return writeExact({ ...incident, ...publicParts(incident) } as unknown as JsonValue);
}

/** What of an incident may hold words of services, without them. */
const publicParts = ({
  containment,
  containment_results: results,
  recovery,
  drill_releases: releases,
}: Partial<Incident>): Partial<Incident> => ({
  ...(containment && { containment: { ...containment, actions: containment.actions.map(publicDelivery) } }),
  ...(recovery?.failed && { recovery: { ...recovery, failed: { at: recovery.failed.at } } }),
  ...(results && { containment_results: results.map(publicResult) }),
  ...(releases && { drill_releases: releases.map(publicDelivery) }),
});

const EVIDENCE = '"evidence":';

/**
 * A copy of a JSON object without the members `evidence`, wherever they are.
 * @returns also the paths of what was left out: `latest_report.evidence`
 */
function withoutEvidence(object: JsonObject): { readonly value: JsonObject; readonly withheld: readonly string[] } {
  const withheld: string[] = [];
  const shown = (value: JsonValue, path: string): JsonValue => {
    if (Array.isArray(value)) return value.map((item: JsonValue, at) => shown(item, `${path}${at}.`));
    if (typeof value !== 'object' || value === null) return value;
    const members = Object.entries(value).filter(([name]) => {
      if (name === 'evidence') withheld.push(path + name);
      return name !== 'evidence';
    });
    return Object.fromEntries(members.map(([name, member]) => [name, shown(member, `${path}${name}.`)]));
  };
  return { value: shown(object, '') as JsonObject, withheld };
}
const publicResult = (result: ContainmentResult): ContainmentResult =>
  result.error === undefined ? result : { ...result, error: withoutAnswer(result.error) };

/** A quick look: whether a text may hold words of a service. */
const SAYS_SOMETHING = /"last_error":|"body":|"faults":/;

/** The events whose entries may hold words of a service. */
const TELLING: ReadonlySet<string> = new Set([
  'containment.attempted',
  'containment.failed',
  'containment.confirmed',
  'recovery.attestation_failed',
  'alert.raised',
]);
/** The events whose entries may hold the key of a request. */
const REPORTING: ReadonlySet<string> = new Set(['incident.reported', 'incident.recurred']);

/** The event at the beginning of a line; most lines need not be parsed. */
const EVENT = /^\{"timestamp":"[^"]*","event":"([^"]*)"/;
const LONGEST_BEGINNING = 128;

/** The line of an entry, without its newline, as a reader gets it. */
export function shownLine(bytes: Buffer, reader: Reader): Buffer {
  const [, event = ''] = EVENT.exec(bytes.toString('latin1', 0, LONGEST_BEGINNING)) ?? [];
  const withholding: ((entry: Entry) => Withheld)[] = [];
  if (event === 'incident.carried') withholding.push((entry) => withoutState(entry, reader));
  if (event === 'incident.imported' && !reader.words) withholding.push(withoutClaimedErrors);
  if (REPORTING.has(event) && holdsRequest(bytes)) withholding.push(withoutRequest);
  if (TELLING.has(event) && !reader.words) withholding.push(withoutWords);
  if (event === 'fleet.answered' && !reader.words) withholding.push(withoutAnsweredWords);
  if (!reader.evidence && (bytes.includes(EVIDENCE) || bytes.includes(REPEATS))) withholding.push(withoutReported);
  return withholding.length === 0 ? bytes : rewritten(bytes, withholding);
}

/** Fields of `data`, with other values, or undefined to leave them out, and what `withheld` says. */
interface Withheld {
  readonly fields: { readonly [name: string]: JsonValue | undefined };
  readonly names: readonly string[];
}

/** The line without what each of `withholding` leaves of the others; the same bytes when nothing is left out. */
function rewritten(bytes: Buffer, withholding: readonly ((entry: Entry) => Withheld)[]): Buffer {
  let entry = JSON.parse(bytes.toString()) as Entry;
  const withheld: string[] = [];
  for (const withhold of withholding) {
    const { fields, names } = withhold(entry);
    entry = { ...entry, data: { ...entry.data, ...fields } } as Entry;
    withheld.push(...names);
  }
  if (withheld.length === 0) return bytes;
  return Buffer.from(writeExact({ ...entry, data: { ...entry.data, withheld } }));
}

/** Every event may hold evidence: what a later version adds is withheld until it is looked at. */
function withoutReported({ data }: Entry): Withheld {
  const { value, withheld } = withoutEvidence(data);
  const changed = new Set(withheld.map((path) => path.split('.', 1)[0] ?? ''));
  const hashes = HASHES.filter((name) => name in data);
  const kept = [...changed].map((name) => [name, value[name]] as const);
  return {
    fields: Object.fromEntries([...kept, ...hashes.map((name) => [name, undefined] as const)]),
    names: [...withheld, ...hashes],
  };
}

/** Hashes of values in evidence: where the log has no audit key, anybody can test guesses on them. */
const HASHES = ['repeat', 'repeats'] as const;
const REPEATS = '"repeats":[';

function withoutWords({ data }: Entry): Withheld {
  const { error, reason, receipt, faults } = data as Partial<
    Readonly<{ error: string; reason: string; receipt: Receipt; faults: readonly string[] }>
  >;
  const shown = {
    ...(faults !== undefined && { faults: undefined }),
    ...(error !== undefined && { error: withoutAnswer(error) }),
    ...(reason !== undefined && { reason: withoutAnswer(reason) }),
    ...(receipt !== undefined && { receipt: withoutBody(receipt) }),
  };
  const names = [
    ...(shown.error === error ? [] : ['error']),
    ...(shown.reason === reason ? [] : ['reason']),
    ...(faults === undefined ? [] : ['faults']),
    ...(shown.receipt === receipt ? [] : ['receipt.body']),
  ];
  return { fields: shown, names };
}

/** The answer to a command of the fleet: to ask the attestor again, it says what that has said. */
function withoutAnsweredWords({ data }: Entry): Withheld {
  const { answer = {} } = data as { readonly answer?: JsonObject };
  const { error, faults, ...rest } = answer;
  const said = typeof error === 'string' ? withoutAnswer(error) : error;
  const names = [...(said === error ? [] : ['answer.error']), ...(faults === undefined ? [] : ['answer.faults'])];
  if (names.length === 0) return { fields: {}, names };
  return { fields: { answer: { ...rest, ...(said === undefined ? {} : { error: said }) } }, names };
}

/** A quick look: whether a line may hold the key of a request. */
const holdsRequest = (bytes: Buffer): boolean => bytes.includes('"request":{') || bytes.includes('"idempotency":{');

/**
 * Old entries hold the key of a request itself. Newer ones hold hashes, which anybody can compute where the log has no
 * audit key. Whoever knew the keys of a source could guess its next one, and use that first: so nobody gets them.
 */
function withoutRequest({ data, algorithm }: Entry): Withheld {
  const names = ['idempotency', ...(algorithm === 'sha256' ? ['request'] : [])].filter((name) => name in data);
  return { fields: Object.fromEntries(names.map((name) => [name, undefined])), names };
}

/** What was carried over, without the requests, and without what services said. */
function withoutState({ data }: Entry, { words }: Reader): Withheld {
  const { record } = data as Pick<CarriedData, 'record'>;
  const shown = words ? {} : publicParts(record);
  const names = Object.entries(shown)
    .filter(([name, part]) => writeExact(part as unknown as JsonValue) !== writeExact(record[name]!))
    .map(([name]) => `record.${name}`);
  return {
    fields: {
      requests: undefined,
      ...(names.length > 0 && { record: { ...record, ...(shown as unknown as JsonObject) } }),
    },
    names: ['requests', ...names],
  };
}

/** What was imported, without the words with which services answered the other recorder. */
function withoutClaimedErrors({ data }: Entry): Withheld {
  const { claims } = data as Pick<ImportedData, 'claims'>;
  const results = claims.containment_results ?? [];
  if (!results.some((result) => 'error' in result)) return { fields: {}, names: [] };
  const shown = results.map(({ error: _, ...result }) => result);
  return { fields: { claims: { ...claims, containment_results: shown } }, names: ['claims.containment_results.error'] };
}

/** The same receipt when there is no body. */
function withoutBody(receipt: Receipt): Receipt {
  if (receipt.by !== 'answer' || receipt.body === undefined) return receipt;
  const { by, status } = receipt;
  return status === undefined ? { by } : { by, status };
}
