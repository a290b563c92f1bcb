/** What `contain`, `ack` and `resolve` have in common: they take many incidents, and tell what became of each. */
import type { Command } from 'commander';
import { Refused } from '../client/errors.ts';
import type { Incident } from '../client/shapes.ts';
import { EXIT, explain } from './exit.ts';
import { Recorder, type RecorderOptions, withRecorder } from './api-client.ts';
import { summaryOf } from './summary.ts';
import { tell, writeJson, writeLines } from './terminal/output.ts';

interface Options extends RecorderOptions {
  readonly by?: string;
  readonly note?: string;
}

/** The subcommands by which an incident is moved on, under the names that the API has for them. */
const SUBCOMMAND_OF: Readonly<Record<string, string>> = { contain: 'contain', acknowledge: 'ack', resolve: 'resolve' };

export const defineCommand = (command: Command, name: 'contain' | 'acknowledge' | 'resolve'): Command =>
  withRecorder(
    command
      .argument('<id...>', 'identifiers of incidents')
      .option('--by <who>', 'who does it')
      .option('--note <text>', 'what is to be remembered'),
  ).action(async (ids: readonly string[], { by, note, ...options }: Options) => {
    const recorder = new Recorder(options);
    for (const id of ids) {
      try {
        const incident = await recorder.command<Incident>(`/api/v1/incidents/${name}`, { id, by, note });
        await (options.json ? writeJson({ id, outcome: 'done', incident }) : writeLines([summaryOf(incident)]));
      } catch (error) {
        // One that is refused does not keep the others from being done; a recorder that is away does.
        if (!(error instanceof Refused) || error.status === 403) throw error;
        process.exitCode = EXIT.refused;
        if (options.json) await writeJson({ id, outcome: 'refused', status: error.status, ...error.body });
        else tell(`${id}: ${adviceFor(error, id)}`);
      }
    }
  });

function adviceFor(error: Refused, id: string): string {
  const { error: reason, allowed } = error.body;
  if (error.status !== 409 || !Array.isArray(allowed)) return explain(error);
  const next = allowed.map((one) => SUBCOMMAND_OF[String(one)]).filter((one) => one !== undefined);
  const advice = next.length === 0 ? 'nothing is left to do' : `try incident-recorder ${next.join(' or ')} ${id}`;
  return `${String(reason)}; ${advice}`;
}
