/** The evidence bundles of the service: where they read, and the key that signs them. */
import type { Logger } from 'pino';
import { readExportKey } from '../bundle/export-key.ts';
import { LogTree } from '../bundle/log-tree.ts';
import { Bundles } from '../bundle/make-bundle.ts';
import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';
import type { IncidentReads } from '../incidents/incident-reads.ts';
import type { OpenRecord } from './record.ts';

/** @throws RecorderError `config` when a key is named that can't be used */
export function evidenceBundles(
  { log, identity, projections, beside }: OpenRecord,
  { exportKeyPath: path }: Pick<Config, 'exportKeyPath'>,
  incidents: IncidentReads,
  clock: Clock,
  logger: Pick<Logger, 'warn'>,
): Bundles {
  // The file may be replaced while the service runs.
  const key = () => (path === undefined ? undefined : readExportKey(path));
  key();
  return new Bundles({
    log,
    incidents,
    tree: new LogTree(log),
    logId: () => identity.id,
    anchor: () => projections.anchors.last(),
    key,
    clock,
    onUnrecorded: (err) => logger.warn({ err }, 'the log has not taken who asked for a bundle'),
    beside,
  });
}
