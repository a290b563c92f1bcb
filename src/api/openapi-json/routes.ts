import { readFile } from '../../async-files.ts';
import type { ApiDependencies } from '../dependencies.ts';
import type { ApiRoute } from '../middleware/routing.ts';
import { respondJson } from '../respond.ts';

/** The description of the API (OpenAPI 3.1), which the build makes from the schemas that validate requests. */
export const openApiRoutes = ({ openApi }: Pick<ApiDependencies, 'openApi'>): readonly ApiRoute[] => {
  let read: Promise<Buffer> | undefined;
  return [
    {
      method: 'GET',
      path: '/api/v1/openapi.json',
      handle: async (ctx) => {
        try {
          respondJson(ctx, 200, await (read ??= readFile(openApi)));
        } catch (error) {
          // The next request tries again.
          read = undefined;
          throw error;
        }
      },
    },
  ];
};
