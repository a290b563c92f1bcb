/** What campaigns have: counted as they grow, and always what one would count. */
import { expect } from 'chai';
import { sql } from 'kysely';
import { MINUTE, systemClock } from '../../src/clock.ts';
import type { FleetPrincipal } from '../../src/fleet/access.ts';
import { CampaignNews } from '../../src/fleet/campaign-news.ts';
import { Campaigns } from '../../src/fleet/campaigns.ts';
import type { FleetDatabase } from '../../src/fleet/database.ts';
import { parseFleetPolicy } from '../../src/fleet/fleet-policy.ts';
import { BUILT_IN_RULES } from '../../src/policy/defaults.ts';
import { TOKEN } from '../support/service-client.ts';
import { Random } from '../bench/random.ts';
import { FleetReads } from './api/support/fleet-reads.ts';
import { onEachEngine } from './support/engines.ts';
import { MachineLog } from './support/machine-log.ts';

const BERLIN = 'berlins-token';
const PRINCIPALS: Readonly<Record<string, FleetPrincipal>> = {
  [TOKEN]: { name: 'ada', roles: ['reader', 'operator'], machines: 'any' },
  [BERLIN]: { name: 'bert', roles: ['reader', 'operator'], machines: { site: 'berlin' } },
};
const POLICY = parseFleetPolicy(
  'version: 1\ncampaigns:\n  - { name: x, same: [evidence.x], machines: 2, within: 4s }\n',
  'fleet.yaml',
);
const SEVERITY = BUILT_IN_RULES.prompt_injection.default_severity;
const SITES = { a: 'berlin', b: 'berlin', c: 'berlin', d: 'oslo', e: 'oslo' } as const;
const COUNTS = ['campaign', 'machines', 'incidents', 'unresolved', 'severity', 'first_at', 'last_at'] as const;

/** Counts the members of campaigns one by one. @param among machines whose members count @param seen those of the reader */
async function counted(db: FleetDatabase, among?: readonly string[], seen?: readonly string[]) {
  const of = (machines?: readonly string[]) =>
    machines === undefined ? sql`true` : sql`m.machine = ANY(${[...machines]}::text[])`;
  const { rows } = await sql<Readonly<Record<(typeof COUNTS)[number], unknown>>>`
    SELECT c.campaign, count(DISTINCT m.machine) FILTER (WHERE ${of(among)}) AS machines,
      count(*) FILTER (WHERE ${of(among)}) AS incidents,
      count(*) FILTER (WHERE i.state <> 'resolved' AND ${of(among)}) AS unresolved,
      CASE WHEN count(i.rank) FILTER (WHERE ${of(among)}) > 0 THEN ${SEVERITY} END AS severity,
      ${seen === undefined ? sql`c.first_at, c.last_at` : sql`min(m.at) AS first_at, max(m.at) AS last_at`}
    FROM campaigns c JOIN campaign_members m ON m.signature = c.signature AND m.at BETWEEN c.first_at AND c.last_at
      LEFT JOIN incidents i ON i.machine = m.machine AND i.log = m.log AND i.id = m.incident
    WHERE ${of(seen ?? among)} GROUP BY c.campaign, c.first_at, c.last_at
    HAVING count(DISTINCT m.machine) >= ${seen === undefined ? 1 : 2} AND bool_or(${of(among)})`.execute(db);
  const all = rows.map((row) => ({
    ...row,
    first_at: (row.first_at as Date).toISOString(),
    last_at: (row.last_at as Date).toISOString(),
  }));
  return all.toSorted((one, other) =>
    one.last_at === other.last_at
      ? String(one.campaign) < String(other.campaign)
        ? 1
        : -1
      : one.last_at < other.last_at
        ? 1
        : -1,
  );
}

onEachEngine('the counts of campaigns', (engine) => {
  let fleet: FleetReads;
  beforeEach(async () => {
    fleet = await FleetReads.start(await engine.database(), PRINCIPALS);
    for (const [name, site] of Object.entries(SITES)) await fleet.enrol(name, { site });
  });
  afterEach(() => fleet.stop());

  const look = (): Promise<void> =>
    new Campaigns({ db: fleet.db, clock: systemClock, policy: () => POLICY, log: { warn() {} } }).look();

  const shown = async (query: string, token: string) => {
    const { status, json, text } = await fleet.send('GET', `/api/v1/campaigns?limit=1000${query}`, { token });
    expect(status, text).to.equal(200);
    return json.map((one: Readonly<Record<string, unknown>>) =>
      Object.fromEntries(COUNTS.map((name) => [name, one[name]])),
    );
  };

  it('are those that one counts, whatever comes when, and before it was looked at', async () => {
    const random = new Random(11);
    const logs = Object.keys(SITES).map((name) => {
      const log = new MachineLog(name);
      const open: string[] = [];
      for (let count = 0; count < 60; count++) {
        if (open.length > 0 && random.chance(0.4))
          log.command(open.splice(random.below(open.length), 1)[0]!, 'resolve');
        else open.push(log.report({ x: `v${random.below(4)}` }));
      }
      return { name, log, sent: 0 };
    });
    const berlin = ['a', 'b', 'c'];
    let [most, grew] = [0, 0];
    while (logs.some(({ log, sent }) => sent < log.through)) {
      const one = random.pick(logs.filter(({ log, sent }) => sent < log.through));
      const to = Math.min(one.log.through, one.sent + 1 + random.below(12));
      await fleet.take(one.name, one.log.lines.slice(one.sent, to), one.sent + 1);
      one.sent = to;
      // Two processes at once change nothing.
      if (random.chance(0.6)) await Promise.all([look(), look()]);
      const all = await counted(fleet.db);
      expect(await shown('', TOKEN)).to.deep.equal(all);
      expect(await shown('', BERLIN)).to.deep.equal(await counted(fleet.db, berlin, berlin));
      expect(await shown('&site=oslo', TOKEN)).to.deep.equal(await counted(fleet.db, ['d', 'e']));
      expect(await shown('&machine=a', BERLIN)).to.deep.equal(await counted(fleet.db, ['a'], berlin));
      grew += Number(all.length > most);
      most = Math.max(most, all.length);
    }
    await look();
    const all = await counted(fleet.db);
    expect(all.length).to.be.above(4);
    expect(grew).to.be.above(3);
    expect(await shown('', TOKEN)).to.deep.equal(all);
    // What is counted again is as it was, and what was counted wrong is right.
    await fleet.db.updateTable('campaign_progress').set({ counted: 0 }).execute();
    await fleet.db.updateTable('campaign_members').set({ unresolved: false, rank: null }).execute();
    await look();
    expect(await shown('', TOKEN)).to.deep.equal(all);
    const stored = await fleet.db.selectFrom('campaigns').select(['campaign', 'incidents', 'unresolved']).execute();
    for (const { campaign, ...one } of all)
      expect(stored).to.deep.include({ campaign, incidents: one.incidents, unresolved: one.unresolved });
  }).timeout(120_000);

  it('have an incident once, also where its machine has written its history again, and comes back to the first', async () => {
    const [first, second] = ['guard-1', 'guard-2'].map((source) => {
      const log = new MachineLog('a');
      log.append({ event: 'guard.silent', data: { source, every_ms: 1000, silent_ms: 2000 } });
      return { log, incidents: [log.report({ x: 'same' }), log.report({ x: 'same' })] };
    }) as [{ log: MachineLog; incidents: string[] }, { log: MachineLog; incidents: string[] }];
    const other = new MachineLog('d');
    other.report({ x: 'same' });
    await fleet.take('a', first.log.lines);
    await fleet.take('d', other.lines);
    const numbers = async (): Promise<unknown> => {
      await look();
      const [one] = await shown('', TOKEN);
      const { json } = await fleet.send('GET', `/api/v1/campaigns/${one!.campaign}`, { token: TOKEN });
      return [one!.incidents, one!.unresolved, json.members.length];
    };
    expect(await numbers()).to.deep.equal([3, 3, 3]);
    second.log.command(second.incidents[0]!, 'resolve');
    await fleet.take('a', second.log.lines);
    expect(await numbers()).to.deep.equal([3, 2, 3]);
    for (const id of first.incidents) {
      const from = first.log.through + 1;
      first.log.command(id, 'resolve');
      await fleet.take('a', first.log.lines.slice(from - 1), from);
    }
    expect(await numbers()).to.deep.equal([3, 1, 3]);
  });

  it('count what goes on in the history that a machine has now, and say what only the one has that it has left', async () => {
    const log = new MachineLog('a');
    const [kept, resolved] = [log.report({ x: 'same' }), log.report({ x: 'same' })] as const;
    const image = log.copyThrough(log.through);
    log.command(resolved, 'resolve');
    const lost = log.report({ x: 'same' });
    const other = new MachineLog('d');
    other.report({ x: 'same' });
    await fleet.take('a', log.lines);
    await fleet.take('d', other.lines);
    const read = async () => {
      await look();
      const [{ campaign, incidents, unresolved }] = await shown('', TOKEN);
      const { json } = await fleet.send('GET', `/api/v1/campaigns/${campaign}`, { token: TOKEN });
      const members = json.members.filter(({ machine }: { machine: string }) => machine === 'a');
      const of = (left: boolean) =>
        members
          .flatMap((one: { left: boolean; incident: string }) => (one.left === left ? [one.incident] : []))
          .toSorted();
      return { incidents, unresolved, here: of(false), left: of(true) };
    };
    expect(await read()).to.deep.equal({
      incidents: 4,
      unresolved: 3,
      here: [kept, resolved, lost].toSorted(),
      left: [],
    });
    const from = image.through + 1;
    image.command(kept, 'acknowledge');
    await fleet.take('a', image.lines.slice(from - 1), from);
    // The image knows nothing of the resolution.
    const back = { incidents: 4, here: [kept, resolved].toSorted(), left: [lost] };
    expect(await read()).to.deep.equal({ ...back, unresolved: 4 });
    for (const id of [kept, resolved]) {
      const next = image.through + 1;
      image.command(id, 'resolve');
      await fleet.take('a', image.lines.slice(next - 1), next);
    }
    expect(await read()).to.deep.equal({ ...back, unresolved: 2 });
  });

  it('are counted again when read models were made again, by a process that has looked before', async () => {
    let now = systemClock.monotonic();
    const campaigns = new Campaigns({
      db: fleet.db,
      clock: { monotonic: () => now },
      policy: () => POLICY,
      log: { warn() {} },
    });
    const log = new MachineLog('a');
    log.report({ x: 'same' });
    await fleet.take('a', log.lines);
    // Nothing was heard of it for a while.
    await fleet.db
      .updateTable('logs')
      .set({ advanced_at: sql`clock_timestamp() - interval '1 hour'` })
      .execute();
    await campaigns.look();
    await fleet.db.updateTable('campaign_progress').set({ counted: 0 }).execute();
    now += 10 * MINUTE;
    await campaigns.look();
    const progress = await fleet.db.selectFrom('campaign_progress').select('counted').executeTakeFirst();
    expect(progress).to.deep.equal({ counted: log.through });
  });

  it('give members in pages', async () => {
    for (const name of ['a', 'd']) {
      const log = new MachineLog(name);
      for (let count = 0; count < 5; count++) log.report({ x: 'same' });
      await fleet.take(name, log.lines);
    }
    await look();
    const [{ campaign }] = await shown('', TOKEN);
    const seen: string[] = [];
    for (let path: string | undefined = `/api/v1/campaigns/${campaign}?limit=3`; path !== undefined;) {
      const { json, headers } = await fleet.send('GET', path, { token: TOKEN });
      expect(json.members.length).to.be.within(1, 3);
      expect(json.incidents).to.equal(10);
      seen.push(...json.members.map((one: { incident: string }) => one.incident));
      path = /<([^>]+)>; rel="next"/.exec(String(headers.link ?? ''))?.[1];
    }
    expect(new Set(seen).size).to.equal(10);
    expect(seen).to.have.length(10);
  });

  it('say to whom a campaign is new, to whom it has grown, and to whom nothing has happened', async () => {
    const news = new CampaignNews(fleet.db);
    await news.look();
    const [berlin, oslo] = [new Set(['a', 'b', 'c']), new Set(['d', 'e'])];
    const heard = async (...reports: readonly string[]) => {
      for (const name of reports) {
        const log = logs.get(name) ?? new MachineLog(name);
        logs.set(name, log);
        const from = log.through;
        log.report({ x: 'same' });
        await fleet.take(name, log.lines.slice(from === 1 ? 0 : from), from === 1 ? 1 : from + 1);
      }
      await look();
      return (await news.look()).map(({ eventFor }) => [eventFor(undefined), eventFor(berlin), eventFor(oslo)]);
    };
    const logs = new Map<string, MachineLog>();
    expect(await heard('a')).to.deep.equal([]);
    expect(await heard('b')).to.deep.equal([['campaign.raised', 'campaign.raised', undefined]]);
    expect(await heard('d')).to.deep.equal([['campaign.grown', undefined, 'campaign.raised']]);
    expect(await heard('e', 'e')).to.deep.equal([['campaign.grown', undefined, 'campaign.raised']]);
    expect(await heard('e')).to.deep.equal([['campaign.grown', undefined, 'campaign.grown']]);
    expect(await heard('c', 'd')).to.deep.equal([['campaign.grown', 'campaign.grown', 'campaign.grown']]);
    expect(await heard()).to.deep.equal([]);
  });
});
