import type Router from '@koa/router';
import { policyDocument } from '../../policy/document.ts';
import { answerJson } from '../respond.ts';
import type { ApiParts } from '../dependencies.ts';
import { parseQuery } from '../request/query.ts';
import { nothingSchema } from '../request/fields.ts';
import { validate } from '../request/validate.ts';

/** The policy in force, as it applies: completed from the built-in table. */
export const addPolicyRoute = (router: Router, { policy }: Pick<ApiParts, 'policy'>): void => {
  router.get('/api/v1/policy', (ctx) => {
    validate(nothingSchema, parseQuery(ctx.querystring), 'parameter');
    answerJson(ctx, 200, JSON.stringify(policyDocument(policy.current)));
  });
};
