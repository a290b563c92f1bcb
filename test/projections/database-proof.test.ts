import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect } from 'chai';
import { verifyChain } from '../../src/audit/verify-chain.ts';
import { HOUR, SECOND, timestamp } from '../../src/clock.ts';
import type { Draft } from '../../src/domain/entries.ts';
import type { Incident } from '../../src/domain/incident.ts';
import { Archivist } from '../../src/incidents/archivist.ts';
import { BUILT_IN_RULES } from '../../src/policy/defaults.ts';
import { databasePath } from '../../src/projections/database.ts';
import { draft, HASH } from '../support/audit-log.ts';
import { localServices, type LocalService } from '../support/local-service.ts';
import { operator, Recording } from '../support/recording.ts';
import { ServiceHome } from '../support/service-home.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const REPORT = { class: 'tool_call_burst', source: 'tool-firewall', description: 'a test' };

describe('given a database that somebody has edited while the service was stopped', () => {
  const directory = temporaryDirectories();
  const start = localServices();

  /** The files of a service with a resolved incident, some contained and some open ones. */
  const recorded = async (): Promise<{ home: ServiceHome; ids: readonly string[]; before: object }> => {
    const home = new ServiceHome(directory());
    const service = await start(home);
    const ids: string[] = [];
    for (const name of ['tool_call_burst', 'tool_call_burst', 'tool_call_burst', 'forbidden_airlock_request']) {
      const { json } = await service.post('/api/v1/incidents/report', { ...REPORT, class: name });
      ids.push(json.id as string);
    }
    await service.post('/api/v1/incidents/resolve', { id: ids[0] });
    await service.post('/api/v1/incidents/acknowledge', { id: ids[1] });
    const before = await shown(service);
    await service.stop();
    return { home, ids, before };
  };
  const shown = async (service: LocalService) => {
    const [incidents, posture, stats] = await Promise.all(
      ['/api/v1/incidents', '/api/v1/containment', '/api/v1/stats'].map((path) => service.get(path)),
    );
    return { incidents: incidents!.json, posture: posture!.json, stats: stats!.json };
  };
  const findingsOf = async (service: LocalService): Promise<readonly { finding: string; detail: string }[]> =>
    (await service.get('/health')).json.audit.findings;
  const edit = (home: ServiceHome, sql: string): void => {
    const database = new DatabaseSync(databasePath(join(home.log)));
    database.exec(sql);
    database.close();
  };

  it('in nothing, then it is kept', async () => {
    const { home, before } = await recorded();
    const service = await start(home);
    await service.said('the audit log is verified');
    expect(await findingsOf(service)).to.deep.equal([]);
    expect(await shown(service)).to.deep.equal(before);
  });

  const EDITS: readonly [what: string, sql: (id: string) => string, difference: RegExp][] = [
    [
      'an incident is resolved',
      (id) =>
        `UPDATE incidents SET state = 'resolved', document = json_set(document, '$.state', 'resolved') WHERE id = '${id}'`,
      /is not what entry/,
    ],
    [
      'an incident is resolved by an entry that there never was',
      (id) =>
        `UPDATE incidents SET state = 'resolved', version = version + 1,
           document = json_set(document, '$.state', 'resolved', '$.version', version + 1) WHERE id = '${id}';
         INSERT INTO entries (incident, version, seq, offset, length)
           SELECT number, version, 3, 0, 10 FROM incidents WHERE id = '${id}'`,
      /entries are indexed/,
    ],
    ['an incident has another version', (id) => `UPDATE incidents SET version = 99 WHERE id = '${id}'`, /version/],
    ['an incident is deleted', (id) => `DELETE FROM incidents WHERE id = '${id}'`, /is missing|indexed/],
    [
      'the description of an incident is another',
      (id) => `UPDATE incidents SET document = json_set(document, '$.description', 'harmless') WHERE id = '${id}'`,
      /is not what its entries make of it/,
    ],
    [
      'the snapshot of an incident is another',
      (id) => `UPDATE incidents SET context = json_set(context, '$.occurrences', 7) WHERE id = '${id}'`,
      /another snapshot/,
    ],
    ['no action is held', () => 'DELETE FROM deliveries', /deliveries/],
    ['no action is in force', () => `UPDATE posture SET posture = json_set(posture, '$.holders', 0)`, /holders/],
    ['entries are indexed elsewhere', () => 'UPDATE entries SET offset = offset + 1', /not indexed where/],
    ['an entry is not indexed', () => 'DELETE FROM entries WHERE version = 1', /not indexed where|version/],
    [
      'the description of a resolved incident is another',
      () => `UPDATE incidents SET document = json_set(document, '$.description', 'harmless') WHERE state = 'resolved'`,
      /is not what its entries make of it/,
    ],
    [
      'a resolved incident has another source',
      () => `UPDATE incidents SET source = 'nobody' WHERE state = 'resolved'`,
      /is listed as another/,
    ],
    [
      'an incident is of no class',
      (id) => `UPDATE incidents SET class = 'zzz' WHERE id = '${id}'`,
      /is not what entry/,
    ],
    ['an incident is less severe', (id) => `UPDATE incidents SET rank = 3 WHERE id = '${id}'`, /is listed as another/],
    [
      'incidents of no class are counted',
      () => `INSERT INTO population VALUES ('zzz', 'high', 'open', 0, 3)`,
      /statistics count incidents of no kind/,
    ],
    [
      'there is a finding that nobody has found',
      () => `INSERT INTO findings VALUES ('log_cut', 'nothing', '2026-11-22T07:12:00.123Z', 1)`,
      /open findings/,
    ],
    [
      'a webhook has taken everything',
      () => `INSERT INTO webhooks (url, seq, parked) VALUES ('http://x', 1000, '[]')`,
      /webhooks have taken/,
    ],
    [
      'an entry was skipped for a webhook that there is not',
      () =>
        `INSERT INTO skipped VALUES ('http://x', 2, '{"webhook":"http://x","seq":2,"event":"incident.reported","parked_at":"2026-11-22T07:12:00.123Z","skipped_at":"2026-11-22T07:12:00.123Z","attempts":9,"error":"answered 500"}')`,
      /webhooks have not taken/,
    ],
    ['no report was counted', () => 'DELETE FROM reports', /other reports are counted/],
    [
      'a report counts that there never was',
      () => "UPDATE reports SET recent = recent || recent WHERE class = 'tool_call_burst'",
      /other reports are counted/,
    ],
    [
      'reports came at other times',
      () => "UPDATE reports SET recent = substr(recent, 1, 24) || zeroblob(24) WHERE class = 'tool_call_burst'",
      /other reports are counted/,
    ],
    ['incidents count as drills', () => 'UPDATE population SET drill = 1', /statistics/],
    [
      'an incident is said to be a drill',
      (id: string) => `UPDATE incidents SET drill = 2 WHERE id = '${id}'`,
      /listed|statistics/,
    ],
    [
      'a silence is there that nobody has added',
      () =>
        `INSERT INTO silences VALUES (3, 'SIL-1', '{"silence":"SIL-1","seq":3,"class":[],"source":[],"severity":["high"],"from":"2026-11-22T07:12:00.123Z","until":"2099-11-22T07:12:00.123Z","reason":"x","added_at":"2026-11-22T07:12:00.123Z"}')`,
      /silences/,
    ],
    ['an incident needs no attention', (id) => `UPDATE incidents SET attention = 0 WHERE id = '${id}'`, /listed/],
    [
      'a guard was heard that there is not',
      () => "INSERT INTO guards VALUES ('attestor', '2026-11-22T07:12:00.123Z', NULL)",
      /guards/,
    ],
    ['incidents are counted twice', () => 'UPDATE population SET count = count * 2', /statistics/],
  ];
  for (const [what, sql, difference] of EDITS) {
    it(`so that ${what}, then it is rebuilt from the log, with an alert`, async () => {
      const { home, ids, before } = await recorded();
      edit(home, sql(ids[2]!));
      const service = await start(home);
      await service.said('the database is rebuilt');
      await service.until(
        async () => (await service.get('/health')).json.status === 'ok' && (await findingsOf(service)).length > 0,
      );
      const finding = (await findingsOf(service)).at(-1);
      expect(finding?.finding).to.equal('database_altered');
      expect(finding?.detail).to.match(difference);
      expect(await shown(service)).to.deep.equal(before);
      expect((await service.post('/api/v1/incidents/resolve', { id: ids[2] })).status).to.equal(200);
    });
  }
});

describe('the proof of a database that is as it should be', () => {
  const directory = temporaryDirectories();
  const SEGMENT = 20_000;
  const report = {
    class: 'tool_call_burst',
    source: 'tool-firewall',
    description: 'a test',
    dedup_key: 'same',
  } as const;

  const listed = ({ projections }: Recording): readonly Incident[] =>
    projections.list
      .read({ classes: [], states: [], severities: [], sources: [], limit: 1000 })
      .documents.map((json) => JSON.parse(Buffer.from(json).toString()) as Incident);

  /** Proves the database of a start, while `work` is done; returns what differs. */
  const prove = async (
    recording: Recording,
    work: () => Promise<void> = async () => {},
  ): Promise<string | undefined> => {
    const { log, projections } = recording;
    const proof = projections.proof(log, projections.tables);
    const files = [...log.sealed, { path: log.fileOf(Infinity).path, to: log.status.bytes }];
    await verifyChain(files, HASH, async (entries) => {
      proof.take(entries);
      await new Promise(setImmediate);
    });
    const turn = () => new Promise<void>(setImmediate);
    const [difference] = await Promise.all([
      proof.end(turn, []).then((found) => found ?? proof.endLater(turn)),
      work(),
    ]);
    return difference;
  };

  const fill = async ({ recorder, log, clock }: Recording, segments: number): Promise<void> => {
    const sealed = log.sealed.length + segments;
    for (let n = 0; log.sealed.length < sealed; n++) {
      clock.milliseconds += SECOND;
      const { incident } = await recorder.report({ ...report, source: `source ${n % 3}` });
      if (n % 2 === 0) await recorder.perform('acknowledge', { id: incident.id, note: 'seen' });
      if (n % 3 === 0) await recorder.perform('resolve', { id: incident.id, caller: operator('ada') });
    }
  };

  it('finds nothing where reports repeat others, also while they do, and that somebody has noted others', async () => {
    const home = directory();
    const { tool_call_burst: rule } = BUILT_IN_RULES;
    const rules = { tool_call_burst: { ...rule, repeat: { same: ['source'], within: HOUR } } };
    const once = async (given: Recording, n: number): Promise<void> => {
      given.clock.milliseconds += SECOND;
      const { class: ofClass, description } = report;
      await given.recorder.report({ class: ofClass, description, source: `source ${n % 4}` });
    };
    let recording = await Recording.open(home, { rules });
    for (let n = 0; n < 1200; n++) await once(recording, n);
    await recording.close();
    recording = await Recording.open(home, { rules });
    recording.clock.milliseconds += 1200 * SECOND;
    try {
      const work = async (): Promise<void> => {
        for (let n = 0; n < 50; n++) await once(recording, n + 2);
      };
      expect(await prove(recording, work)).to.equal(undefined);
      expect(listed(recording)).to.have.length(4);
    } finally {
      await recording.close();
    }
    const another = '(SELECT number FROM incidents WHERE number <> repeats.incident ORDER BY number LIMIT 1)';
    for (const edit of [
      `incident = ${another}`,
      `incident = ${another}, seq = (SELECT max(seq) FROM entries WHERE incident = ${another})`,
      'seq = seq - 100',
      'seq = seq + 2',
      'seq = 1000000',
    ]) {
      const database = new DatabaseSync(databasePath(Recording.logIn(home)));
      const before = database.prepare('SELECT * FROM repeats').all();
      database.exec(`UPDATE repeats SET ${edit} WHERE key = (SELECT min(key) FROM repeats)`);
      database.close();
      recording = await Recording.open(home, { rules });
      try {
        expect(await prove(recording), edit).to.match(/is not the latest with the values/);
      } finally {
        await recording.close();
      }
      const again = new DatabaseSync(databasePath(Recording.logIn(home)));
      again.exec('DELETE FROM repeats');
      const put = again.prepare('INSERT INTO repeats (key, incident, seq, time) VALUES (?, ?, ?, ?)');
      for (const { key, incident, seq, time } of before) put.run(key!, incident!, seq!, time!);
      again.close();
    }
  });

  it('finds nothing, after a restart, in segments, with archived ones, and while it is written', async () => {
    const home = directory();
    let recording = await Recording.open(home, { segmentBytes: SEGMENT });
    await fill(recording, 3);
    await recording.close();
    recording = await Recording.open(home, { segmentBytes: SEGMENT });
    expect(await prove(recording)).to.equal(undefined);
    const { log, projections, incidents, clock } = recording;
    for (const { id, state } of listed(recording)) {
      if (state !== 'resolved') await recording.recorder.perform('resolve', { id });
    }
    const before = clock.now() + HOUR;
    clock.milliseconds += 48 * HOUR;
    await fill(recording, 1);
    const archivist = new Archivist({ log, projections, incidents, clock, isVerified: () => true });
    expect((await archivist.archive(before)).archived).to.have.length.greaterThan(0);
    const busy = fill.bind(undefined, recording, 1);
    expect(await prove(recording, busy)).to.equal(undefined);
    await recording.close();
    recording = await Recording.open(home, { segmentBytes: SEGMENT });
    expect(await prove(recording)).to.equal(undefined);
    await recording.close();
  });

  describe('where webhooks have not taken everything', () => {
    const URL = 'http://127.0.0.1:1#11111111';
    const TIME = '2026-11-22T07:12:00.123Z';
    const parked = { seq: 2, event: 'alert.raised', since: TIME, attempts: 3, waited_ms: 3000 };
    const ENTRIES: readonly Draft[] = [
      {
        timestamp: TIME,
        event: 'notification.delivered',
        data: { url: URL, through_seq: 900, parked: [parked], notices: { repeated_at: TIME } },
      },
      {
        timestamp: TIME,
        event: 'webhook.skipped',
        data: {
          url: URL,
          skipped_seq: 800,
          skipped_event: 'alert.raised',
          since: TIME,
          attempts: 9,
          waited_ms: 9000,
          error: 'answered 500',
        },
      },
      {
        timestamp: TIME,
        event: 'webhook.retried',
        data: { url: URL, retried_seq: 801, retried_event: 'alert.raised' },
      },
    ];
    const filler = (): Draft => draft('x'.repeat(SEGMENT / 2));

    it('finds nothing, also when their entries were archived', async () => {
      const home = directory();
      let recording = await Recording.open(home, { segmentBytes: SEGMENT });
      await recording.log.append(ENTRIES);
      expect(await prove(recording)).to.equal(undefined);
      while (recording.log.sealed.length < 2) await recording.log.append([filler()]);
      const { log, projections, incidents, clock } = recording;
      clock.milliseconds += 48 * HOUR;
      await log.append([{ ...ENTRIES[2]!, timestamp: timestamp(clock.now()) }]);
      const archivist = new Archivist({ log, projections, incidents, clock, isVerified: () => true });
      expect((await archivist.archive(clock.now() - 24 * HOUR)).archived).to.have.length.greaterThan(0);
      expect(await prove(recording)).to.equal(undefined);
      await recording.close();
      recording = await Recording.open(home, { segmentBytes: SEGMENT });
      expect(await prove(recording)).to.equal(undefined);
      await recording.close();
    });

    for (const [what, sql, finding = 'the webhooks have not taken other entries'] of [
      ['it has told nothing', 'UPDATE webhooks SET notices = NULL', 'the webhooks have told something else'],
      ['what was put aside is taken', "UPDATE webhooks SET parked = '[]'"],
      ['less is put aside', `UPDATE webhooks SET parked = json_remove(parked, '$[0]')`],
      ['it has been tried for long', `UPDATE webhooks SET parked = json_set(parked, '$[0].waited_ms', 86400000)`],
      ['nothing was skipped', 'DELETE FROM skipped'],
      ['something else was skipped', `UPDATE skipped SET entry = json_set(entry, '$.error', 'none')`],
    ] as const) {
      it(`finds that somebody has edited it so that ${what}`, async () => {
        const home = directory();
        let recording = await Recording.open(home, { segmentBytes: SEGMENT });
        await recording.log.append(ENTRIES);
        const { path } = recording.log.fileOf(Infinity);
        await recording.close();
        const database = new DatabaseSync(databasePath(path));
        expect(database.prepare(sql).run().changes).to.equal(1);
        database.close();
        recording = await Recording.open(home, { segmentBytes: SEGMENT });
        expect(await prove(recording)).to.equal(finding);
        await recording.close();
      });
    }
  });
});
