/** What becomes of what machines send, on each engine. */
import { expect } from 'chai';
import { sql } from 'kysely';
import { readAnchor } from '../../../src/anchor.ts';
import { CompactRange } from '../../../src/audit/compact-range.ts';
import { systemClock } from '../../../src/clock.ts';
import { RecorderError } from '../../../src/errors.ts';
import type { FleetCore } from '../../../src/fleet/fleet.ts';
import { READ_MODELS } from '../../../src/fleet/ingest/batch-rows.ts';
import { type Batch, Ingest } from '../../../src/fleet/ingest/ingest.ts';
import { onEachEngine } from '../support/engines.ts';
import { AUDIT_KEY, MachineLog } from '../support/machine-log.ts';

const TOKEN = 'a'.repeat(64);

/** The machine of the test: each has one of its own. */
let machine = '';
let machines = 0;

async function enrol({ enrolment }: FleetCore, name: string, withKey = true): Promise<void> {
  const secret = await enrolment.invite(name, { site: 'berlin' }, 'test');
  const audit_key = withKey ? AUDIT_KEY.toString('base64') : undefined;
  await enrolment.enrol({ machine: name, secret, token_sha256: TOKEN, public_key: 'key', audit_key });
}

const batchOf = (log: MachineLog, from: number, to = log.through, more: Partial<Batch> = {}): Batch => ({
  machine,
  log: log.id,
  from,
  body: log.body(from, to),
  entries: log.through,
  arrived: systemClock.monotonic(),
  ...more,
});

async function refusalOf(promise: Promise<unknown>): Promise<RecorderError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof RecorderError) return error;
    throw error;
  }
  throw new Error('it was not refused');
}

/** Everything that is read, in an order. */
async function readModels({ db }: FleetCore): Promise<Record<string, readonly string[]>> {
  const found: Record<string, readonly string[]> = {};
  for (const table of [...READ_MODELS, 'logs', 'entries'] as const) {
    const rows = await db.selectFrom(table).selectAll().where('machine', '=', machine).execute();
    found[table] = rows.map((row) => JSON.stringify(row)).toSorted();
  }
  return found;
}

onEachEngine('ingest', (engine) => {
  let core: FleetCore;

  before(async () => {
    core = await engine.core();
  });

  beforeEach(async () => {
    machine = `m${++machines}`;
    await enrol(core, machine);
  });

  after(() => core.db.destroy());

  const rowOf = async (log: string) =>
    core.db
      .selectFrom('logs')
      .selectAll()
      .where('machine', '=', machine)
      .where('identity', '=', log)
      .orderBy('ordinal', 'desc')
      .execute();
  const diverged = () => core.db.selectFrom('fleet_incidents').selectAll().where('machine', '=', machine).execute();

  it('stores lines as they came, makes the read models, and makes the same again', async () => {
    const log = new MachineLog().fill(1200);
    for (const [from, to] of [
      [1, 1],
      [2, 500],
      [501, 502],
      [503, log.through],
    ] as const) {
      const stored = await core.ingest.store(batchOf(log, from, to));
      expect(stored).to.include({ machine, log: log.id, through: to, hash: log.hashOf(to), stored: to - from + 1 });
    }
    const lines = await core.db
      .selectFrom('entries')
      .select('line')
      .where('machine', '=', machine)
      .orderBy('seq')
      .execute();
    expect(lines.map(({ line }) => line)).to.deep.equal(log.lines);
    const before = await readModels(core);
    expect(before.incidents).to.have.length.above(300);
    expect(JSON.parse(before.logs![0]!)).to.include({ unverified_from: null, unread: 0 });
    await core.ingest.rebuild(machine);
    expect(await readModels(core)).to.deep.equal(before);
  });

  it('makes the read models again of a machine that is silent or revoked, which counts as nothing heard', async () => {
    const log = new MachineLog().fill(20);
    await core.ingest.store(batchOf(log, 1));
    const now = await readModels(core);
    const heard_at = new Date('2026-01-01T00:00:00Z');
    await core.enrolment.revoke(machine, 'test');
    await core.db.updateTable('machines').set({ heard_at }).where('machine', '=', machine).execute();
    await core.ingest.rebuild(machine);
    expect(await readModels(core)).to.deep.equal(now);
    const row = core.db.selectFrom('machines').select('heard_at').where('machine', '=', machine);
    expect(await row.executeTakeFirst()).to.deep.equal({ heard_at });
  });

  it('counts what a machine sends to any process, and slows down no other', async () => {
    const { db, signer } = core;
    const quota = { entriesPerSecond: 1, bytesPerSecond: 1e9 };
    const process = () => new Ingest({ db, clock: systemClock, signer, unseal: () => [AUDIT_KEY], quota });
    const [one, other] = [process(), process()];
    const log = new MachineLog().fill(200);
    const last = log.through;
    const { wait } = await one.store(batchOf(log, 1, last - 1));
    expect(wait).to.be.within(1, (last - 20) * 1000);
    const setUntil = (hours: number) =>
      sql`UPDATE machines SET sent_until = clock_timestamp() + ${hours}::float8 * interval '1 hour'
        WHERE machine = ${machine}`.execute(db);
    const refusal = await refusalOf(other.store(batchOf(log, last)));
    expect(refusal).to.include({ code: 'quota_exceeded' });
    expect(refusal.fields.retry_after).to.be.within(1, last);
    expect((await rowOf(log.id))[0]!.through).to.equal(last - 1);
    await setUntil(-1);
    const later = await other.store(batchOf(log, last));
    expect(later.stored).to.equal(1);
    expect(later.wait).to.be.within(-20_000, 0);
    // The clock of the database was set back.
    await setUntil(24);
    expect((await one.store(batchOf(log, last))).wait).to.be.below(0);
    await setUntil(0.1);
    const name = machine;
    machine = `${name}-other`;
    await enrol(core, machine);
    expect((await other.store(batchOf(new MachineLog('b').fill(5), 1))).wait).to.be.below(0);
    machine = name;
    expect(await refusalOf(one.store(batchOf(log, last)))).to.include({ code: 'quota_exceeded' });
  });

  it('goes on with a rebuild that was broken off, and settles and counts all once', async () => {
    const { db, signer, ingest } = core;
    const log = new MachineLog().fill(300);
    const other = log.copyThrough(100).fill(300);
    await ingest.store(batchOf(log, 1));
    await ingest.store(batchOf(other, 1, other.through - 15));
    const before = await readModels(core);
    expect(before.left_counts).to.have.length.above(0);
    // The other history, and what lists show, are still to be made.
    const broken = ingest.rebuild(machine, () => {
      throw new Error('ended');
    });
    expect(await broken.catch(String)).to.include('ended');
    const quota = { entriesPerSecond: 1, bytesPerSecond: 1e9 };
    const process = new Ingest({ db, clock: systemClock, signer, unseal: () => [AUDIT_KEY], quota });
    const { stored, wait } = await process.store(batchOf(other, other.through - 14));
    expect(stored).to.equal(15);
    expect(wait, 'fifteen of twenty seconds are used').to.be.below(0);
    const after = await readModels(core);
    await ingest.rebuild(machine);
    expect(await readModels(core)).to.deep.equal(after);
    const shown = after.incidents!.map((row) => JSON.parse(row) as { id: string; current: boolean });
    const ids = shown.filter(({ current }) => current).map(({ id }) => id);
    expect(ids.toSorted()).to.deep.equal([...new Set(shown.map(({ id }) => id))].toSorted());
  });

  it('takes the same batch twice, and one that overlaps', async () => {
    const log = new MachineLog().fill(300);
    await core.ingest.store(batchOf(log, 1, 200));
    const before = await readModels(core);
    expect(await core.ingest.store(batchOf(log, 1, 200))).to.include({ through: 200, stored: 0 });
    expect(await core.ingest.store(batchOf(log, 101, 150))).to.include({ through: 200, stored: 0 });
    expect((await readModels(core)).incidents).to.deep.equal(before.incidents);
    expect(await core.ingest.store(batchOf(log, 150))).to.include({ through: log.through, stored: log.through - 200 });
    expect(await diverged()).to.deep.equal([]);
  });

  it('has two shippers of one machine at once: nothing is lost or doubled', async () => {
    const log = new MachineLog().fill(900);
    const ship = async (size: number): Promise<void> => {
      for (let from = 1; from <= log.through;) {
        const { through } = await core.ingest.store(batchOf(log, from, Math.min(log.through, from + size - 1)));
        from = through + 1;
      }
    };
    await Promise.all([ship(100), ship(70)]);
    const { rows } = await readModels(core).then(({ entries = [] }) => ({ rows: entries }));
    expect(rows).to.have.length(log.through);
    const before = await readModels(core);
    await core.ingest.rebuild(machine);
    expect(await readModels(core)).to.deep.equal(before);
    expect(await diverged()).to.deep.equal([]);
  });

  it('refuses gaps, other logs and broken links, says what is expected, and stores nothing', async () => {
    const log = new MachineLog().fill(50);
    const refused = async (batch: Batch): Promise<unknown> => (await refusalOf(core.ingest.store(batch))).fields;
    expect(await refused(batchOf(log, 2))).to.deep.equal({
      code: 'unexpected_from',
      expected: { log: log.id, from: 1, prev_hash: '' },
    });
    const other = new MachineLog('b').fill(20);
    expect(await refused(batchOf(other, 1, 20, { log: log.id }))).to.deep.include({ code: 'other_log' });
    await core.ingest.store(batchOf(log, 1, 20));
    const before = await readModels(core);
    const expected = { log: log.id, from: 21, prev_hash: log.hashOf(20) };
    expect(await refused(batchOf(log, 31))).to.deep.equal({ code: 'unexpected_from', expected });
    const cut = Buffer.concat([log.body(21, 25), log.body(27, 30)]);
    expect(await refused(batchOf(log, 21, 30, { body: cut }))).to.deep.equal({ code: 'broken_chain', expected });
    const half = log.body(21, 30).subarray(0, -10);
    expect(await refused(batchOf(log, 21, 30, { body: half }))).to.deep.equal({ code: 'broken_chain', expected });
    const reordered = Buffer.concat([log.body(22, 22), log.body(21, 21)]);
    expect(await refused(batchOf(log, 21, 22, { body: reordered }))).to.deep.equal({ code: 'broken_chain', expected });
    const edited = Buffer.from(log.body(21, 30).toString().replace('"seen"', '"SEEN"'));
    expect(edited.equals(log.body(21, 30))).to.equal(false);
    expect(await refused(batchOf(log, 21, 30, { body: edited }))).to.deep.equal({ code: 'broken_chain', expected });
    expect(await readModels(core)).to.deep.equal(before);
    expect(await diverged()).to.deep.equal([]);
  });

  it('takes a batch whose last line has no newline, and none of a log that it does not have without entries', async () => {
    const log = new MachineLog().fill(20);
    const none = await refusalOf(core.ingest.store(batchOf(log, 1, 20, { body: Buffer.alloc(0) })));
    expect(none.message).to.equal('the fleet has nothing of this log: begin with entry 1, there is none in this batch');
    const body = log.body(1, 20).subarray(0, -1);
    expect(await core.ingest.store(batchOf(log, 1, 20, { body }))).to.include({ through: 20, stored: 20 });
    const rows = core.db.selectFrom('entries').select('line').where('machine', '=', machine).orderBy('seq');
    expect((await rows.execute()).map(({ line }) => line)).to.deep.equal(log.lines.slice(0, 20));
  });

  it('says that hashes are not verified where the key is not here', async () => {
    machine = 'keyless';
    await enrol(core, machine, false);
    const log = new MachineLog().fill(20);
    await core.ingest.store(batchOf(log, 1, 20));
    const [row] = await rowOf(log.id);
    expect(row).to.include({ unverified_from: 1 });
  });

  it('finds another text of an entry that names the same hash, where the key is not here', async () => {
    machine = 'keyless-edited';
    await enrol(core, machine, false);
    const log = new MachineLog().fill(20);
    await core.ingest.store(batchOf(log, 1, 20));
    const body = Buffer.from(log.body(11, 20).toString().replace('"seen"', '"SEEN"'));
    const at = 11 + log.lines.slice(10).findIndex((line) => line.includes('"seen"'));
    const { diverged: found } = await core.ingest.store(batchOf(log, 11, 20, { body }));
    expect(found).to.include({ why: 'rewritten', first_differing_seq: at });
    // The genuine lines, which the fleet has as well, say nothing new.
    expect(await core.ingest.store(batchOf(log, 11, 20))).to.include({ stored: 0 });
    expect(await diverged()).to.have.lengthOf(1);
  });

  it('finds a past that was rewritten, keeps both, and says which entry differs first', async () => {
    const log = new MachineLog().fill(1500);
    await core.ingest.store(batchOf(log, 1, 900));
    await core.ingest.store(batchOf(log, 901));
    const old = await readModels(core);
    const other = log.copyThrough(300).fill(1600);
    const refusal = await refusalOf(core.ingest.store(batchOf(other, log.through + 1, other.through)));
    expect(refusal.fields).to.deep.equal({
      code: 'diverged',
      expected: { log: log.id, from: log.through - 999, prev_hash: log.hashOf(log.through - 1000) },
    });
    const from = (refusal.fields.expected as { from: number }).from;
    const further = await refusalOf(core.ingest.store(batchOf(other, from, from + 99)));
    expect(further.fields).to.deep.include({ code: 'diverged', expected: { log: log.id, from: 1, prev_hash: '' } });
    const stored = await core.ingest.store(batchOf(other, 1, 1000));
    expect(stored).to.include({ through: 1000, hash: other.hashOf(1000) });
    expect(stored.diverged).to.include({ why: 'rewritten', first_differing_seq: 301 });
    await core.ingest.store(batchOf(other, 1001));
    const [incident] = await diverged();
    expect(incident).to.include({ kind: 'log_diverged', machine });
    expect(incident!.detail).to.deep.include({
      first_differing_seq: 301,
      kept: { seq: 301, hash: log.hashOf(301) },
      found: { seq: 301, hash: other.hashOf(301) },
    });
    // Both histories are there, and nothing of the first has changed.
    const now = await readModels(core);
    expect(now.entries).to.include.members(old.entries as string[]);
    const [latest, first] = await rowOf(log.id);
    expect([latest!.active, first!.active]).to.deep.equal([true, false]);
    expect([latest!.through, first!.through]).to.deep.equal([other.through, log.through]);
    // The new history is as if it had been alone.
    await enrol(core, 'alone');
    for (let at = 1; at <= other.through; at += 1000)
      await core.ingest.store(batchOf(other, at, Math.min(other.through, at + 999), { machine: 'alone' }));
    const incidentsOf = (of: string, name: string) =>
      core.db
        .selectFrom('documents')
        .select(['id', 'document'])
        .where('machine', '=', of)
        .where('log', '=', name)
        .orderBy('id')
        .execute();
    const postureOf = (of: string, name: string) =>
      core.db
        .selectFrom('posture')
        .select(['action', 'document'])
        .where('machine', '=', of)
        .where('log', '=', name)
        .orderBy('action')
        .execute();
    expect(await incidentsOf(machine, latest!.log)).to.deep.equal(await incidentsOf('alone', first!.log));
    expect(await postureOf(machine, latest!.log)).to.deep.equal(await postureOf('alone', first!.log));
    // Lists show each incident once, also those that the machine does not know any more.
    const shown = await core.db
      .selectFrom('incidents')
      .select('id')
      .where('machine', '=', machine)
      .where('current', '=', true)
      .execute();
    const all = await core.db.selectFrom('incidents').select('id').distinct().where('machine', '=', machine).execute();
    expect(shown.map(({ id }) => id).toSorted()).to.deep.equal(all.map(({ id }) => id).toSorted());
    await core.ingest.rebuild(machine);
    expect(await readModels(core)).to.deep.equal(now);
  });

  it('finds a log that was cut or restored from an old image, with what the shipper had heard before', async () => {
    const log = new MachineLog().fill(400);
    await core.ingest.store(batchOf(log, 1));
    const old = log.copyThrough(250);
    // It may be a look at the log from before the last batch.
    const early = await core.ingest.store(batchOf(old, 200, 250, { entries: 250 }));
    expect(early).to.include({ through: log.through });
    const none = { body: Buffer.alloc(0), entries: 250 };
    const stored = await core.ingest.store(batchOf(old, 251, 250, { ...none, heard: log.through }));
    expect(stored).to.include({ through: 250, hash: log.hashOf(250) });
    expect(stored.diverged).to.include({ why: 'cut', first_differing_seq: 251 });
    expect(await core.ingest.store(batchOf(old, 251, 250, { ...none, heard: log.through }))).to.include({
      through: 250,
    });
    old.fill(500);
    expect(await core.ingest.store(batchOf(old, 251))).to.include({ through: old.through });
    expect(await diverged()).to.have.length(1);
    // And the first history comes back: it goes on where it was.
    const again = log.through;
    log.fill(again + 10);
    const back = await core.ingest.store(batchOf(log, again + 1));
    expect(back.diverged).to.include({ why: 'returned' });
    const now = await readModels(core);
    await core.ingest.rebuild(machine);
    expect(await readModels(core)).to.deep.equal(now);
  });

  it('keeps a new log beside the one before', async () => {
    const log = new MachineLog().fill(100);
    await core.ingest.store(batchOf(log, 1));
    const other = new MachineLog('b').fill(50);
    const stored = await core.ingest.store(batchOf(other, 1));
    expect(stored.diverged).to.include({ why: 'new_log', first_differing_seq: 1 });
    expect(
      await core.db.selectFrom('logs').select('active').where('machine', '=', machine).orderBy('ordinal').execute(),
    ).to.deep.equal([{ active: false }, { active: true }]);
  });

  it('takes a log whose beginning the machine has archived, without an anchor', async () => {
    const log = new MachineLog().fill(300);
    const stored = await core.ingest.store(batchOf(log, 101, 200, { first: 101 }));
    expect(stored).to.include({ through: 200 });
    expect(stored).not.to.have.property('anchor');
    await core.ingest.store(batchOf(log, 201));
    const now = await readModels(core);
    await core.ingest.rebuild(machine);
    expect(await readModels(core)).to.deep.equal(now);
  });

  it('signs anchors with the root over all entries', async () => {
    const log = new MachineLog().fill(120);
    const { anchor } = await core.ingest.store(batchOf(log, 1, 100));
    const range = CompactRange.empty();
    for (let seq = 1; seq <= 100; seq++) range.append(Buffer.from(log.hashOf(seq), 'hex'));
    const read = readAnchor(anchor!, [core.signer]);
    expect(read).to.deep.equal({
      time: read.time,
      fleet: 'fleet.test',
      machine,
      log: log.id,
      seq: 100,
      hash: log.hashOf(100),
      root: range.root().toString('hex'),
    });
    // The same is not signed again at once.
    expect(await core.ingest.store(batchOf(log, 101))).not.to.have.property('anchor');
  });

  it('takes no log that holds an anchor for another machine, unless that one was revoked', async () => {
    const log = new MachineLog('w').fill(20);
    const { anchor } = await core.ingest.store(batchOf(log, 1));
    const { seq, hash, root, time } = readAnchor(anchor!, [core.signer]);
    const data = { log_id: log.id, machine, anchored_seq: seq, hash, root, time, anchor: anchor! };
    log.append({ event: 'log.anchored', data });
    await core.ingest.store(batchOf(log, seq + 1));
    const first = machine;
    machine = `m${++machines}`;
    await enrol(core, machine);
    const refusal = await refusalOf(core.ingest.store(batchOf(log, 1)));
    expect(refusal.fields).to.deep.include({ code: 'wrong_machine', expected: { machine, log: log.id } });
    expect(refusal.message).not.to.include(` ${first}`);
    expect(await rowOf(log.id)).to.have.length(0);
    await core.enrolment.revoke(first, 'test');
    expect(await core.ingest.store(batchOf(log, 1))).to.include({ through: log.through });
  });

  it('gives anchors again to a machine whose clock was wrong when it recorded the last', async () => {
    const log = new MachineLog('c').fill(20);
    const { anchor } = await core.ingest.store(batchOf(log, 1));
    const { seq, hash, root } = readAnchor(anchor!, [core.signer]);
    log.append({
      timestamp: '2999-01-01T00:00:00.000Z',
      event: 'log.anchored',
      data: {
        log_id: log.id,
        machine,
        anchored_seq: seq,
        hash,
        root,
        time: '2026-01-01T00:00:00.000Z',
        anchor: anchor!,
      },
    } as never);
    await core.ingest.store(batchOf(log, log.through));
    // What was given longer ago than a minute is given again.
    await core.db
      .updateTable('logs')
      .set({ anchored_at: '2026-01-01T00:00:00Z' })
      .where('machine', '=', machine)
      .execute();
    log.report();
    expect(await core.ingest.store(batchOf(log, log.through))).to.have.property('anchor');
  });

  it('lives with whatever a machine makes up', async () => {
    const log = new MachineLog('x');
    const data = (more: object): never => ({ event: 'incident.reported', data: { ...more } }) as never;
    log.append(data({ incident: 'INC-1', version: 1 }));
    log.append(
      data({
        incident: 'a\0b',
        version: 1,
        state: 'open',
        report: { class: 'x', source: '\0' },
        rule: {},
        intents: [],
      }),
    );
    log.append({ event: 'incident.resolved', data: { incident: 'INC-9', version: 7, state: 'resolved', intents: [] } });
    log.append({ event: 'something.new', data: { incident: 'INC-9', deep: { a: [null] } } } as never);
    log.append({ event: 'guard.heard', data: { source: 7, sign: 'report' } } as never);
    log.append({ event: 'silence.added', data: { silence: null } } as never);
    const id = log.report({ note: '\ud800 half', nul: '\0' });
    log.append(data({ incident: id, version: 1, state: 'open', report: {}, rule: {}, intents: [] }));
    log.append({
      event: 'containment.heard',
      data: { action: "x'); DROP TABLE entries; --", directive: 'engage' },
    } as never);
    log.append({
      event: 'incident.acknowledged',
      data: { incident: id, version: 99, state: 'nonsense', intents: [], note: "'\\\n" },
    } as never);
    expect(await core.ingest.store(batchOf(log, 1))).to.include({ through: log.through });
    const [row] = await rowOf(log.id);
    expect(row!.unread).to.be.above(4);
    const now = await readModels(core);
    expect(now.incidents).to.have.length(1);
    await core.ingest.rebuild(machine);
    expect(await readModels(core)).to.deep.equal(now);
  });
});
