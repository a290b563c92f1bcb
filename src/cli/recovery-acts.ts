/** `incident-recorder recovery ack`, `reattest`, `waive`: take a step for incidents, and say what is still missing. */
import type { Command } from 'commander';
import type { NextTransition } from '../../machines/transitions.ts';
import { pathOfAct, RECOVERY_ACTS, type RecoveryAct, WAIVER } from '../domain/recovery-steps.ts';
import { Refused } from '../client/errors.ts';
import { ApiClient, type ApiOptions, withApiClient, withQuery } from './api-client.ts';
import { EXIT, explain, isOfToken } from './exit.ts';
import { adviceLines, missingIn } from './missing-recovery.ts';
import { writeJson, writeLines, writeNotice } from './terminal/output.ts';
import { printable } from './terminal/printable.ts';

interface Options extends ApiOptions {
  readonly by?: string;
  readonly reason?: string;
}

const withIds = (command: Command): Command =>
  withApiClient(command.argument('<id...>', 'identifiers of incidents').option('--by <who>', 'for whom it is done'));

export const defineAcknowledge = (command: Command): Command =>
  withIds(
    command.description(
      'Acknowledges that the machine may be trusted again after these incidents. Who reported an incident can’t do it.',
    ),
  ).action((ids: readonly string[], options: Options) => take(RECOVERY_ACTS.acknowledge, ids, options));

export const defineReattest = (command: Command): Command =>
  withIds(
    command.description(
      'Asks the attestor of the machine to prove what it runs, for these incidents. The answer takes up to 35 s.',
    ),
  ).action((ids: readonly string[], options: Options) => take(RECOVERY_ACTS.attest, ids, options));

export const defineWaive = (command: Command): Command =>
  withIds(
    command
      .description(
        'Lets incidents be resolved without what is missing, e.g. when the attestor is gone. Reason and name are recorded, \
and an alert is raised.',
      )
      .requiredOption('--reason <text>', 'why nothing else is possible'),
  ).action((ids: readonly string[], options: Options) => take(WAIVER, ids, options));

async function take(act: RecoveryAct, ids: readonly string[], { by, reason, ...options }: Options): Promise<void> {
  const api = new ApiClient(options);
  for (const id of ids) {
    try {
      const answer = await api.command<object>(pathOfAct(act), { incident_id: id, operator: by, reason });
      if (options.json) await writeJson({ id, outcome: 'done', ...answer });
      else await writeLines([`${printable(id)}: ${DONE[act.name]}`, ...(await nextFor(api, id))]);
    } catch (error) {
      // A refusal of one incident does not stop the others. A wrong token or an unreachable recorder does.
      if (!(error instanceof Refused) || isOfToken(error)) throw error;
      process.exitCode = EXIT.refused;
      if (options.json) await writeJson({ id, outcome: 'refused', status: error.status, ...error.body });
      else writeNotice([`${id}: ${whyNot(error)}`, ...faultsIn(error)].join('\n'));
    }
  }
}

const DONE: Readonly<Record<RecoveryAct['name'], string>> = {
  ack: 'recovery acknowledged',
  reattest: 'attested',
  waive: 'recovery waived',
};

/** What is to be done next. */
async function nextFor(api: ApiClient, id: string): Promise<readonly string[]> {
  const { transitions } = await api.readInDetail<{ readonly transitions: readonly NextTransition[] }>(
    withQuery('/api/v1/incidents/transitions', { id }),
  );
  const missing = missingIn(transitions);
  const needs = transitions.find(({ event }) => event === 'resolve')?.needs ?? [];
  const who = needs.length === 0 ? '' : `  (the role ${needs.join(' or ')})`;
  const lines = missing.length === 0 ? [`incident-recorder resolve ${printable(id)}${who}`] : adviceLines(missing, id);
  return lines.map((line) => `  ${line}`);
}

/** Why it is not done; what was wrong with an attestation comes after it. */
const whyNot = (error: Refused): string =>
  faultsIn(error).length > 0 ? `refused (${error.status}): the machine could not be attested` : explain(error);

/** What was wrong with an attestation, a line each. */
const faultsIn = ({ body: { faults } }: Refused): readonly string[] =>
  Array.isArray(faults) ? faults.map((fault) => `  ${String(fault)}`) : [];
