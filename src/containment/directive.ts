/**
 * What is sent to a service so that it carries out a directive.
 *
 * The services that exist are strict: their body is exactly these fields, all strings, and any other is refused. So all
 * else travels in headers.
 */
import type { ContainmentAction, Directive } from '../../machines/vocabulary.ts';
import type { DeliveryName, DeliveryRecord } from '../domain/delivery.ts';
import type { Incident } from '../domain/incident.ts';
import { withoutHidden } from '../domain/hidden-characters.ts';
import { modelNamedBy } from '../domain/model-evidence.ts';

/** The longest reason that they take. They may count it in bytes. */
const LONGEST_REASON = 1024;

/** The body of a request, before `action` is given the word that its service knows for it. */
export interface DirectiveBody {
  readonly incident_id: string;
  readonly reason: string;
  readonly model_path?: string;
  readonly model_name?: string;
}

/** What of a delivery tells it apart from others of the same name. */
type Distinguishing = Pick<DeliveryRecord, 'confirmed_at' | 'round'>;

/**
 * Tells a directive's deliveries apart, and never two attempts at the same one. What was carried out once and then lost,
 * and what is asked for again after an early release, is asked for under another key: its service would take it for a
 * repetition, answer 200, and do nothing.
 */
const deliveryKey = (
  { incident, action, directive }: DeliveryName,
  { confirmed_at: confirmedAt, round }: Distinguishing = {},
): string => {
  const key = `${incident}-${action}-${directive}${round === undefined ? '' : `-again${round}`}`;
  return confirmedAt === undefined ? key : `${key}-${Date.parse(confirmedAt)}`;
};

/**
 * The body for an incident, or why there is none: `quarantine_model` has to say which model, and a person has to act
 * where the evidence names none (`modelNamedBy`).
 */
export function bodyFor(action: ContainmentAction, incident: Incident): DirectiveBody | string {
  const drill = incident.drill === true ? 'DRILL: ' : '';
  const reason = shortened(withoutHidden(`${drill}${incident.class}: ${incident.description}`));
  const body = { incident_id: incident.id, reason };
  if (action !== 'quarantine_model') return body;
  const model = modelNamedBy(incident);
  if (typeof model === 'string') return model;
  const { path, name } = model;
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
  delivery?: Distinguishing,
): Readonly<Record<string, string>> & { readonly 'idempotency-key': string } => ({
  'idempotency-key': deliveryKey(name, delivery),
  'containment-directive': name.directive satisfies Directive,
  'incident-class': incident.class,
  'incident-severity': incident.severity,
  // Its service may rehearse in a way that touches nothing.
  ...(incident.drill === true && { 'containment-drill': 'true' }),
});

/** The beginning of a text that fits, ending with a whole character. */
function shortened(text: string): string {
  if (Buffer.byteLength(text) <= LONGEST_REASON) return text;
  const bytes = Buffer.from(text).subarray(0, LONGEST_REASON - Buffer.byteLength('…'));
  return `${bytes.toString().replace(/\uFFFD+$/, '')}…`;
}
