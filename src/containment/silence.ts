/**
 * Watches for services that have fallen silent: one that has to confirm every so often (`confirm_every`) and was not
 * heard of for three times as long has lost the action that it carried out.
 *
 * When it was last heard of is on record; how long ago that is, is measured by the monotonic clock while the recorder
 * runs. After a start a service has at least one period to be heard of, as it could not confirm while nobody listened.
 */
import { ACTIONS, type ContainmentAction } from '../../machines/vocabulary.ts';
import { type Clock, SECOND } from '../clock.ts';
import type { DeliveryNews } from '../incidents/delivery-news.ts';
import type { Targets } from '../policy/targets.ts';
import type { Posture } from '../projections/posture.ts';

const PERIODS = 3;
/** How many deliveries one look turns to lost; the next takes the others. */
const MOST_AT_ONCE = 100;

export interface SilenceParts {
  readonly posture: Posture;
  readonly news: Pick<DeliveryNews, 'tell'>;
  readonly targets: () => Targets;
  readonly clock: Clock;
}

interface Heard {
  readonly at: string;
  /** The same by the monotonic clock. */
  readonly monotonic: number;
}

export class Silence {
  readonly #parts: SilenceParts;
  readonly #heard = new Map<ContainmentAction, Heard>();
  #looking = false;

  constructor(parts: SilenceParts) {
    this.#parts = parts;
  }

  /** Looks whether a service has been silent for too long. Never rejects. */
  async look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      for (const action of ACTIONS) await this.#lookAt(action);
    } catch {
      // The log takes nothing now; the next look finds the same.
    } finally {
      this.#looking = false;
    }
  }

  async #lookAt(action: ContainmentAction): Promise<void> {
    const { posture, news, targets, clock } = this.#parts;
    const every = targets()[action]?.confirm_every;
    const { heard_at, counts } = posture.of(action);
    if (every === undefined || heard_at === null || counts.confirmed === undefined) return;
    const silence = clock.monotonic() - this.#heardOf(action, heard_at, every).monotonic;
    if (silence <= PERIODS * every) return;
    const reason = `its service was not heard of for ${Math.round(silence / SECOND)} s`;
    for (const { incident } of posture.withStatus(action, 'confirmed', MOST_AT_ONCE)) {
      await news.tell({ incident, action, directive: 'engage' }, { type: 'lost', reason });
    }
  }

  #heardOf(action: ContainmentAction, at: string, every: number): Heard {
    const { clock } = this.#parts;
    const known = this.#heard.get(action);
    if (known?.at === at) return known;
    const ago = known === undefined ? Math.min(Math.max(clock.now() - Date.parse(at), 0), (PERIODS - 1) * every) : 0;
    const heard = { at, monotonic: clock.monotonic() - ago };
    this.#heard.set(action, heard);
    return heard;
  }
}
