/**
 * Evidence bundles at the fleet: in the form of the recorder's, from the lines that the machine has sent, and signed with
 * the fleet's key.
 *
 * The audit key of a machine, where the fleet has it, verifies what the machine sends and proves no bundle: the bundle is
 * the fleet's statement. Who asks for one is in the fleet's acts before it is made; a database that takes nothing stops no
 * bundle.
 */
import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import type { ApiLogger } from '../../api/dependencies.ts';
import type { Turn } from '../../audit/log-reader.ts';
import type { BundleMaterial } from '../../bundle/bundle-writer.ts';
import { exportKeyOf } from '../../bundle/export-key.ts';
import { type ReadyBundle, writeBundle } from '../../bundle/make-bundle.ts';
import type { Clock } from '../../clock.ts';
import type { Caller } from '../../domain/caller.ts';
import { RecorderError } from '../../errors.ts';
import { inSlices } from '../../forensic/in-slices.ts';
import { type Signer, verifierKeyOf } from '../../signed-note.ts';
import { noteAct } from '../acts.ts';
import type { FleetDatabase } from '../database.ts';
import { ExportedHistory } from './exported-history.ts';
import { HistoryTrees } from './history-tree.ts';

/** Each takes room on the disk, and time. */
const MOST_AT_ONCE = 2;
const OWNER_ONLY = 0o700;

export interface FleetExportSources {
  readonly db: FleetDatabase;
  readonly signer: Signer;
  readonly clock: Clock;
  readonly log: ApiLogger;
  /** The directory of the files that exports are put together in; it is made when it is needed. */
  readonly scratch?: string | undefined;
}

/** Incidents of one history of one machine. */
export interface ExportedIncidents {
  readonly machine: string;
  /** The name of the history. */
  readonly log: string;
  readonly ids: readonly string[];
  readonly versions: readonly number[];
}

export class FleetBundles {
  readonly #sources: FleetExportSources;
  readonly #trees = new HistoryTrees();
  #underWay = 0;

  constructor(sources: FleetExportSources) {
    this.#sources = sources;
  }

  /**
   * Puts a bundle together.
   * @param turn awaited again and again meanwhile; what it throws ends the bundle
   * @throws RecorderError `invalid_request` when it becomes too long, `overloaded` when there is no room or place for
   *   another one now, `damaged_log`, `conflict`
   */
  async prepare({ machine, log, ids, versions }: ExportedIncidents, caller: Caller, turn: Turn): Promise<ReadyBundle> {
    const { clock } = this.#sources;
    if (this.#underWay >= MOST_AT_ONCE) throw new RecorderError('overloaded', 'too many bundles at once; try again');
    this.#underWay += 1;
    await using stack = new AsyncDisposableStack();
    stack.defer(() => void (this.#underWay -= 1));
    await noteExport(this.#sources, machine, caller, { what: 'export_bundle', history: log, incidents: ids });
    const beside = await scratchFor(this.#sources);
    const material = this.#material(machine, log);
    const ready = stack.use(await writeBundle(material, { ids, versions, caller, beside }, inSlices(turn, clock)));
    const releases = stack.move();
    return { ...ready, [Symbol.asyncDispose]: () => releases.disposeAsync() };
  }

  #material(machine: string, log: string): BundleMaterial {
    const { db, signer, clock } = this.#sources;
    const readers = new Map<string, ReturnType<ExportedHistory['readerOf']>>();
    return {
      get: async (id) => {
        const { rows } = await sql<{ json: string; version: number }>`
          SELECT d.document AS json, i.version
          FROM incidents i JOIN documents d ON d.machine = i.machine AND d.log = i.log AND d.id = i.id
          WHERE i.machine = ${machine} AND i.log = ${log} AND i.id = ${id}`.execute(db);
        // The log has gone on since it was asked for, perhaps with this incident.
        const now = await ExportedHistory.read(db, machine, log);
        readers.set(id, now.readerOf(id));
        return rows[0];
      },
      history: (id, after, turn) => readers.get(id)!(after, turn),
      log: async () => {
        const history = await ExportedHistory.read(db, machine, log);
        return {
          id: history.row.identity,
          algorithm: await history.algorithm(),
          head: history.head,
          anchor: history.anchor,
          machine: history.described,
          place: (seqs, turn) => this.#trees.place(history, seqs, turn),
        };
      },
      proof: { isKeyed: false, digest: (text) => createHash('sha256').update(text).digest('hex') },
      key: exportKeyOf(signer),
      fleet: { fleet: signer.name, key: verifierKeyOf(signer) },
      clock,
    };
  }
}

/** Records who asks for an export. */
export async function noteExport(
  { db, log }: Pick<FleetExportSources, 'db' | 'log'>,
  machine: string,
  { by, principal, role, on_behalf_of }: Caller,
  { what, ...detail }: { readonly what: string } & Readonly<Record<string, unknown>>,
): Promise<void> {
  const who = by ?? principal;
  const act = { machine, who, what, detail: { principal, role, ...(on_behalf_of && { on_behalf_of }), ...detail } };
  try {
    await noteAct(db, act);
  } catch (err) {
    log.warn({ err, ...act }, 'the database has not taken who asked for an export');
  }
}

/** The beginning of the paths of an export's files. @throws RecorderError `overloaded` */
export async function scratchFor({ scratch = tmpdir() }: Pick<FleetExportSources, 'scratch'>): Promise<string> {
  try {
    await mkdir(scratch, { recursive: true, mode: OWNER_ONLY });
  } catch (cause) {
    const why = String((cause as NodeJS.ErrnoException).code);
    throw new RecorderError('overloaded', `exports can't be put together in ${scratch} (${why})`, { cause });
  }
  return join(scratch, 'fleet');
}
