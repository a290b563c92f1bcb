/**
 * What readers do not get. Without the service token those are the words with which targets, brokers and webhooks have
 * answered: they may hold anything, secrets included. Nobody gets the keys of reports that could be read or guessed.
 *
 * An entry of which something is left out names that in `data.withheld`. Its `entry_hash` stays that of the whole
 * entry.
 */
import { writeExact } from '../json/canonical-form.ts';
import type { JsonValue } from '../json/exact-json.ts';
import type { DeliveryRecord } from './delivery.ts';
import type { CarriedData, Entry, ImportedData, Receipt } from './entries.ts';
import type { Incident } from './incident.ts';

/** The recorder's own words for a target that has answered 202, and whose service confirms later. */
export const AWAITED = 'answered 202: its confirmation is awaited';

/** Where foreign words begin in an error, in the reason of an alert about one, or in what a broker said. */
const FOREIGN = /^(.*?(?:answered \d{3}|the broker could not)): .*$/s;

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

/** The JSON text of an incident, as `documentOf` writes it. */
export function publicIncident(json: string): string {
  if (!SAYS_SOMETHING.test(json)) return json;
  const incident = JSON.parse(json) as Incident;
  const { containment } = incident;
  if (containment === undefined) return json;
  const actions = containment.actions.map(publicDelivery);
  return writeExact({ ...incident, containment: { ...containment, actions } } as unknown as JsonValue);
}

/** A quick look: whether a text may hold words of a service. */
const SAYS_SOMETHING = /"last_error":|"receipt":/;

/** The events whose entries may hold words of a service. */
const TELLING: ReadonlySet<string> = new Set([
  'containment.attempted',
  'containment.failed',
  'containment.confirmed',
  'alert.raised',
]);
/** The events whose entries may hold the key of a request. */
const REPORTING: ReadonlySet<string> = new Set(['incident.reported', 'incident.recurred']);

/** The event at the beginning of a line; most lines need not be parsed. */
const EVENT = /^\{"timestamp":"[^"]*","event":"([^"]*)"/;
const LONGEST_BEGINNING = 128;

/**
 * The line of an entry, without its newline, as a reader gets it.
 * @param trusted whether the reader has the token
 */
export function shownLine(bytes: Buffer, trusted: boolean): Buffer {
  const [, event = ''] = EVENT.exec(bytes.toString('latin1', 0, LONGEST_BEGINNING)) ?? [];
  if (event === 'incident.carried') return rewritten(bytes, (entry) => withoutState(entry, trusted));
  if (event === 'incident.imported') return trusted ? bytes : rewritten(bytes, withoutClaimedErrors);
  if (REPORTING.has(event)) return holdsRequest(bytes) ? rewritten(bytes, withoutRequest) : bytes;
  return TELLING.has(event) && !trusted ? rewritten(bytes, withoutWords) : bytes;
}

/** Fields of `data`, with other values, or undefined to leave them out, and what `withheld` says. */
interface Withheld {
  readonly fields: { readonly [name: string]: JsonValue | undefined };
  readonly names: readonly string[];
}

/** The line without what `withhold` names; the same bytes when that is nothing. */
function rewritten(bytes: Buffer, withhold: (entry: Entry) => Withheld): Buffer {
  const entry = JSON.parse(bytes.toString()) as Entry;
  const { fields, names: withheld } = withhold(entry);
  if (withheld.length === 0) return bytes;
  return Buffer.from(writeExact({ ...entry, data: { ...entry.data, ...fields, withheld } }));
}

function withoutWords({ data }: Entry): Withheld {
  const { error, reason, receipt } = data as { error?: string; reason?: string; receipt?: Receipt };
  const shown = {
    ...(error !== undefined && { error: withoutAnswer(error) }),
    ...(reason !== undefined && { reason: withoutAnswer(reason) }),
    ...(receipt !== undefined && { receipt: withoutBody(receipt) }),
  };
  const names = [
    ...(shown.error === error ? [] : ['error']),
    ...(shown.reason === reason ? [] : ['reason']),
    ...(shown.receipt === receipt ? [] : ['receipt.body']),
  ];
  return { fields: shown, names };
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
function withoutState({ data }: Entry, trusted: boolean): Withheld {
  const { record } = data as Pick<CarriedData, 'record'>;
  const { containment } = record as unknown as Pick<Incident, 'containment'>;
  const shown = containment && { ...containment, actions: containment.actions.map(publicDelivery) };
  const isPublic =
    trusted ||
    shown === undefined ||
    writeExact(shown as unknown as JsonValue) === writeExact(containment as unknown as JsonValue);
  return {
    fields: {
      requests: undefined,
      ...(isPublic ? {} : { record: { ...record, containment: shown as unknown as JsonValue } }),
    },
    names: ['requests', ...(isPublic ? [] : ['record.containment'])],
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
