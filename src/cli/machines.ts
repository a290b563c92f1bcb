/** `incident-recorder machines`: the statecharts, as the recorder runs them. */
import type { Command } from 'commander';
import { ApiClient, type ApiOptions, withQuery, withApiClient } from './api-client.ts';
import { writeJson, writeLines } from './terminal/output.ts';
import { printable } from './terminal/printable.ts';

const FORMATS = ['json', 'svg', 'mermaid', 'scxml', 'dot'] as const;

interface Options extends ApiOptions {
  readonly format: string;
}

export const define = (command: Command): Command =>
  withApiClient(
    command
      .description(
        'Prints a statechart, or the names of all. JSON is the XState config: it pastes into Stately Studio.',
      )
      .argument('[name]', 'a statechart, e.g. incident')
      .addOption(command.createOption('--format <format>', 'of the statechart').choices(FORMATS).default('json')),
  ).action(async (name: string | undefined, { format, ...options }: Options) => {
    const api = new ApiClient(options);
    const machines = await api.read<readonly { readonly name: string }[]>('/api/v1/machines');
    const names = machines.map((machine) => machine.name);
    if (name === undefined) return options.json ? writeJson(machines) : writeLines(names.map(printable));
    if (!names.includes(name)) throw new Error(`there is no statechart ${name}; there are ${names.join(' and ')}`);
    const path = withQuery(`/api/v1/machines/${encodeURIComponent(name)}`, { format });
    const chart = await api.readText(path);
    return options.json
      ? writeJson(format === 'json' ? JSON.parse(chart) : { name, format, chart })
      : writeLines([chart.trimEnd()]);
  });
