/**
 * What the sources use of other packages although it is private or not documented, because there is no public way. An
 * update of a package may change any of it: then the test of that row fails, and names what depends on it.
 *
 * | what | where | why there is no public way |
 * | --- | --- | --- |
 * | xstate `machine.getTransitionData` | `machines/transitions.ts`, `chart-path.ts` | `getNextTransitions` does not ask guards, `snapshot.can` does not say which transition is taken |
 * | xstate `_transitions` of a microstep | `src/statecharts/chart-path.ts` | microsteps do not say otherwise which transitions they take |
 * | zod `_zod.def` | `src/build/json-schemas.ts` | zod's documentation names it as the way for `override` of `toJSONSchema` |
 * | Node `socket.parser.onIncoming` | `src/api/server/connections.ts` | a parser can't be stopped in the middle of a chunk, which may hold a thousand requests |
 * | Node `response._keepAliveTimeout` | `src/api/server/api-server.ts` | only with a time-out of its own does Node announce one, and then it sets the timer of the socket twice for each request; `api-server.test.ts` asks for the header |
 * | Node `server._listen2` | `src/api/server/bind.ts` | `listen` loads the modules for clusters and child processes first; where there is none, `listen` is called |
 * | PGlite `Module._PostgresMainLoopOnce` | `src/fleet/pglite/pglite-worker.ts` | PGlite goes on after an exception that has left PostgreSQL in the middle; the tests of failed syncs ask for the end |
 * | Emscripten `NODEFS.stream_ops` | `src/fleet/pglite/synced-folder.ts` | the only place where a file of PGlite can be synced; the tests of power cuts ask for it |
 * | files inside packages | `src/build` | the bundle replaces or picks them, so that a start loads less |
 */
import { globSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { expect } from 'chai';
import { PGlite } from '@electric-sql/pglite';
import { createActor, createMachine } from 'xstate';
import * as z from 'zod/mini';
import { ROOT } from './support/running-service.ts';

/** Each use in the sources: the field and the file. */
const USES = [
  'getTransitionData machines/transitions.ts',
  'getTransitionData src/statecharts/chart-path.ts',
  'getTransitionData src/statecharts/containment-effects.ts',
  '_transitions src/statecharts/chart-path.ts',
  '_zod src/build/json-schemas.ts',
  '_keepAliveTimeout src/api/server/api-server.ts',
  '_listen2 src/api/server/bind.ts',
  '_PostgresMainLoopOnce src/fleet/pglite/pglite-worker.ts',
  'stream_ops src/fleet/pglite/synced-folder.ts',
];

/** Files of packages that `src/build` replaces or picks, and a text in another file that loads them. */
const FILES = [
  ['co-body/lib/any.js', 'co-body/index.js', "require('./lib/any')"],
  ['co-body/lib/form.js', 'co-body/index.js', "require('./lib/form')"],
  ['co-body/lib/json.js', 'co-body/index.js', "require('./lib/json')"],
  ['mime-db/db.json', 'mime-db/index.js', './db.json'],
  ['pino/lib/transport.js', 'pino/pino.js', './lib/transport'],
  ['prom-client/lib/counter.js', 'prom-client/index.js', './lib/counter'],
  ['prom-client/lib/gauge.js', 'prom-client/index.js', './lib/gauge'],
  ['prom-client/lib/histogram.js', 'prom-client/index.js', './lib/histogram'],
  ['prom-client/lib/registry.js', 'prom-client/index.js', './lib/registry'],
] as const;

/** A member whose name begins with an underscore (`z._default` is public), or one of the others in the table. */
const PRIVATE = /(?<!\bz)\.(_[a-z]\w*)|\b(_[a-z]\w*): \{|\b(getTransitionData|stream_ops)\b/gi;

const machine = createMachine(
  {
    initial: 'idle',
    states: {
      idle: {
        on: {
          go: [
            { guard: 'isClosed', target: 'idle' },
            { guard: 'isOpen', target: 'passing' },
          ],
        },
      },
      passing: { always: 'done' },
      done: {},
    },
  },
  { guards: { isClosed: () => false, isOpen: () => true } },
);

describe('the private fields of other packages', () => {
  it('are used where the table says, and nowhere else', () => {
    const used = globSync(['src/**/*.{ts,tsx}', 'machines/**/*.ts'], { cwd: ROOT }).flatMap((file) =>
      [...readFileSync(join(ROOT, file), 'utf8').matchAll(PRIVATE)].map(
        ([, member, destructured, named]) => `${member ?? destructured ?? named ?? ''} ${file}`,
      ),
    );
    expect([...new Set(used)].toSorted()).to.deep.equal(USES.toSorted());
  });

  it('xstate: getTransitionData gives the transitions whose guards hold, and none for other events', () => {
    const idle = machine.resolveState({ value: 'idle' });
    const enabled = machine.getTransitionData(idle, { type: 'go' });
    expect(enabled.map(({ target, eventType }) => [eventType, target?.[0]?.key])).to.deep.equal([['go', 'passing']]);
    expect(machine.root.states.idle!.transitions.get('go')?.[1]).to.equal(enabled[0]);
    expect(machine.getTransitionData(idle, { type: 'other' })).to.deep.equal([]);
  });

  it('xstate: a microstep tells inspectors which transitions it takes, those without an event included', () => {
    const taken: unknown[] = [];
    const actor = createActor(machine, {
      inspect: (step) => {
        if (step.type === '@xstate.microstep') taken.push(...step._transitions);
      },
    }).start();
    actor.send({ type: 'go' });
    actor.stop();
    const { idle, passing } = machine.root.states;
    expect(taken).to.include.members([idle!.transitions.get('go')![1], passing!.always![0]]);
  });

  it('zod: a schema has its type and its catchall in _zod.def', () => {
    const checked = z.catchall(
      z.object({ a: z.string() }),
      z.custom(() => false),
    );
    const seen: unknown[] = [];
    z.toJSONSchema(checked, {
      unrepresentable: 'any',
      override: ({
        zodSchema: {
          _zod: { def },
        },
      }) => {
        if (def.type === 'object') seen.push(def.catchall?._zod.def.type);
      },
    });
    expect(seen).to.deep.equal(['custom']);
  });

  it('PGlite: each message of the protocol goes through _PostgresMainLoopOnce, also when another function has its place', async () => {
    const pglite = await PGlite.create();
    const loop = pglite.Module._PostgresMainLoopOnce;
    let count = 0;
    pglite.Module._PostgresMainLoopOnce = () => {
      count += 1;
      loop();
    };
    await pglite.query('SELECT 1');
    await pglite.close();
    expect(count).to.be.above(0);
  });

  for (const [path, loader, text] of FILES) {
    it(`the build: ${path} is there, and ${loader} loads it`, () => {
      const inPackages = join(ROOT, 'node_modules');
      expect(createRequire(import.meta.url)(join(inPackages, path))).to.not.equal(undefined);
      expect(readFileSync(join(inPackages, loader), 'utf8')).to.include(text);
    });
  }
});
