/**
 * What a reader without the service token gets: everything but the words with which targets, brokers and webhooks have
 * answered. They may hold anything, secrets included.
 *
 * An entry whose words are left out names the fields in `data.withheld`. Its `entry_hash` stays that of the whole entry.
 */
import { writeExact } from '../json/canonical-form.ts';
import type { JsonValue } from '../json/exact-json.ts';
import type { DeliveryRecord } from './delivery.ts';
import type { Entry, Receipt } from './entries.ts';
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

/** The event at the beginning of a line; most lines need not be parsed. */
const EVENT = /^\{"timestamp":"[^"]*","event":"([^"]*)"/;
const LONGEST_BEGINNING = 128;

/** The line of an entry, without its newline. */
export function publicLine(bytes: Buffer): Buffer {
  const [, event = ''] = EVENT.exec(bytes.toString('latin1', 0, LONGEST_BEGINNING)) ?? [];
  if (!TELLING.has(event)) return bytes;
  const entry = JSON.parse(bytes.toString()) as Entry;
  const data = entry.data as { readonly error?: string; readonly reason?: string; readonly receipt?: Receipt };
  const { error, reason, receipt } = data;
  const shown = {
    ...(error !== undefined && { error: withoutAnswer(error) }),
    ...(reason !== undefined && { reason: withoutAnswer(reason) }),
    ...(receipt !== undefined && { receipt: withoutBody(receipt) }),
  };
  const withheld = [
    ...(shown.error === error ? [] : ['error']),
    ...(shown.reason === reason ? [] : ['reason']),
    ...(shown.receipt === receipt ? [] : ['receipt.body']),
  ];
  if (withheld.length === 0) return bytes;
  return Buffer.from(writeExact({ ...entry, data: { ...data, ...shown, withheld } }));
}

/** The same receipt when there is no body. */
function withoutBody(receipt: Receipt): Receipt {
  if (receipt.by !== 'answer' || receipt.body === undefined) return receipt;
  const { by, status } = receipt;
  return status === undefined ? { by } : { by, status };
}
