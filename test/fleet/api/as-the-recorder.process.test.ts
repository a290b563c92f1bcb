/**
 * What the fleet answers for one machine is what that machine's recorder answers: a real recorder takes reports and commands
 * of every kind, the fleet takes its log, and both are asked the same, with filters that fast-check makes up.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import * as fc from 'fast-check';
import { CLASSES, CONTAINMENT_STATUSES, RESOLUTIONS, SEVERITIES, STATES } from '../../../machines/vocabulary.ts';
import { DAY } from '../../../src/clock.ts';
import type { DatabasePlace } from '../../../src/fleet/database.ts';
import type { ActionView } from '../../../src/containment/posture-reads.ts';
import { SORTS } from '../../../src/query/list-query.ts';
import { ROOT } from '../../support/programs.ts';
import { LocalService } from '../../support/local-service.ts';
import type { Answer } from '../../support/service-client.ts';
import { ServiceHome } from '../../support/service-home.ts';
import { temporaryDirectories } from '../../support/temporary-directory.ts';
import { onEachPlace } from '../support/engines.ts';
import { FleetReads } from './support/fleet-reads.ts';

const MACHINE = 'web-7';
const SOURCES = ['tool-firewall', 'runtime-attestor', 'Ärger', 'o\'hara "quoted"', 'zeta_9'];
const PEOPLE = ['ada', 'Grace Hopper', "d'arc", 'ßtraße'];
const WORDS = ['alpha', 'Beta', 'naïve', 'プロセス', 'x-ray', 'DROP', "it's", 'back\\slash', '100%', 'a_b'];

/** Numbers that are always the same, so that a failure comes again. */
function* numbers(seed: number): Generator<number, never> {
  for (let state = seed; ;) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    yield state / 2 ** 32;
  }
}

/** Reports and commands of every kind. */
async function work(recorder: LocalService, rounds: number): Promise<void> {
  const random = numbers(7);
  const chance = (): number => random.next().value;
  const one = <Value>(values: readonly Value[]): Value => values[Math.floor(chance() * values.length)]!;
  const words = (): string => Array.from({ length: 1 + Math.floor(chance() * 5) }, () => one(WORDS)).join(' ');
  const ids: string[] = [];
  const act = (command: string, body: object): Promise<Answer> => recorder.post(`/api/v1/incidents/${command}`, body);
  for (let round = 0; round < rounds; round++) {
    const by = one(PEOPLE);
    const id = one(ids);
    const note = chance() < 0.4 ? { note: words() } : {};
    const choice = ids.length < 5 ? 0 : chance();
    if (choice < 0.4) {
      const answer = await recorder.report({
        class: one(CLASSES),
        source: one(SOURCES),
        description: words(),
        ...(chance() < 0.6 && { severity: one(SEVERITIES) }),
        ...(chance() < 0.6 && {
          evidence: {
            ip: one(['10.0.0.1', '10.0.0.2']),
            process: { name: one(['bash', 'It’s']), pid: 7 },
            'a.b': [words()],
          },
        }),
        ...(chance() < 0.3 && { dedup_key: one(['k1', 'k2']) }),
      });
      if (answer.status === 201) ids.push(answer.json.id);
    } else if (choice < 0.52) await act('acknowledge', { id, by, ...note });
    else if (choice < 0.58) await act('contain', { id, by, ...note });
    else if (choice < 0.68)
      await act('resolve', { id, by, ...note, ...(chance() < 0.5 && { resolution: one(RESOLUTIONS) }) });
    else if (choice < 0.76) await act('note', { id, by, note: words() });
    else if (choice < 0.84) await act('assign', { id, by, to: one([...PEOPLE, null]) });
    else if (choice < 0.88) await act('snooze', { id, by, until: '2099-01-01T00:00:00Z' });
    else if (choice < 0.94) {
      const posture = await recorder.send('GET', '/api/v1/containment');
      const engaged = Object.keys(posture.json).filter((action) => posture.json[action].engaged);
      if (engaged.length > 0) {
        await recorder.post('/api/v1/containment/confirm', { action: one(engaged), directive: 'engage' });
      }
    } else if (choice < 0.96) await recorder.post('/api/v1/drill', { class: one(CLASSES), by });
    else {
      await recorder.post('/api/v1/silences', {
        ...(chance() < 0.5 ? { source: [one(SOURCES)] } : { q: one(['alpha', 'beta', 'プロ']) }),
        ...(chance() < 0.3 && { severity: [one(SEVERITIES)] }),
        until: new Date(Date.now() + 30 * DAY).toISOString(),
        reason: words(),
        by,
      });
    }
  }
}

const encode = encodeURIComponent;
const some = (name: string, values: readonly string[], weight = 1) =>
  fc.option(
    fc
      .subarray([...values], { minLength: 1, maxLength: 3 })
      .map((chosen) => chosen.map((value) => `${name}=${encode(value)}`).join('&')),
    { nil: '', freq: weight },
  );

const searches = fc.oneof(
  fc.constantFrom(...WORDS),
  fc.tuple(fc.constantFrom(...WORDS), fc.constantFrom(...WORDS)).map((pair) => pair.join(' ')),
  fc.constantFrom(
    'alp*',
    'nai*',
    'プ',
    'back*',
    'evidence.ip:10.0.0.1',
    'evidence.process.name:bash alpha',
    'evidence.process.pid:7',
  ),
  fc.constantFrom('source:"Ärger"', 'by:ada', 'assignee:"Grace Hopper"', 'class:prompt_injection', 'by:"ßtraße"'),
);

const filters = fc
  .tuple(
    some('class', CLASSES, 3),
    some('state', STATES, 2),
    some('severity', SEVERITIES, 2),
    some('source', SOURCES, 4),
    some('resolution', RESOLUTIONS, 6),
    some('assignee', [...PEOPLE, 'none'], 4),
    some('containment', CONTAINMENT_STATUSES, 4),
    fc.option(
      searches.map((q) => `q=${encode(q)}`),
      { nil: '', freq: 2 },
    ),
    fc.constantFrom('', '', '', 'attention=true'),
    fc.constantFrom('', '', 'silenced=true', 'silenced=false'),
    fc.constantFrom('', '', '', 'snoozed=true', 'snoozed=false'),
    fc.constantFrom(
      '',
      '',
      '',
      'since=2026-01-01T00:00:00Z',
      'until=2026-01-01T00:00:00Z',
      'updated_since=2026-01-01T00:00:00Z',
    ),
  )
  .map((parts) => parts.filter((part) => part !== '').join('&'));

const lists = fc
  .tuple(
    filters,
    some('by', PEOPLE, 6),
    fc.option(
      fc.constantFrom(...SORTS).map((sort) => `sort=${sort}`),
      { nil: '' },
    ),
    fc.constantFrom('', 'limit=3', 'limit=17', 'limit=1000'),
    fc.constantFrom('', '', '', 'collapse=source'),
  )
  .map((parts) => `/api/v1/incidents?${parts.filter((part) => part !== '').join('&')}`);

const groups = fc
  .tuple(
    fc.constantFrom('/api/v1/incidents/groups', '/api/v1/stats/groups'),
    filters,
    fc.option(
      fc
        .subarray(['class', 'source', 'severity', 'state', 'assignee'], { minLength: 1 })
        .map((by) => `by=${by.join(',')}`),
      { nil: '' },
    ),
    fc.constantFrom('', 'limit=2'),
  )
  .map(([path, ...parts]) => `${path}?${parts.filter((part) => part !== '').join('&')}`);

const HEADERS = ['x-total-count', 'x-group-count', 'x-complete', 'search-incomplete'];

/** Times that depend on when one asks. */
const AGES = new Set(['longest_waiting_ms', 'oldest_waiting_ms']);

/** What an answer says, without the machine, and without ages. */
const said = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(said);
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).filter(([name]) => name !== 'machine');
  return Object.fromEntries(members.map(([name, member]) => [name, AGES.has(name) ? member !== null : said(member)]));
};

const nextOf = ({ headers }: Answer): string | undefined => /^<([^>]+)>/.exec(String(headers.link ?? ''))?.[1];

/** @param isWalked whether lists go through indexes, as they do where there are many incidents */
function asTheRecorder(place: () => DatabasePlace, isWalked = false): void {
  const directory = temporaryDirectories();
  let recorder: LocalService;
  let fleet: FleetReads;
  let runs: number;

  before(async () => {
    const home = new ServiceHome(directory());
    // What is not confirmed is overdue soon, and from then on nothing changes by itself.
    const policy = join(home.directory, 'policy.yaml');
    const shipped = readFileSync(join(ROOT, 'policy/incident-containment.yaml'), 'utf8');
    writeFileSync(policy, `${shipped.replace(/^overdue_after:.*$/m, '')}\noverdue_after: 1s\n`);
    recorder = await LocalService.start(home, { env: { CONTAINMENT_POLICY_PATH: policy } });
    await work(recorder, 400);
    const waiting = '/api/v1/incidents?containment=delivering&state=open&state=contained&state=acknowledged';
    const isReleasing = async (): Promise<boolean> =>
      Object.values<ActionView>((await asked('/api/v1/containment')).json).some(({ delivery, to_do }) => {
        if (delivery?.directive !== 'release' || delivery.via === 'log' || to_do !== undefined) return false;
        return delivery.status !== 'confirmed' && delivery.overdue_at === undefined;
      });
    while ((await asked(waiting)).json.length > 0 || (await isReleasing()))
      await new Promise((resolve) => void setTimeout(resolve, 200));
    const lines = readFileSync(home.log, 'utf8').trimEnd().split('\n');
    fleet = await FleetReads.start(place(), undefined, isWalked ? { few: 0 } : {});
    await fleet.enrol(MACHINE, { site: 'berlin' });
    await fleet.take(MACHINE, lines);
    // Two others, so that what belongs to them would show.
    await fleet.enrol('other-1', { site: 'paris' });
    await fleet.enrol('other-2', { site: 'berlin' });
    await fleet.take('other-1', lines.slice(0, 90));
    runs = 150;
  });

  after(async () => {
    await Promise.all([recorder?.stop(), fleet?.stop()]);
  });

  const asked = (path: string): Promise<Answer> => recorder.send('GET', path);
  const askedFleet = (path: string): Promise<Answer> =>
    fleet.send('GET', path.includes('machine=') ? path : `${path}${path.includes('?') ? '&' : '?'}machine=${MACHINE}`);

  /** A refusal without the parameters that only the fleet has. */
  const withoutScope = (refusal: { readonly error: string; readonly allowed?: readonly string[] }): object => ({
    ...refusal,
    error: refusal.error
      .replace('machine, site, label.NAME, ', '')
      .replace('(allowed: machine, site, label.NAME)', '(there are none here)'),
    ...(refusal.allowed && { allowed: refusal.allowed.filter((name) => !/^(machine|site|label\.NAME)$/.test(name)) }),
  });

  /** Holds that both say the same, on all pages. */
  async function same(path: string, mostPages = 12): Promise<void> {
    let [own, theirs] = [await asked(path), await askedFleet(path)];
    for (let page = 1; ; page++) {
      const where = `${path}, page ${page}`;
      expect(theirs.status, `${where}: ${theirs.text}`).to.equal(own.status);
      if (own.status !== 200)
        return expect(withoutScope(theirs.json), where).to.deep.equal(own.json) as unknown as void;
      expect(said(theirs.json), where).to.deep.equal(said(own.json));
      for (const name of HEADERS) expect(theirs.headers[name], `${name} of ${where}`).to.equal(own.headers[name]);
      const [next, following] = [nextOf(own), nextOf(theirs)];
      expect(following === undefined, `${where}: both go on, or both end`).to.equal(next === undefined);
      if (next === undefined || following === undefined || page === mostPages) return undefined;
      [own, theirs] = [await asked(next), await askedFleet(following)];
    }
  }

  it('lists the same incidents in the same order, on the same pages', async function () {
    this.timeout(180_000);
    await fc.assert(
      fc.asyncProperty(lists, (path) => same(path)),
      { numRuns: runs, seed: 11 },
    );
  });

  it('lists the same in each order', async () => {
    for (const sort of SORTS) await same(`/api/v1/incidents?sort=${sort}&limit=37`);
  });

  if (isWalked) return;

  it('gives the same groups', async () => {
    await fc.assert(
      fc.asyncProperty(groups, (path) => same(path)),
      { numRuns: runs, seed: 12 },
    );
  });

  it('gives the same statistics', async () => {
    await same('/api/v1/stats');
    await same('/api/v1/stats/hours');
    await same('/api/v1/stats/hours?hours=168');
    for (const by of ['class', 'source', 'severity', 'hour'])
      await same(`/api/v1/stats/compare?by=${by}&until=2099-01-01T00:00:00Z&since=2098-12-31T00:00:00Z`);
    const until = new Date(Math.ceil(Date.now() / 3_600_000) * 3_600_000).toISOString();
    const since = new Date(Date.parse(until) - 7_200_000).toISOString();
    for (const by of ['class', 'source', 'severity', 'hour']) {
      await same(`/api/v1/stats/compare?by=${by}&since=${since}&until=${until}`);
    }
  });

  it('gives the same incident, history, transitions, similar ones and statechart', async () => {
    const { json } = await asked('/api/v1/incidents?limit=40&sort=-updated');
    for (const { id, version } of json as { id: string; version: number }[]) {
      await same(`/api/v1/incidents/history?id=${id}`);
      await same(`/api/v1/incidents/transitions?id=${id}`);
      const [own, theirs] = [
        await asked(`/api/v1/incidents/get?id=${id}`),
        await askedFleet(`/api/v1/incidents/get?id=${id}`),
      ];
      const incident = { ...own.json, runbook: undefined };
      expect({ ...(said(theirs.json) as object), runbook: undefined }).to.deep.equal(incident);
      expect(theirs.headers.etag).to.equal(own.headers.etag);
      const chart = await askedFleet(`/api/v1/incidents/statechart?id=${id}&version=${version}`);
      expect(chart.status).to.equal(200);
    }
  });

  it('gives the same posture and silences', async () => {
    for (const path of ['/api/v1/containment', '/api/v1/silences']) {
      const [own, theirs] = [await asked(path), await askedFleet(path)];
      const posture = (answer: Answer) =>
        JSON.parse(JSON.stringify(said(answer.json)), (name, value) =>
          name === 'verified' || name === 'via' ? undefined : value,
        );
      expect(posture(theirs), path).to.deep.equal(posture(own));
    }
  });

  it('gives the same changes', async () => {
    await same('/api/v1/incidents/changes?after=0');
    await same('/api/v1/incidents/changes?after=200');
    await same('/api/v1/incidents/changes?since=2026-01-01T00:00:00Z');
  });

  it('refuses the same', async () => {
    for (const query of [
      'class=x',
      'sort=x',
      'limit=0',
      'q=',
      'q=*',
      'since=yesterday',
      'containment=x',
      'foo=1',
      'limit=1&limit=2',
    ]) {
      await same(`/api/v1/incidents?${query}`);
    }
    await same('/api/v1/incidents/history?id=INC-20200101-000000000000');
    await same('/api/v1/stats?x=1');
    await same('/api/v1/stats/compare?since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z');
  });
}

describe('The fleet about one machine', () => {
  onEachPlace((place, name) => {
    asTheRecorder(place);
    if (name === 'PostgreSQL') describe('as with many incidents', () => asTheRecorder(place, true));
  });
});
