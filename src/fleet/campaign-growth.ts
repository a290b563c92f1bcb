/** Which campaigns grow by new members, and which are new. */
import { sql, type Transaction } from 'kysely';
import { storable } from './acts.ts';
import type { Grown } from './campaign-counts.ts';
import type { NewMember } from './campaign-members.ts';
import type { CampaignRule } from './fleet-policy.ts';
import type { FleetTables } from './schema.ts';

type Tx = Transaction<FleetTables>;

/** How many members are compared with those around them in one query, and with how many each: 50,000 rows at most are in memory. */
const COMPARED_AT_ONCE = 5;
const MOST_COMPARED = 10_000;

/** A campaign that another process has raised between: it is to be looked at again. */
export class RaisedMeanwhile extends Error {}

export interface RaisedCampaign extends Grown {
  readonly rule: string;
  readonly class: string;
  readonly shared: string;
  readonly machines: number;
}

/** What becomes of campaigns by the new members of a log. */
export class Growth {
  readonly raised: RaisedCampaign[] = [];
  readonly #bySignature = new Map<string, Grown[]>();

  constructor(known: readonly Grown[]) {
    for (const one of known) this.#keep(one);
  }

  #keep(campaign: Grown): void {
    const others = this.#bySignature.get(campaign.signature);
    if (others === undefined) this.#bySignature.set(campaign.signature, [campaign]);
    else others.push(campaign);
  }

  get changed(): readonly Grown[] {
    return [...this.#bySignature.values()].flat();
  }

  /** Whether a member belongs to a campaign, which then goes on at least to it. */
  takes({ signature, at, rule }: NewMember): boolean {
    const time = Date.parse(at);
    const near = (this.#bySignature.get(signature) ?? []).filter(
      ({ first, last }) => time >= first - rule.within && time <= last + rule.within,
    );
    for (const campaign of near) {
      campaign.first = Math.min(campaign.first, time);
      campaign.last = Math.max(campaign.last, time);
    }
    return near.length > 0;
  }

  raise({ signature, rule, class: of, values }: NewMember, { first, last, machines }: Stretch): void {
    const before = this.#bySignature.get(signature) ?? [];
    const campaign: RaisedCampaign = {
      campaign: `CAM-${signature.slice(0, 16)}-${before.length + 1}`,
      signature,
      first: first.getTime(),
      last: last.getTime(),
      before: undefined,
      rule: rule.name,
      class: of,
      shared: storable(values),
      machines,
    };
    this.#keep(campaign);
    this.raised.push(campaign);
  }
}

/** Finds out which campaigns grow by new members, and which are new. */
export async function grow(tx: Tx, machine: string, growing: Growth, members: readonly NewMember[]): Promise<void> {
  const left = members.filter((member) => !growing.takes(member));
  if (left.length === 0) return;
  const { rows: shared } = await sql<{ signature: string }>`
    SELECT s.signature FROM unnest(${[...new Set(left.map(({ signature }) => signature))]}::text[]) AS s (signature)
    WHERE EXISTS (SELECT 1 FROM campaign_members m WHERE m.signature = s.signature AND m.machine <> ${machine})`.execute(
    tx,
  );
  const signatures = new Set(shared.map(({ signature }) => signature));
  let rest = left.filter(({ signature }) => signatures.has(signature));
  while (rest.length > 0) {
    const some = rest.slice(0, COMPARED_AT_ONCE);
    const around = await membersAround(tx, some);
    for (const [place, member] of some.entries()) {
      if (growing.takes(member)) continue;
      const found = stretchOf(around.get(place) ?? [], member.rule);
      if (found !== undefined) growing.raise(member, found);
    }
    rest = rest.slice(some.length).filter((member) => !growing.takes(member));
  }
}

/** The members around each of some members, as far as its rule says; by their place, the oldest first. */
async function membersAround(
  tx: Tx,
  members: readonly NewMember[],
): Promise<ReadonlyMap<number, readonly { readonly machine: string; readonly at: Date }[]>> {
  const { rows } = await sql<{ place: number; machine: string; at: Date }>`
    SELECT n.place, o.machine, o.at FROM unnest(
      ${members.map(({ signature }) => signature)}::text[], ${members.map(({ at }) => at)}::timestamptz[],
      ${members.map(({ rule }) => rule.within)}::float8[]) WITH ORDINALITY AS n (signature, at, length, place)
    CROSS JOIN LATERAL (
      SELECT m.machine, m.at FROM campaign_members m WHERE m.signature = n.signature
        AND m.at BETWEEN n.at - n.length * interval '1 millisecond' AND n.at + n.length * interval '1 millisecond'
      ORDER BY m.at LIMIT ${sql.lit(MOST_COMPARED)}) AS o
    ORDER BY n.place, o.at`.execute(tx);
  return Map.groupBy(rows, ({ place }) => place - 1);
}

/** @throws RaisedMeanwhile */
export async function insertRaised(tx: Tx, raised: readonly RaisedCampaign[]): Promise<void> {
  if (raised.length === 0) return;
  // All processes in one order: so none waits for another that waits for it.
  const all = raised.toSorted((one, other) => (one.campaign < other.campaign ? -1 : 1));
  const times = (of: (one: RaisedCampaign) => number) => all.map((one) => new Date(of(one)).toISOString());
  const { rows } = await sql`
    INSERT INTO campaigns (machine, campaign, signature, rule, class, shared, first_at, last_at, raised_at)
    SELECT '', n.*, clock_timestamp() FROM unnest(
      ${all.map(({ campaign }) => campaign)}::text[], ${all.map(({ signature }) => signature)}::text[],
      ${all.map(({ rule }) => rule)}::text[], ${all.map((one) => one.class)}::text[],
      ${all.map(({ shared }) => shared)}::text[], ${times(({ first }) => first)}::timestamptz[],
      ${times(({ last }) => last)}::timestamptz[]) AS n
    ON CONFLICT DO NOTHING RETURNING campaign`.execute(tx);
  if (rows.length < raised.length) throw new RaisedMeanwhile();
}

interface Stretch {
  readonly first: Date;
  readonly last: Date;
  readonly machines: number;
}

/** The first stretch of time, as long as the rule says, in which there are enough machines; with all that follow on it. */
export function stretchOf(
  members: readonly { readonly machine: string; readonly at: Date }[],
  { machines: enough, within }: Pick<CampaignRule, 'machines' | 'within'>,
): Stretch | undefined {
  const inside = new Map<string, number>();
  let begin = 0;
  for (const [end, { machine, at }] of members.entries()) {
    inside.set(machine, (inside.get(machine) ?? 0) + 1);
    for (; at.getTime() - members[begin]!.at.getTime() > within; begin += 1) {
      const left = members[begin]!.machine;
      const count = inside.get(left)! - 1;
      if (count === 0) inside.delete(left);
      else inside.set(left, count);
    }
    if (inside.size < enough) continue;
    let last = end;
    while (last + 1 < members.length && members[last + 1]!.at.getTime() - members[last]!.at.getTime() <= within)
      last += 1;
    const machines = new Set(members.slice(begin, last + 1).map((one) => one.machine)).size;
    return { first: members[begin]!.at, last: members[last]!.at, machines };
  }
  return undefined;
}
