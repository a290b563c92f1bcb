/** What only the machine itself can give: the fleet says so, and where. */
import type { ApiRoute } from '../../api/middleware/routing.ts';
import { RecorderError } from '../../errors.ts';
import type { FleetDependencies } from './dependencies.ts';
import { admitted } from './reading.ts';

const AT_THE_MACHINE: Readonly<Record<string, string>> = {
  '/api/v1/incidents/bundle':
    'evidence bundles are signed with the keys of the machine, which never leave it: run "incident-recorder export" there; ' +
    'the raw lines are at /api/v1/log?machine=NAME here',
  '/api/v1/forensic/export':
    'forensic exports are signed with the key of the machine, which never leaves it: run "incident-recorder forensic-export" there; ' +
    'the raw lines are at /api/v1/log?machine=NAME here',
};

export const machinesAloneRoutes = (dependencies: FleetDependencies): readonly ApiRoute[] =>
  Object.entries(AT_THE_MACHINE).map(([path, where]) => ({
    method: 'GET',
    path,
    handle: (ctx) => {
      admitted(dependencies, ctx, ['auditor']);
      throw new RecorderError('not_found', where);
    },
  }));
