import { expect } from 'chai';
import type { IncidentClass, Severity, State } from '../../../machines/vocabulary.ts';
import { readFilters } from '../../../src/console/filters.ts';
import type { ListedIncident } from '../../../src/console/incidents/incident-row.ts';
import { IncidentRows } from '../../../src/console/incidents/incident-rows.ts';
import type { Entry, EntryEvent } from '../../../src/domain/entries.ts';

const NOW = Date.now();
const at = (n: number): string => new Date(NOW - 100_000_000 + n * 1000).toISOString();

const incident = (n: number, fields: Partial<ListedIncident> = {}): ListedIncident => ({
  id: `INC-${n}`,
  class: 'prompt_injection',
  severity: 'high',
  state: 'open',
  source: 'airlock',
  description: `number ${n}`,
  created_at: at(n),
  occurrences: 1,
  version: 1,
  ...fields,
});

const entry = (event: EntryEvent, n: number, data: Readonly<Record<string, unknown>>): Entry =>
  ({ event, timestamp: at(n), data: { seq: n, incident: `INC-${n}`, ...data } }) as unknown as Entry;

const reported = (n: number, severity: Severity, state: State = 'open'): Entry =>
  entry('incident.reported', n, {
    version: 1,
    state,
    severity,
    intents: [],
    rule: {},
    report: { class: 'prompt_injection' satisfies IncidentClass, source: 'airlock', description: `number ${n}` },
  });

describe('IncidentRows', () => {
  const { fetch } = globalThis;
  /** What the service answers, by path; and what was asked. */
  let answers: Map<string, { readonly body: unknown; readonly next?: string }>;
  let asked: string[];
  beforeEach(() => {
    answers = new Map();
    asked = [];
    globalThis.fetch = async (path) => {
      asked.push(String(path));
      const answer = answers.get(String(path)) ?? [...answers].find(([start]) => String(path).startsWith(start))?.[1];
      if (answer === undefined) return Response.json({ error: 'incident not found' }, { status: 404 });
      const headers = answer.next === undefined ? {} : { link: `<${answer.next}>; rel="next"` };
      return Response.json(answer.body, { headers });
    };
  });
  afterEach(() => {
    globalThis.fetch = fetch;
  });

  const list = (query = '') => new IncidentRows(readFilters(query), (draw) => draw());
  const ids = (rows: IncidentRows): readonly string[] => rows.rows.value.map(({ id }) => id);
  /** Lets what was asked for be answered. */
  const answered = () => new Promise((resolve) => setImmediate(resolve));

  it('gives page behind page', async () => {
    answers.set('/api/v1/incidents?limit=200&fields=summary', { body: [incident(3), incident(2)], next: '/page-2' });
    answers.set('/page-2', { body: [incident(1)] });
    const rows = list();
    await rows.loadMore();
    expect([ids(rows), rows.progress.value.kind]).to.deep.equal([['INC-3', 'INC-2'], 'more']);
    await rows.loadMore();
    await rows.loadMore();
    expect([ids(rows), rows.progress.value.kind]).to.deep.equal([['INC-3', 'INC-2', 'INC-1'], 'complete']);
    expect(asked).to.have.length(2);
  });

  it('puts a new incident where it belongs', async () => {
    answers.set('/api', {
      body: [incident(1, { severity: 'critical' }), incident(2), incident(3, { severity: 'low' })],
    });
    const rows = list();
    await rows.loadMore();
    for (const [n, severity] of [
      [4, 'low'],
      [5, 'critical'],
      [6, 'high'],
      [7, 'high'],
    ] as const)
      rows.take(reported(n, severity));
    expect(ids(rows)).to.deep.equal(['INC-5', 'INC-1', 'INC-7', 'INC-6', 'INC-2', 'INC-4', 'INC-3']);
  });

  it('moves an incident to its place when a further report raises its severity', async () => {
    answers.set('/api', {
      body: [incident(1, { severity: 'critical' }), incident(2), incident(3, { severity: 'low' })],
    });
    const rows = list();
    await rows.loadMore();
    rows.take(
      entry('incident.recurred', 3, { version: 2, state: 'open', severity: 'critical', attention: 'severity' }),
    );
    expect(rows.rows.value.map(({ id, severity, occurrences }) => [id, severity, occurrences])).to.deep.equal([
      ['INC-3', 'critical', 2],
      ['INC-1', 'critical', 1],
      ['INC-2', 'high', 1],
    ]);
    rows.take(entry('incident.recurred', 2, { version: 2, state: 'open' }));
    expect(ids(rows)).to.deep.equal(['INC-3', 'INC-1', 'INC-2']);
  });

  it('leaves out what the time takes off the list, and what holds no such action', async () => {
    const old = new Date(Date.now() - 60 * 60 * 1000 + 80).toISOString();
    const holding = { containment_actions: ['freeze_agent'] } as const;
    answers.set('/api', {
      body: [
        incident(1, { created_at: old, ...holding }),
        incident(2, { created_at: new Date().toISOString(), ...holding }),
        incident(3, { created_at: new Date().toISOString() }),
      ],
    });
    const rows = list('last=1h&holds=freeze_agent');
    await rows.loadMore();
    expect(asked[0]).not.to.contain('holds');
    expect(ids(rows)).to.deep.equal(['INC-1', 'INC-2']);
    while (Date.parse(old) >= Date.now() - 60 * 60 * 1000) await answered();
    rows.renew();
    expect(ids(rows)).to.deep.equal(['INC-2']);
  });

  it('shows that a source is suspicious', async () => {
    answers.set('/api', { body: [incident(1, { source_suspicious: true }), incident(2)] });
    const rows = list();
    await rows.loadMore();
    expect(rows.rows.value.map(({ source_suspicious }) => source_suspicious)).to.deep.equal([true, undefined]);
  });

  it('keeps back a new one whose place is behind what has been read', async () => {
    answers.set('/api/v1/incidents?limit=200&fields=summary', {
      body: [incident(2, { severity: 'critical' })],
      next: '/page-2',
    });
    answers.set('/page-2', { body: [incident(1, { severity: 'low' })] });
    const rows = list();
    await rows.loadMore();
    rows.take(reported(3, 'low'));
    expect(ids(rows)).to.deep.equal(['INC-2']);
    await rows.loadMore();
    expect(ids(rows)).to.deep.equal(['INC-2', 'INC-3', 'INC-1']);
  });

  it('takes in what happens while a page is being read', async () => {
    answers.set('/api', { body: [incident(1)] });
    const rows = list();
    const reading = rows.loadMore();
    rows.take(entry('incident.resolved', 1, { version: 2, state: 'resolved' }));
    rows.take(reported(2, 'high'));
    await reading;
    expect(rows.rows.value.map(({ id, state }) => [id, state])).to.deep.equal([
      ['INC-2', 'open'],
      ['INC-1', 'resolved'],
    ]);
  });

  it('does not take in an entry that the page shows already', async () => {
    answers.set('/api', { body: [incident(1, { version: 3, state: 'resolved' })] });
    const rows = list();
    await rows.loadMore();
    rows.take(entry('incident.acknowledged', 1, { version: 2, state: 'acknowledged' }));
    expect(rows.rows.value[0]?.state).to.equal('resolved');
  });

  it('drops what the filters do not admit any more, and fetches what they admit now', async () => {
    answers.set('/api/v1/incidents?', { body: [incident(2), incident(1)] });
    answers.set('/api/v1/incidents/get?id=INC-3', { body: incident(3, { version: 2 }) });
    const rows = list('state=open&state=contained');
    await rows.loadMore();
    rows.take(entry('incident.resolved', 2, { version: 2, state: 'resolved' }));
    expect(ids(rows)).to.deep.equal(['INC-1']);
    rows.take(entry('incident.contained', 3, { version: 2, state: 'contained' }));
    rows.take(entry('incident.resolved', 4, { version: 2, state: 'resolved' }));
    await answered();
    expect(ids(rows)).to.deep.equal(['INC-3', 'INC-1']);
    expect(asked.filter((path) => path.includes('get'))).to.deep.equal(['/api/v1/incidents/get?id=INC-3']);
  });

  it('asks the service whether a new incident holds the words that are looked for', async () => {
    answers.set('/api/v1/incidents?q=vault&limit=200&fields=summary', { body: [] });
    answers.set('/api/v1/incidents?q=vault+INC-1&limit=1&fields=summary', { body: [incident(1)] });
    answers.set('/api/v1/incidents?q=vault+INC-2&limit=1&fields=summary', { body: [] });
    const rows = list('q=vault');
    await rows.loadMore();
    rows.take(reported(1, 'high'));
    rows.take(reported(2, 'high'));
    await answered();
    await answered();
    expect(ids(rows)).to.deep.equal(['INC-1']);
  });

  it('says that it is stale rather than ask for a flood one by one', async () => {
    answers.set('/api', { body: [] });
    const rows = list('state=resolved');
    await rows.loadMore();
    for (let n = 0; n < 250; n++) rows.take(entry('incident.resolved', n, { version: 2, state: 'resolved' }));
    expect(rows.isStale.value).to.equal(true);
    rows.close();
    await answered();
    expect(asked.length).to.be.lessThan(60);
  });

  it('reads a burst whole, although its pages are many, and takes in what people do with it', async () => {
    answers.set('/api/v1/incidents?attention=true&limit=1000', { body: [incident(3), incident(2)], next: '/page-2' });
    answers.set('/page-2', { body: [incident(1)] });
    const rows = list('attention=true');
    await rows.loadMore();
    expect([ids(rows), rows.progress.value.kind]).to.deep.equal([['INC-3', 'INC-2', 'INC-1'], 'complete']);
    rows.take(entry('incident.assigned', 3, { version: 2, state: 'open', to: 'bo' }));
    expect(rows.get('INC-3')?.assignee).to.equal('bo');
    rows.take(entry('incident.assigned', 3, { version: 3, state: 'open', to: null }));
    expect(rows.get('INC-3')?.assignee).to.equal(undefined);
    rows.take(entry('incident.snoozed', 2, { version: 2, state: 'acknowledged', until: at(999) }));
    rows.take(entry('incident.acknowledged', 1, { version: 2, state: 'acknowledged' }));
    expect(ids(rows)).to.deep.equal(['INC-3']);
    expect(rows.arrivals.value).to.deep.equal([]);
    rows.take(reported(4, 'high'));
    expect([ids(rows), rows.arrivals.value]).to.deep.equal([['INC-4', 'INC-3'], ['INC-4']]);
  });

  it('applies itself what an older service does not know', async () => {
    const { fetch: answering } = globalThis;
    globalThis.fetch = async (path) =>
      String(path).includes('attention')
        ? Response.json({ error: 'unknown parameter attention' }, { status: 400 })
        : answering(path);
    answers.set('/api/v1/incidents?state=open&state=contained&state=acknowledged&limit=1000', {
      body: [
        incident(4),
        incident(3, { state: 'acknowledged' }),
        incident(2, { state: 'acknowledged', containment: { status: 'overdue' } }),
        incident(1, { drill: true }),
      ],
    });
    const rows = list('attention=true');
    await rows.loadMore();
    expect(ids(rows)).to.deep.equal(['INC-4', 'INC-2']);
  });

  it('asks for evidence where it is shown, and of an older service', async () => {
    answers.set('/api/v1/incidents?', { body: [incident(1)] });
    const wide = new IncidentRows(readFilters(''), (draw) => draw(), undefined, true);
    await wide.loadMore();
    const { fetch: answering } = globalThis;
    globalThis.fetch = async (path) =>
      String(path).includes('fields')
        ? Response.json({ error: 'unknown parameter fields' }, { status: 400 })
        : answering(path);
    const rows = list();
    await rows.loadMore();
    expect(asked).to.deep.equal(['/api/v1/incidents?limit=200', '/api/v1/incidents?limit=200']);
    expect([ids(wide), ids(rows)]).to.deep.equal([['INC-1'], ['INC-1']]);
  });

  it('leaves out what a silence matches when it comes', async () => {
    answers.set('/api', { body: [] });
    const rows = new IncidentRows(
      readFilters('attention=true'),
      (draw) => draw(),
      ({ source }) => source === 'airlock',
    );
    await rows.loadMore();
    rows.take(reported(1, 'high'));
    expect(ids(rows)).to.deep.equal([]);
  });

  it('orders what comes as the address says', async () => {
    answers.set('/api', { body: [incident(2, { severity: 'low' }), incident(4)] });
    const rows = list('sort=created');
    await rows.loadMore();
    for (const n of [3, 1, 5]) rows.take(reported(n, 'critical'));
    expect(ids(rows)).to.deep.equal(['INC-1', 'INC-2', 'INC-3', 'INC-4', 'INC-5']);
  });

  it('says why a page could not be read, and reads it again', async () => {
    const rows = list();
    await rows.loadMore();
    expect(rows.progress.value).to.deep.equal({ kind: 'failed', reason: 'incident not found' });
    answers.set('/api', { body: [incident(1)] });
    await rows.loadMore();
    expect(ids(rows)).to.deep.equal(['INC-1']);
  });
});
