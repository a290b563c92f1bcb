import { expect } from 'chai';
import fc from 'fast-check';
import { ACTIONS, CLASSES, SEVERITIES } from '../../machines/vocabulary.ts';
import { RecorderError } from '../../src/errors.ts';
import { operator, Recording } from '../support/recording.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const BOUNDS = { groups: 100, named: 100, ids: 100 };

const step = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('report' as const),
      class: fc.constantFrom(...CLASSES),
      source: fc.constantFrom('one', 'two'),
      severity: fc.constantFrom(...SEVERITIES),
      dedup_key: fc.constantFrom('a', 'b'),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('release' as const),
      action: fc.constantFrom(...ACTIONS),
      pick: fc.nat(100),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('contain' as const, 'acknowledge' as const, 'resolve' as const),
      pick: fc.nat(100),
    }),
  },
);

describe('the holders by class and source', () => {
  const directory = temporaryDirectories();

  it('are counted at each entry as their rows would be', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
        const recording = await Recording.open(directory());
        try {
          const { recorder, projections } = recording;
          const { posture } = projections.current();
          const groups = () => ACTIONS.map((action) => posture.groups(action, BOUNDS));
          groups();
          const ids: string[] = [];
          for (const one of steps) {
            if (one.kind === 'report') {
              const { incident } = await recorder.report({
                class: one.class,
                source: one.source,
                severity: one.severity,
                dedup_key: one.dedup_key,
                description: 'x',
                evidence: { model_name: 'm' },
              });
              ids.push(incident.id);
              continue;
            }
            const id = ids[one.pick % Math.max(1, ids.length)];
            if (id === undefined) continue;
            const caller = operator('ada');
            const done =
              one.kind === 'release'
                ? recorder.release({ id, action: one.action, reason: 'x', caller })
                : recorder.perform(one.kind, { id, caller });
            await done.catch((error: unknown) => {
              if (!(error instanceof RecorderError)) throw error;
            });
          }
          const counted = groups();
          for (const [at, action] of ACTIONS.entries()) {
            const { holders } = posture.of(action);
            const { groups: found } = counted[at]!;
            expect(found.reduce((sum, { count }) => sum + count, 0)).to.equal(holders);
            expect(found.every(({ more }) => more === 0)).to.equal(true);
          }
          posture.reload();
          expect(groups()).to.deep.equal(counted);
        } finally {
          await recording.close();
        }
      }),
      { numRuns: 25 },
    );
  }).timeout(60_000);
});
