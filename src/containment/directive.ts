/**
 * What is sent to a service so that it carries out a directive.
 *
 * The services that exist are strict: their body is exactly these fields, all strings, and any other is refused. So all
 * else travels in headers.
 */
import type { ContainmentAction, Directive } from '../../machines/vocabulary.ts';
import type { DeliveryName, DeliveryRecord } from '../domain/delivery.ts';
import type { Incident } from '../domain/incident.ts';
import type { JsonObject } from '../domain/entries.ts';
import { forbiddenInName, withoutHidden } from '../domain/hidden-characters.ts';

/** The longest reason that they take. They may count it in bytes. */
const LONGEST_REASON = 1024;

/** The body of a request, before `action` is given the word that its service knows for it. */
export interface DirectiveBody {
  readonly incident_id: string;
  readonly reason: string;
  readonly model_path?: string;
  readonly model_name?: string;
}

/**
 * Tells a directive's deliveries apart, and never two attempts at the same one. What was carried out once and then lost
 * is asked for under another key: its service would take the first for a repetition, answer 200, and do nothing.
 */
const deliveryKey = ({ incident, action, directive }: DeliveryName, confirmedAt: string | undefined): string => {
  const key = `${incident}-${action}-${directive}`;
  return confirmedAt === undefined ? key : `${key}-${Date.parse(confirmedAt)}`;
};

/**
 * The body for an incident, or why there is none: `quarantine_model` has to say which model, and takes that from the
 * evidence (`model_path`, else `violation_0_path`, and `model_name`) of the first report, else of the latest. A reporter chooses these texts and the target acts
 * on them, so they must be safe to use as a relative path and as a name.
 */
export function bodyFor(action: ContainmentAction, incident: Incident): DirectiveBody | string {
  const reason = shortened(withoutHidden(`${incident.class}: ${incident.description}`));
  const body = { incident_id: incident.id, reason };
  if (action !== 'quarantine_model') return body;
  const { path, name } = modelIn(incident.evidence) ?? modelIn(incident.latest_report?.evidence) ?? {};
  if (path === undefined && name === undefined) {
    return 'the evidence names no model: it has neither model_path, violation_0_path nor model_name';
  }
  const fault =
    (path === undefined ? undefined : faultOfPath(path)) ?? (name === undefined ? undefined : faultOfName(name));
  if (fault !== undefined) return `the evidence can't be passed on: ${fault}; a person has to name the model`;
  return {
    ...body,
    ...(path === undefined ? {} : { model_path: path }),
    ...(name === undefined ? {} : { model_name: name }),
  };
}

/** The headers for an incident, whose delivery is not confirmed, or not any more. */
export const headersFor = (
  name: DeliveryName,
  incident: Incident,
  delivery?: Pick<DeliveryRecord, 'confirmed_at'>,
): Readonly<Record<string, string>> & { readonly 'idempotency-key': string } => ({
  'idempotency-key': deliveryKey(name, delivery?.confirmed_at),
  'containment-directive': name.directive satisfies Directive,
  'incident-class': incident.class,
  'incident-severity': incident.severity,
});

/** The model that evidence names; undefined when it names none. */
function modelIn(evidence: JsonObject | undefined): { readonly path?: string; readonly name?: string } | undefined {
  const path = textIn(evidence, 'model_path') ?? textIn(evidence, 'violation_0_path');
  const name = textIn(evidence, 'model_name');
  if (path === undefined && name === undefined) return undefined;
  return { ...(path === undefined ? {} : { path }), ...(name === undefined ? {} : { name }) };
}

const textIn = (evidence: JsonObject | undefined, key: string): string | undefined => {
  const value = evidence === undefined || !Object.hasOwn(evidence, key) ? undefined : evidence[key];
  return typeof value === 'string' && value.trim() !== '' ? value : undefined;
};

/** The longest path and name of a model that is passed on, in bytes. */
const LONGEST_PATH = 1024;
const LONGEST_NAME = 256;

/** A percent sign before two digits, which a service may decode; and letters that are drawn like a slash. */
const ENCODED = /%[\da-f]{2}/i;
const LIKE_A_SLASH = /[\u2044\u2215\u2216\u27cb\u27cd\u29f5\u29f8\u29f9]/;

/** Why a path is not passed on: it could name a file outside the directory of models, or be read as something else. */
function faultOfPath(text: string): string | undefined {
  if (Buffer.byteLength(text) > LONGEST_PATH) return `the path of the model has more than ${LONGEST_PATH} bytes`;
  if (isUnprintable(text)) return 'the path of the model holds characters that can not be seen';
  // What a service reads that folds variants of characters: full stops and slashes have some.
  const path = text.normalize('NFKC').trim();
  if (/^(?:[/~]|[\w+.-]+:)|\\/.test(path)) return 'the path of the model is not relative';
  if (path.startsWith('-')) return 'the path of the model begins with a hyphen, like an option';
  if (hasParent(path)) return 'the path of the model has ".." in it';
  if (ENCODED.test(path)) return 'the path of the model holds encoded characters';
  return LIKE_A_SLASH.test(path) ? 'the path of the model holds a sign that looks like a slash' : undefined;
}

/** Whether a part of a path is "..": alone, or with spaces that some file systems leave out. */
const hasParent = (path: string): boolean => path.split('/').some((part) => part.trim() === '..');

function faultOfName(name: string): string | undefined {
  if (Buffer.byteLength(name) > LONGEST_NAME) return `the name of the model has more than ${LONGEST_NAME} bytes`;
  if (isUnprintable(name)) return 'the name of the model holds characters that can not be seen';
  return /^[\p{L}\p{N}][\p{L}\p{N}\p{M} ._:@+/()-]*$/u.test(name) && !hasParent(name.normalize('NFKC'))
    ? undefined
    : 'the name of the model holds signs that a name has not';
}

const isUnprintable = (text: string): boolean => forbiddenInName(text) !== undefined;

/** The beginning of a text that fits, ending with a whole character. */
function shortened(text: string): string {
  if (Buffer.byteLength(text) <= LONGEST_REASON) return text;
  const bytes = Buffer.from(text).subarray(0, LONGEST_REASON - Buffer.byteLength('…'));
  return `${bytes.toString().replace(/\uFFFD+$/, '')}…`;
}
