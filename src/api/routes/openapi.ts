import { readFile } from 'node:fs/promises';
import type Router from '@koa/router';
import { answerJson } from '../answer.ts';
import type { ApiParts } from '../parts.ts';

/** The description of the API (OpenAPI 3.1), as the build has made it from the schemas that validate. */
export const addOpenApiRoute = (router: Router, { openApi }: Pick<ApiParts, 'openApi'>): void => {
  router.get('/api/v1/openapi.json', async (ctx) => {
    answerJson(ctx, 200, await readFile(openApi, 'utf8'));
  });
};
