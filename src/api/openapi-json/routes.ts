import { readFile } from 'node:fs/promises';
import type Router from '@koa/router';
import { answerJson } from '../respond.ts';
import type { ApiParts } from '../dependencies.ts';

/** The description of the API (OpenAPI 3.1), as the build has made it from the schemas that validate. */
export const addOpenApiRoute = (router: Router, { openApi }: Pick<ApiParts, 'openApi'>): void => {
  let read: Promise<Buffer> | undefined;

  router.get('/api/v1/openapi.json', async (ctx) => {
    try {
      answerJson(ctx, 200, await (read ??= readFile(openApi)));
    } catch (error) {
      read = undefined;
      throw error;
    }
  });
};
