/**
 * The floor with what the service is built on: the same on Koa, its router and its body parser, as each comes. What lies
 * between the two floors is the framework's, what lies above this one is the service's own.
 *
 * Run as `koa-floor PORT LOG ENTRY_BYTES ANSWER_BYTES`.
 */
import Router from '@koa/router';
import Koa from 'koa';
import bodyParser from 'koa-bodyparser';
import { groupCommit } from './group-commit.ts';

const [port, path = '', entryBytes, answerBytes] = process.argv.slice(2);
const answer = 'x'.repeat(Number(answerBytes));
const append = await groupCommit(path, Number(entryBytes));

const router = new Router();
router.get('/health', (ctx) => {
  ctx.status = 200;
});
router.post('/api/v1/incidents/report', bodyParser(), async (ctx) => {
  await append();
  ctx.status = 201;
  ctx.type = 'application/json';
  ctx.body = answer;
});

const app = new Koa({ env: 'production' });
app.use(router.routes());
app.listen(Number(port), '127.0.0.1');
