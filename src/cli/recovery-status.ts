/** `incident-recorder recovery status`: the incidents that can't be resolved yet, and what each of them needs. */
import type { Command } from 'commander';
import { RECOVERY_STEPS, type RecoveryStep } from '../../machines/vocabulary.ts';
import {
  missingOf,
  type PendingRecovery,
  RECOVERY_ACTS,
  type RecoveryStatus,
  WAIVER,
  whoMay,
} from '../domain/recovery-steps.ts';
import { Refused } from '../client/errors.ts';
import { ApiClient, type ApiOptions, withApiClient, withQuery } from './api-client.ts';
import { EXIT, explain, isOfToken } from './exit.ts';
import { commandOf } from './missing-recovery.ts';
import { ageOf } from './terminal/age.ts';
import { SEVERITY_STYLES } from './terminal/colour.ts';
import { writeJson, writeLines, writeNotice } from './terminal/output.ts';
import { type Column, table } from './terminal/table.ts';

export const define = (command: Command): Command =>
  withApiClient(
    command
      .description('Lists the incidents that wait for their recovery, what each of them needs, and who may do that.')
      .argument('[id...]', 'only these incidents'),
  ).action(async (ids: readonly string[], options: ApiOptions) => {
    const pending = await found(new ApiClient(options), ids);
    if (options.json) return writeJson(...pending);
    if (pending.length === 0) return ids.length === 0 ? writeNotice('no incident waits for its recovery') : undefined;
    await writeLines(
      table(
        columns(
          Date.now(),
          pending.some(({ machine }) => machine !== undefined),
        ),
        pending,
      ),
    );
    const missing = new Set(pending.flatMap(missingOf));
    for (const step of RECOVERY_STEPS) if (missing.has(step)) writeNotice(hintFor(step));
    return missing.size === 0
      ? undefined
      : writeNotice(`or it is waived: ${commandOf(WAIVER, '<id>')} (${whoMay(WAIVER)})`);
  });

/** All that are not complete, or those of the named incidents, complete or not. */
async function found(api: ApiClient, ids: readonly string[]): Promise<readonly PendingRecovery[]> {
  const pending: PendingRecovery[] = [];
  for (const query of ids.length === 0 ? [{ incident_id: undefined }] : ids.map((id) => ({ incident_id: id }))) {
    try {
      for await (const page of api.documents<RecoveryStatus>(withQuery('/api/v1/recovery/status', query)))
        pending.push(...page.pending_recoveries);
    } catch (error) {
      // An incident that is not there, or needs none, does not hide the others.
      if (!(error instanceof Refused) || ids.length === 0 || isOfToken(error)) throw error;
      process.exitCode = EXIT.refused;
      writeNotice(`${query.incident_id}: ${explain(error)}`);
    }
  }
  return pending;
}

const hintFor = (step: RecoveryStep): string => {
  const act = RECOVERY_ACTS[step];
  return `${step}: ${commandOf(act, '<id>')} (${whoMay(act)})`;
};

const columns = (now: number, isOfFleet: boolean): readonly Column<PendingRecovery>[] => [
  ...(isOfFleet ? [{ header: 'MACHINE', value: ({ machine = '-' }: PendingRecovery) => machine }] : []),
  { header: 'ID', value: ({ incident_id: id }) => id },
  { header: 'SEVERITY', value: ({ severity }) => severity, style: ({ severity }) => SEVERITY_STYLES[severity] },
  { header: 'CLASS', value: ({ incident_class: name }) => name, least: 12 },
  { header: 'MISSING', value: (one) => missingOf(one).join(', ') || 'nothing' },
  { header: 'SINCE', value: ({ required_after: at }) => ageOf(at, now) },
  { header: 'DONE', value: doneIn, least: 12, optional: true },
];

function doneIn({ acked_at: acked, acked_by: by, re_attested_at: attested }: PendingRecovery): string {
  const done = [
    ...(acked === undefined ? [] : [`acknowledged${by === undefined ? '' : ` by ${by}`}`]),
    ...(attested === undefined ? [] : ['attested']),
  ];
  return done.join(', ');
}
