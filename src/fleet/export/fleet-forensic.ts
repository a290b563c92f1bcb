/**
 * Forensic exports at the fleet: a copy of what is on record of one machine, in the form of the recorder's
 * (`forensic/forensic-export.ts`), from one history of its log and signed with the fleet's key.
 *
 * Incidents may go on while they are read: each is as it was when it was written. The lines of the log are read last, so the
 * last of them goes at least as far. When not everything fits, the same is left out as at the recorder, and counted.
 */
import { randomBytes, sign } from 'node:crypto';
import { dirname } from 'node:path';
import { sql } from 'kysely';
import type { Turn } from '../../audit/log-reader.ts';
import { timestamp } from '../../clock.ts';
import type { Caller } from '../../domain/caller.ts';
import type { Entry } from '../../domain/entries.ts';
import { found, RecorderError } from '../../errors.ts';
import {
  ForensicExport,
  LARGEST_PAYLOAD,
  LINES,
  LINES_SHARE,
  REST_OF_PAYLOAD,
} from '../../forensic/forensic-export.ts';
import { inSlices } from '../../forensic/in-slices.ts';
import { PayloadFile } from '../../forensic/payload-file.ts';
import { FLEET_SERVICE, signedOfExport } from '../../forensic/signed-export.ts';
import { verifierKeyOf } from '../../signed-note.ts';
import { VERSION } from '../../version.ts';
import { documentsOf } from '../api/documents.ts';
import type { FleetDatabase } from '../database.ts';
import { ExportedHistory } from './exported-history.ts';
import { type FleetExportSources, noteExport, scratchFor } from './fleet-bundles.ts';

const MOST_AT_ONCE = 2;
/** How many documents are read in one query, and how many bytes of them; the first may be longer. */
const MOST_READ = 200;
const MOST_READ_BYTES = 1024 * 1024;
/** How many incidents are looked at: as many of the shortest as fit. */
const MOST_INCIDENTS = 100_000;
/** How long a list in the state may be, in characters. */
const LONGEST = 2000;

/** An incident that may go into an export. */
interface Candidate {
  readonly machine: string;
  readonly log: string;
  readonly id: string;
  readonly bytes: number;
}

/** What was written of the lines. */
interface WrittenLines {
  readonly count: number;
  readonly altered: number;
  readonly unverified: number;
}

export class FleetForensic {
  readonly #sources: FleetExportSources;
  #underWay = 0;

  constructor(sources: FleetExportSources) {
    this.#sources = sources;
  }

  /**
   * Puts an export together. Until it is disposed of, it counts as under way.
   * @param log the name of the history
   * @param turn awaited again and again meanwhile; what it throws ends the export
   * @throws RecorderError `overloaded` when there is no room or no place for another one now; `not_found`
   */
  async prepare(machine: string, log: string, caller: Caller, turn: Turn): Promise<ForensicExport> {
    const { clock, signer } = this.#sources;
    if (this.#underWay >= MOST_AT_ONCE) throw new RecorderError('overloaded', 'too many exports at once; try again');
    this.#underWay += 1;
    await using stack = new AsyncDisposableStack();
    stack.defer(() => void (this.#underWay -= 1));
    await noteExport(this.#sources, machine, caller, { what: 'export_forensic', history: log });
    const beside = await scratchFor(this.#sources);
    const path = `${beside}.export-${randomBytes(8).toString('hex')}`;
    const payload = stack.use(await PayloadFile.create(path, dirname(beside)));
    await this.#write(payload, machine, log, inSlices(turn, clock));
    const hash = (await payload.finish()).toString('hex');
    const signature = sign(null, signedOfExport(hash), signer.privateKey).toString('hex');
    return new ForensicExport(payload, hash, signature, stack.move());
  }

  async #write(payload: PayloadFile, machine: string, log: string, turn: Turn): Promise<void> {
    const { db, clock } = this.#sources;
    const most = LARGEST_PAYLOAD - REST_OF_PAYLOAD;
    const first = await ExportedHistory.read(db, machine, log);
    const lineBytes = Math.min(LINES_SHARE * most, (await sizesOf(first)).bytes);
    await payload.write(`{"exported_at":${JSON.stringify(timestamp(clock.now()))},"incidents":[`);
    const written = await this.#writeIncidents(payload, machine, log, most - lineBytes, turn);
    await payload.write('],"audit_entries":[');
    // The log has gone on with the incidents.
    const history = await ExportedHistory.read(db, machine, log);
    const { from } = await sizesOf(history, Math.min(LINES_SHARE * most, most - payload.length));
    const lines = await writeLines(payload, history, from, turn);
    const about = await aboutMachine(db, machine);
    const state = await this.#stateOf(history, about, written, lines);
    await payload.write(`],"system_state":${JSON.stringify(state)}`);
    await payload.write(`,"policy_digest":${JSON.stringify(about?.policy_digest ?? '')}}`);
  }

  /** Writes the unresolved incidents and then the others, the newest first. @returns how many there was room for */
  async #writeIncidents(payload: PayloadFile, machine: string, log: string, most: number, turn: Turn): Promise<number> {
    const { db } = this.#sources;
    const { rows } = await sql<Candidate>`
      SELECT machine, log, id, bytes FROM incidents WHERE machine = ${machine} AND log = ${log}
      ORDER BY state = 'resolved', number DESC LIMIT ${sql.lit(MOST_INCIDENTS)}`.execute(db);
    let written = 0;
    for (let at = 0; at < rows.length;) {
      await turn();
      const some: Candidate[] = [];
      for (let bytes = 0; at < rows.length && some.length < MOST_READ; at += 1) {
        bytes += rows[at]!.bytes;
        if (some.length > 0 && bytes > MOST_READ_BYTES) break;
        some.push(rows[at]!);
      }
      for (const { document } of await documentsOf(db, some)) {
        if (payload.length + Buffer.byteLength(document) + 1 > most) return written;
        await payload.write(written > 0 ? ',' : '');
        await payload.write(document);
        written += 1;
      }
    }
    return written;
  }

  /** What an export says about its machine and the fleet. All of it is text, as in the recorder's. */
  async #stateOf(
    history: ExportedHistory,
    about: AboutMachine | undefined,
    written: number,
    lines: WrittenLines,
  ): Promise<Record<string, string>> {
    const { db, signer } = this.#sources;
    const { row, head, first, root, anchor, described } = history;
    const { machine, log, identity } = row;
    const { rows: counts } = await sql<{ total: number; open: number }>`
      SELECT count(*) AS total, count(*) FILTER (WHERE state <> 'resolved') AS open
      FROM incidents WHERE machine = ${machine} AND log = ${log}`.execute(db);
    const { rows: held } = await sql<{ action: string }>`
      SELECT action FROM posture WHERE machine = ${machine} AND log = ${log} AND holders > 0 ORDER BY action`.execute(
      db,
    );
    const { total, open } = found(counts[0]);
    return {
      service: FLEET_SERVICE,
      version: VERSION,
      signed_by: `fleet ${signer.name}`,
      fleet_key: verifierKeyOf(signer),
      machine,
      machine_version: about?.version ?? '',
      machine_heard_at: about?.heard_at?.toISOString() ?? '',
      history: log,
      standing: described.standing,
      diverged_from: described.diverged?.from ?? '',
      diverged_at_seq: String(described.diverged?.at_seq ?? ''),
      hashes: described.hashes,
      unverified_from: String(described.unverified_from ?? ''),
      log_id: identity,
      log_entries: String(head.seq),
      log_first: String(first),
      log_last_hash: head.entry_hash,
      log_root: root ?? '',
      log_algorithm: await history.algorithm(),
      log_anchor: anchor?.anchor ?? '',
      total_incidents: String(total),
      open_incidents: String(open),
      containment_engaged: held
        .map(({ action }) => action)
        .join(', ')
        .slice(0, LONGEST),
      policy_source: about?.policy_source ?? '',
      omitted: String(Math.max(0, total - written)),
      audit_entries_omitted: String(Math.min(LINES, head.seq - first + 1) - lines.count),
      audit_entries_altered: String(lines.altered),
      audit_entries_unverified: String(lines.unverified),
    };
  }
}

/** The last lines of a history as JSON strings with a comma each: how long they are, and from which on they fit. */
async function sizesOf(
  history: ExportedHistory,
  most = Infinity,
): Promise<{ readonly from: number; readonly bytes: number }> {
  const through = history.row.through;
  let from = through + 1;
  let bytes = 0;
  for (const { size } of await history.sizes(Math.max(history.first, through - LINES + 1))) {
    if (bytes + size > most) break;
    bytes += size;
    from -= 1;
  }
  return { from, bytes };
}

/** Writes lines as JSON strings, and looks how they are chained. */
async function writeLines(
  payload: PayloadFile,
  history: ExportedHistory,
  from: number,
  turn: Turn,
): Promise<WrittenLines> {
  const { unverifiedFrom } = history;
  let count = 0;
  let altered = 0;
  let before: string | undefined;
  for (let seq = from; seq <= history.row.through;) {
    await turn();
    const page = await history.lines(seq, history.row.through);
    if (page.length === 0) throw new RecorderError('damaged_log', `entry ${seq} is not in the database`);
    for (const { line } of page) {
      await payload.write(`${count === 0 ? '' : ','}${JSON.stringify(line)}`);
      const { prev_hash, entry_hash } = JSON.parse(line) as Entry;
      if (before !== undefined && prev_hash !== before) altered += 1;
      before = entry_hash;
      count += 1;
    }
    seq = page.at(-1)!.seq + 1;
  }
  const unverified = unverifiedFrom === null ? 0 : history.row.through + 1 - Math.max(from, unverifiedFrom);
  return { count, altered, unverified };
}

/** What the fleet knows of a machine apart from its log. */
interface AboutMachine {
  readonly version: string | null;
  readonly heard_at: Date | null;
  readonly policy_source: string | null;
  readonly policy_digest: string | null;
}

async function aboutMachine(db: FleetDatabase, machine: string): Promise<AboutMachine | undefined> {
  const { rows } = await sql<AboutMachine>`
    SELECT version, heard_at, policy_source, policy_digest FROM machines WHERE machine = ${machine}`.execute(db);
  return rows[0];
}
