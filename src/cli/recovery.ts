/** `incident-recorder recovery`: what has to happen before incidents may be resolved. */
import type { Command } from 'commander';
import { RECOVERY_ACTS, WAIVER } from '../domain/recovery-steps.ts';
import { defineAcknowledge, defineReattest, defineWaive } from './recovery-acts.ts';
import { define as defineStatus } from './recovery-status.ts';

const DESCRIPTION = `Does what the policy asks for before an incident may be resolved, and shows what is missing. A further report, \
and another outcome of a containment action, make void what was done.`;

export const define = (command: Command): void => {
  command.description(DESCRIPTION);
  defineStatus(command.command('status').summary('list the incidents that wait for their recovery'));
  defineAcknowledge(command.command('ack').summary(RECOVERY_ACTS.acknowledge.summary));
  defineReattest(command.command('reattest').summary(RECOVERY_ACTS.attest.summary));
  defineWaive(command.command('waive').summary(WAIVER.summary));
};
