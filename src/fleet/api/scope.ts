/**
 * Which machines a request is about: those that it names by `machine=`, those with the labels that it asks for
 * (`label.site=berlin`, or `site=berlin`), and of these the ones that its principal may see.
 */
import { sql } from 'kysely';
import { parseQuery } from '../../api/request/query.ts';
import { RecorderError } from '../../errors.ts';
import { type FleetPrincipal, isLabel, type MachineBounds } from '../access.ts';
import type { FleetDatabase } from '../database.ts';

export interface Scope {
  /** The machines; undefined for all. */
  readonly machines: readonly string[] | undefined;
  /** What is left of the query string: the parameters that the recorder's API has, too. */
  readonly query: string;
}

/** The label that has a parameter of its own. */
const SITE = 'site';
const LABEL = 'label.';
/** Machines that one request may name, and those that one answer may be about. */
const MOST_NAMED = 100;
const MOST_IN_SCOPE = 100_000;

interface Named {
  readonly machines: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly query: string;
}

/** Whether a parameter, or a member of a filter, says which machines are meant. */
export const isOfScope = (name: string): boolean => name === 'machine' || name === SITE || name.startsWith(LABEL);

const ALLOWED = '(allowed: ';
const NONE = '(there are none here)';
const SCOPE_NAMES = ['machine', SITE, `${LABEL}NAME`];

/** An error about an unknown parameter, whose list of known ones is the recorder's, with those that name machines. */
export function namingScope(error: unknown): unknown {
  if (!(error instanceof RecorderError) || !error.message.startsWith('unknown parameter ')) return error;
  const { code, message, fields } = error;
  const allowed = [...SCOPE_NAMES, ...(Array.isArray(fields.allowed) ? (fields.allowed as string[]) : [])];
  const scope = `${ALLOWED}${SCOPE_NAMES.join(', ')}`;
  const names = message.includes(NONE) ? message.replace(NONE, `${scope})`) : message.replace(ALLOWED, `${scope}, `);
  return new RecorderError(code, names, { cause: error, fields: { ...fields, allowed } });
}

/** Parts the parameters that name machines from the others. @throws RecorderError `invalid_request` */
export function readNamed(querystring: string): Named {
  const rest = new URLSearchParams();
  const machines: string[] = [];
  const labels: Record<string, string> = {};
  for (const [name, values] of Object.entries(parseQuery(querystring))) {
    if (name === 'machine') {
      machines.push(...values.filter((value) => value !== ''));
      continue;
    }
    const label = name === SITE ? SITE : name.startsWith(LABEL) ? name.slice(LABEL.length) : undefined;
    if (label === undefined) {
      for (const value of values) rest.append(name, value);
      continue;
    }
    if (!isLabel(label)) throw new RecorderError('invalid_request', `${name}: not the name of a label`);
    for (const value of values) {
      if (value === '') continue;
      if (labels[label] !== undefined && labels[label] !== value) {
        throw new RecorderError('invalid_request', `${name} may be given only once`);
      }
      labels[label] = value;
    }
  }
  if (machines.length > MOST_NAMED) {
    throw new RecorderError('invalid_request', `machine may be given at most ${MOST_NAMED} times`);
  }
  return { machines, labels, query: rest.toString() };
}

/** The machines of a request, out of those that its principal may see. @throws RecorderError `invalid_request` */
export async function scopeOf(db: FleetDatabase, querystring: string, bounds: MachineBounds): Promise<Scope> {
  const { machines, labels, query } = readNamed(querystring);
  const wanted = bounds === 'any' ? [labels] : [labels, bounds];
  const isAny = machines.length === 0 && wanted.every((one) => Object.keys(one).length === 0);
  if (isAny) return { machines: undefined, query };
  const { rows } = await sql<{ machine: string }>`
    SELECT machine FROM machines
    WHERE ${sql.join(
      wanted.map((one) => sql`labels @> ${JSON.stringify(one)}::jsonb`),
      sql` AND `,
    )}
      ${machines.length === 0 ? sql`` : sql`AND (machine = ANY(${machines}::text[]) OR name = ANY(${machines}::text[]))`}
    ORDER BY machine LIMIT ${sql.lit(MOST_IN_SCOPE)}`.execute(db);
  return { machines: rows.map(({ machine }) => machine), query };
}

/** What the principal of a request may see; everything where reads are open. */
export const boundsOf = (principal: FleetPrincipal | undefined): MachineBounds => principal?.machines ?? 'any';
