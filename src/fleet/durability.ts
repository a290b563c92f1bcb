/**
 * Whether the database keeps what it has acknowledged: the fleet tells machines that it has their entries durably, and
 * cannot know more than the database does.
 */
import { sql } from 'kysely';
import type { FleetDatabase } from './database.ts';

const SETTINGS = ['fsync', 'full_page_writes', 'synchronous_commit', 'synchronous_standby_names'] as const;

/**
 * What is wrong with it, for people. Empty for an engine that has no such settings.
 * @param needsStandby whether a synchronous standby is required
 */
export async function durabilityWarnings(db: FleetDatabase, needsStandby: boolean): Promise<readonly string[]> {
  const settings = await settingsOf(db);
  const warnings: string[] = [];
  if (settings.get('fsync') === 'off')
    warnings.push('fsync is off: a crash of the database’s machine may lose what was acknowledged, or all');
  else if (settings.get('full_page_writes') === 'off')
    warnings.push('full_page_writes is off: a crash of the database’s machine may damage the database');
  const commit = settings.get('synchronous_commit');
  if (commit === 'off')
    warnings.push('synchronous_commit is off: a crash of the database may lose what was acknowledged');
  const standbys = settings.get('synchronous_standby_names') ?? '';
  if (standbys !== '' && commit === 'local')
    warnings.push('synchronous_commit is local: what was acknowledged may be on no standby');
  if (standbys !== '' || needsStandby) {
    if (standbys === '')
      warnings.push('synchronous_standby_names is empty: what was acknowledged may be on no standby');
    else if ((await synchronousStandbys(db)) === 0)
      warnings.push('no synchronous standby is connected: the database acknowledges nothing until one is');
  }
  return warnings;
}

async function settingsOf(db: FleetDatabase): Promise<ReadonlyMap<string, string>> {
  try {
    const { rows } = await sql<{ name: string; setting: string }>`
      SELECT name, setting FROM pg_settings WHERE name IN (${sql.join(SETTINGS)})`.execute(db);
    return new Map(rows.map(({ name, setting }) => [name, setting]));
  } catch {
    // Another engine than PostgreSQL, or one that is not reachable, which others say.
    return new Map();
  }
}

/** How many standbys a commit may wait for; undefined where the fleet's user may not see that. */
async function synchronousStandbys(db: FleetDatabase): Promise<number | undefined> {
  try {
    const { rows } = await sql<{ state: string | null }>`SELECT sync_state AS state FROM pg_stat_replication`.execute(
      db,
    );
    if (rows.some(({ state }) => state === null)) return undefined;
    return rows.filter(({ state }) => state === 'sync' || state === 'quorum').length;
  } catch {
    return undefined;
  }
}
