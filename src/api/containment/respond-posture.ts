import type { Context } from 'koa';
import type { ContainmentAction } from '../../../machines/vocabulary.ts';
import { SECOND } from '../../clock.ts';
import type { ActionView } from '../../containment/posture-reads.ts';
import { publicDelivery } from '../../domain/withheld.ts';
import { RecorderError } from '../../errors.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { matchesTag } from '../request/if-none-match.ts';
import { readParameters } from '../request/read.ts';
import { respondJson } from '../respond.ts';
import { LIMITS } from '../server/api-server.ts';
import { peerOf } from '../server/peer.ts';
import { waitSchema } from './requests.ts';

/** How many requests may wait for a change at the same time: they must not take all connections. */
const MAX_WAITING = 64;
/** As many more on connections that showed the service token: strangers can't take them. */
const MORE_FOR_TRUSTED = 32;

type Posture = ApiDependencies['posture'];

/**
 * Responds with the posture of actions and its entity tag; 304 when the client knows that posture. With the parameter
 * `wait` a client that knows the posture waits until it changes, for so many seconds at most.
 *
 * @param text what to show of these actions now, in JSON
 * @param requireReadable throws when the client may not read them any more: its token may have lost a role during the wait
 * @throws RecorderError `overloaded` when too many requests wait
 */
export const respondPosture = async (
  ctx: Context,
  posture: Posture,
  actions: readonly ContainmentAction[],
  text: () => string,
  requireReadable: () => void,
): Promise<void> => {
  const { wait } = readParameters(ctx, waitSchema);
  const before = posture.versionOf(actions);
  ctx.status = 200;
  ctx.set('Cache-Control', 'no-cache');
  ctx.vary('Authorization');
  ctx.set('ETag', `"${before}"`);
  const known = ctx.get('If-None-Match');
  const isKnown = (version: string): boolean => matchesTag(known, `"${version}"`);
  // A client that knows another posture gets this one at once.
  if (wait !== undefined && (known === '' || isKnown(before))) {
    await waitForChange(ctx, posture, actions, before, Number(wait[0]));
    // Many may leave at the same time: nobody reads their answers.
    if (ctx.res.closed) return;
    requireReadable();
    const version = posture.versionOf(actions);
    ctx.set('ETag', `"${version}"`);
    if (version === before) {
      ctx.status = 304;
      return;
    }
  }
  if (isKnown(posture.versionOf(actions))) ctx.status = 304;
  else {
    // It is given again, without a change of the posture, when it is proved.
    if (posture.unverified(actions).length > 0) ctx.remove('ETag');
    respondJson(ctx, 200, text());
  }
};

/**
 * The JSON text of the posture: of one action, or an object with several of them. What services have answered is in it
 * for some readers only (`isTrusted`), and what people have said about early releases for those who may read incidents.
 */
export type PostureTexts = (
  what: ContainmentAction | readonly ContainmentAction[],
  isTrusted: boolean,
  readsIncidents?: boolean,
) => string;

/** Makes each text once for each version: a change may wake all that wait, and all of them get the same. */
export const postureTexts = (posture: Pick<Posture, 'read' | 'versionOf' | 'unverified'>): PostureTexts => {
  const made = new Map<string, { readonly version: string; readonly text: string }>();
  return (what, isTrusted, readsIncidents = true) => {
    const actions = typeof what === 'string' ? [what] : what;
    const key = `${isTrusted} ${readsIncidents} ${JSON.stringify(what)}`;
    const version = `${posture.versionOf(actions)} ${posture.unverified(actions).join()}`;
    const known = made.get(key);
    if (known?.version === version) return known.text;
    const viewOf = (action: ContainmentAction): ActionView => {
      const view = isTrusted ? posture.read(action) : withoutAnswers(posture.read(action));
      return readsIncidents ? view : withoutReasons(view);
    };
    const shown =
      typeof what === 'string' ? viewOf(what) : Object.fromEntries(what.map((action) => [action, viewOf(action)]));
    const text = JSON.stringify(shown);
    made.set(key, { version, text });
    return text;
  };
};

const withoutAnswers = (view: ActionView): ActionView =>
  view.delivery === null ? view : { ...view, delivery: publicDelivery(view.delivery) };

const withoutReasons = ({ released_early: _, ...view }: ActionView): ActionView => view;

const waitForChange = async (
  ctx: Context,
  posture: Posture,
  actions: readonly ContainmentAction[],
  version: string,
  seconds: number,
): Promise<void> => {
  const peer = peerOf(ctx.req);
  const places = MAX_WAITING + (peer.trusted ? MORE_FOR_TRUSTED : 0);
  if (posture.waiting >= places) {
    throw new RecorderError('overloaded', `${places} requests wait for the posture already; ask without wait`);
  }
  const left = new AbortController();
  // Without a reason it would make an exception with a stack trace, for each client that leaves.
  if (ctx.res.closed) left.abort('the client has left');
  else ctx.res.once('close', () => left.abort('the client has left'));
  // Nothing is sent during the wait: without this the server would cut the connection as idle.
  ctx.req.setTimeout(seconds * SECOND + LIMITS.idleTimeout);
  await posture.change(actions, version, seconds * SECOND, left.signal);
  // A change wakes all that wait.
  await peer.turn();
};
