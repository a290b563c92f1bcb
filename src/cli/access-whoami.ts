/** `incident-recorder access whoami`: whose token it is, and what they may do with it. */
import type { Command } from 'commander';
import type { Principal } from '../access/principal.ts';
import { ApiClient, type ApiOptions, withApiClient } from './api-client.ts';
import { writeJson, writeLines } from './terminal/output.ts';
import { printable } from './terminal/printable.ts';

interface Me extends Pick<Principal, 'roles' | 'sources' | 'classes' | 'actions'> {
  readonly principal: string;
  readonly shared: boolean;
}

export const define = (command: Command): Command =>
  withApiClient(command.description('Asks the recorder whose token it is, and what they may do with it.')).action(
    async (options: ApiOptions) => {
      const me = await new ApiClient(options).readInDetail<Me>('/api/v1/access/me');
      if (options.json) return writeJson(me);
      return writeLines(linesOf(me).map(printable));
    },
  );

const linesOf = ({ principal, shared, roles, ...bounds }: Me): readonly string[] => [
  `${principal}${shared ? ', a token that several share: --by says who gives a command' : ''}`,
  `roles    ${roles.length === 0 ? 'none' : roles.join(', ')}`,
  ...(['sources', 'classes', 'actions'] as const).flatMap((name) =>
    bounds[name] === undefined
      ? []
      : [`${name.padEnd(8)} ${bounds[name].length === 0 ? 'none' : bounds[name].join(', ')}`],
  ),
];
