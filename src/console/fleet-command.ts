/**
 * Commands at the fleet: it stores them, the machine fetches them and decides, and the answer comes back. A page that gave
 * one waits a while for the answer.
 */
import { keyOfIncident, nameOfIncident } from './incident-key.ts';
import { command, Refusal } from './request.ts';

/** How long the fleet is asked to wait for the machine's answer, in seconds. */
const WAITS = 20;

/** A command as the fleet shows it. */
export interface FleetCommand {
  readonly id: string;
  readonly machine: string;
  readonly command: string;
  readonly incident?: string | null;
  readonly body: Readonly<Record<string, unknown>>;
  readonly by: string;
  readonly role: string;
  readonly status: 'pending' | 'done' | 'refused' | 'expired';
  readonly issued_at: string;
  readonly expires_at: string;
  readonly fetched_at: string | null;
  readonly finished_at: string | null;
  readonly answer: { readonly status: number; readonly body: Readonly<Record<string, unknown>> } | null;
  readonly reason: string | null;
  readonly act: string | null;
}

/**
 * Sends a command, and waits for what its machine says.
 * @param body as the recorder takes it, with keys of incidents
 * @throws Refusal: the fleet's, the machine's, or that the machine has not answered yet (status 202)
 */
export const commandMachine = async <Body>(path: string, token: string, body: object): Promise<Body> => {
  // A body may have a key of its own, the same for every try; the header would count instead.
  const key = 'idempotency_key' in body ? {} : { 'idempotency-key': crypto.randomUUID() };
  const headers = { prefer: `wait=${WAITS}`, ...key };
  const given = await command<FleetCommand>(path, token, forMachine(body), headers);
  // What the fleet does itself has no fate.
  if (given.status === undefined) return given as Body;
  const { status, answer, machine, reason, id } = given;
  if (status === 'done') return keyed(answer?.body ?? {}, machine) as Body;
  if (status === 'pending')
    throw new Refusal(202, `${machine} has not answered yet: the command waits for it, see ${id} in Commands`);
  if (status === 'expired') throw new Refusal(410, `${machine} has not fetched it in time: it was not carried out`);
  const { error, ...fields } = answer?.body ?? {};
  const why = typeof error === 'string' ? error : (reason ?? 'without a reason');
  throw new Refusal(answer?.status ?? 409, `${machine} refused: ${why}`, fields);
};

/** The body with the incident's own identifier, and its machine beside it. */
const forMachine = (body: object): object => {
  const fields: Record<string, unknown> = { ...body };
  for (const name of ['id', 'incident_id']) {
    const key = fields[name];
    if (typeof key !== 'string') continue;
    const { id, machine } = nameOfIncident(key);
    fields[name] = id;
    if (machine !== undefined) fields['machine'] = machine;
  }
  return fields;
};

const keyed = (answer: Readonly<Record<string, unknown>>, machine: string): object => {
  const { id } = answer;
  return { ...answer, ...(typeof id === 'string' && { id: keyOfIncident(id, machine) }) };
};
