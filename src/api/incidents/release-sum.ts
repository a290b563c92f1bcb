import { ACTIONS, type ContainmentAction, RECOVERY_STEPS, type RecoveryStep } from '../../../machines/vocabulary.ts';
import type { BulkPreview } from '../../domain/bulk-command.ts';
import { isAbsence } from '../../errors.ts';
import type { ApiDependencies } from '../dependencies.ts';

/** What a resolve of many incidents would release, asked a few incidents at a time. */
export class ReleaseSum {
  readonly #preview: Pick<ApiDependencies['preview'], 'of'>;
  /** How many unresolved incidents hold each action, and how many of them are among these. */
  readonly #holders = new Map<ContainmentAction, { readonly all: number; readonly mine: number }>();
  readonly #missing = new Map<RecoveryStep, number>();

  constructor(preview: Pick<ApiDependencies['preview'], 'of'>) {
    this.#preview = preview;
  }

  /** Takes some more incidents. @throws RecorderError `log_unavailable` */
  add(ids: readonly string[]): void {
    if (ids.length === 0) return;
    try {
      const { actions, incidents } = this.#preview.of(ids, 'resolve');
      for (const { action, holders, others } of actions) {
        const { mine = 0 } = this.#holders.get(action) ?? {};
        this.#holders.set(action, { all: holders, mine: mine + holders - others });
      }
      for (const step of incidents.flatMap(({ missing = [] }) => missing)) {
        this.#missing.set(step, (this.#missing.get(step) ?? 0) + 1);
      }
    } catch (error) {
      // All of them have left the record meanwhile.
      if (!isAbsence(error)) throw error;
    }
  }

  get sum(): Pick<BulkPreview, 'actions' | 'missing'> {
    const actions = ACTIONS.flatMap((action) => {
      const count = this.#holders.get(action);
      if (count === undefined) return [];
      const others = Math.max(0, count.all - count.mine);
      return [{ action, releases: others === 0, holders: count.all, others, last: others === 0 }];
    });
    const steps = RECOVERY_STEPS.filter((step) => this.#missing.has(step));
    const missing = Object.fromEntries(steps.map((step) => [step, this.#missing.get(step)]));
    return { actions, ...(steps.length > 0 && { missing }) };
  }
}
