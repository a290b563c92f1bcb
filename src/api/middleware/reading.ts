import type { Context } from 'koa';
import { RecorderError } from '../../errors.ts';
import type { ApiDependencies } from '../dependencies.ts';

/** What is read without the record: the lines of the log, the policy, the charts, the description, whose token it is. */
const WITHOUT_RECORD = /^\/api\/v1\/(?:log$|policy$|access\/me$|openapi\.json$|machines(?:\/|$))/;

/**
 * Refuses reads while the log is being read at a start: what is on record is not known yet.
 * @throws RecorderError `starting`
 */
export const reading =
  ({ reading: progress }: Pick<ApiDependencies, 'reading'>) =>
  (ctx: Context): void => {
    const { method } = ctx.req;
    if (method !== 'GET' && method !== 'HEAD') return;
    const { path } = ctx;
    const isOfRecord = (path.startsWith('/api/v1/') && !WITHOUT_RECORD.test(path)) || path === '/metrics';
    const text = isOfRecord ? progress?.() : undefined;
    if (text !== undefined) throw new RecorderError('starting', text);
  };
