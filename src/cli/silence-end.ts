/** `incident-recorder silence end`: ends silences before their time, and says what became of each. */
import type { Command } from 'commander';
import { Refused } from '../client/errors.ts';
import type { ShownSilence } from '../domain/silence.ts';
import { ApiClient, type ApiOptions, withApiClient } from './api-client.ts';
import { EXIT, explain, isOfToken, UsageError } from './exit.ts';
import { matchersIn } from './silence-add.ts';
import { isOnMachines, silenceMachines } from './silence-machines.ts';
import { writeJson, writeLines, writeNotice } from './terminal/output.ts';
import { printable } from './terminal/printable.ts';

interface Options extends ApiOptions {
  readonly comment?: string;
  readonly author?: string;
  readonly confirm?: string;
}

const DESCRIPTION =
  'Ends silences. What is over stays as it is. At a fleet, with --label or several --machine, it ends those that run on these \
machines: all of them, those that match, or with ACT-… those that one act has added; they are shown before.';

export const defineEnd = (command: Command): Command =>
  withApiClient(
    command
      .description(DESCRIPTION)
      .argument('[id...]', 'identifiers of silences; at a fleet also ACT-…, or matchers as of add')
      .option('-c, --comment <text>', 'why')
      .option('-a, --author <who>', 'who does it')
      .option(
        '--confirm <count>',
        'at a fleet, with --label or ACT-…: the number of machines, when nobody can be asked',
      ),
  ).action(async (ids: readonly string[], { comment, author, confirm, ...options }: Options) => {
    const acts = ids.filter((id) => id.startsWith('ACT-'));
    if (isOnMachines(options) || acts.length > 0) {
      const [act, other] = acts;
      const matchers = ids.filter((id) => id !== act);
      if (other !== undefined || matchers.some((id) => id.startsWith('SIL-')))
        throw new UsageError('on many machines, give one ACT-… or matchers such as class=NAME, and no identifiers');
      const meant = { ...(act !== undefined && { act }), ...matchersIn(matchers) };
      return silenceMachines(options, 'end', { ...meant, reason: comment, by: author }, confirm);
    }
    if (ids.length === 0) throw new UsageError("missing required argument 'id'");
    const api = new ApiClient(options);
    for (const id of ids) {
      try {
        const body = { id, reason: comment, by: author };
        const silence = await api.command<ShownSilence>('/api/v1/silences/end', body);
        await (options.json
          ? writeJson({ id, outcome: 'done', silence })
          : writeLines([printable(`${silence.id} ${silence.state}`)]));
      } catch (error) {
        // A refusal of one silence does not stop the others. A wrong token or an unreachable recorder does.
        if (!(error instanceof Refused) || isOfToken(error)) throw error;
        process.exitCode = EXIT.refused;
        if (options.json) await writeJson({ id, outcome: 'refused', status: error.status, ...error.body });
        else writeNotice(`${id}: ${explain(error)}`);
      }
    }
    return undefined;
  });
