/** The routes for people: what the recorder's API shows, with a machine in it. */
import type { ApiRoute } from '../../api/middleware/routing.ts';
import type { FleetDependencies } from './dependencies.ts';

/** Every route for people. */
export const readRoutes = (_dependencies: FleetDependencies): readonly ApiRoute[] => [];
