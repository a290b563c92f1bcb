/** Why the page may not be what the service knows, and what does not do its work: the worst first. */
import { computed } from '@preact/signals';
import { ACTIONS } from '../../../machines/vocabulary.ts';
import { allAlarms, MOST_MACHINES } from '../of-fleet/live-fleet.ts';
import { isFleet } from '../service.ts';
import { health, healthAt } from '../health.ts';
import { connection, heard, isOld, nextTryAt, refusal, tries, tryNow } from '../live-entries.ts';
import { identify, isLockedOut } from '../operator.ts';
import { posture } from '../posture/live-posture.ts';
import { grouped, timeOfDay } from '../format.ts';
import type { ContainmentLook } from '../parts/marks.tsx';
import type { View } from '../route.ts';

export interface Trouble {
  readonly look: ContainmentLook;
  readonly title: string;
  /** When it began (RFC 3339): the title says how long ago that is. */
  readonly since?: string;
  /** Whether it happened then, and does not last. */
  readonly isOver?: true;
  /** What it is about, in mono. */
  readonly name?: string;
  readonly cause?: string;
  /** When it is tried again: RFC 3339. */
  readonly next?: string;
  /** The view that shows it. */
  readonly view?: View;
  readonly button?: { readonly label: string; readonly act: () => void };
  /** Whether it is no more than a warning. */
  readonly isWarning?: true;
  /** When it was so, in milliseconds. */
  readonly at?: number;
}

/** Whether nothing was heard for so long that what is shown may be old. */
const silence = (): readonly Trouble[] => {
  if (isLockedOut.value) {
    return [
      {
        look: 'unknown',
        title: 'Reading needs a token',
        ...(heard.value !== undefined && {
          cause: `What is below is from ${timeOfDay(heard.value)} and may have changed.`,
        }),
        button: { label: 'Enter the token', act: () => void identify() },
      },
    ];
  }
  if (!isOld.value) return [];
  const why =
    refusal.value === undefined
      ? 'The service does not answer.'
      : `The service does not send what happens: ${refusal.value}.`;
  const since = heard.value === undefined ? '' : ' What is below is from then and may have changed.';
  return [
    {
      look: 'unknown',
      title: heard.value === undefined ? 'Nothing heard' : `Nothing heard since ${timeOfDay(heard.value)}`,
      cause: `${why}${since}${tries.value > 1 ? ` Tried ${tries.value} times.` : ''}`,
      ...(nextTryAt.value !== undefined && { next: new Date(nextTryAt.value).toISOString() }),
      button: { label: 'Try now', act: tryNow },
    },
  ];
};

const refusals = (): readonly Trouble[] =>
  health.value?.status === 'degraded'
    ? [
        {
          look: 'overdue',
          title: 'The service is degraded:',
          cause: (health.value.reasons ?? []).join('; '),
          at: healthAt.value,
        },
      ]
    : [];

/** The actions that are overdue, or that need a person. */
const containment = (): readonly Trouble[] => {
  // At the fleet the posture is that of one machine, which the page shows itself.
  if (isFleet) return [];
  const known = posture.value.value;
  if (known === undefined) return [];
  const troubles = ACTIONS.flatMap((action): readonly Trouble[] => {
    const { delivery, not_known, engaged } = known[action];
    const what = engaged ? 'containment' : 'release';
    const shared = {
      name: action,
      view: 'posture',
      ...(delivery?.last_error !== undefined && { cause: delivery.last_error }),
      ...(delivery?.next_attempt_at !== undefined && { next: delivery.next_attempt_at }),
    } as const;
    if ((not_known?.overdue ?? 0) > 0) {
      const since = delivery?.overdue_at ?? not_known?.oldest_asked_at ?? undefined;
      return [
        { ...shared, look: 'overdue', title: `Degraded: ${what} overdue`, ...(since !== undefined && { since }) },
      ];
    }
    const counts = delivery?.counts ?? {};
    if ((counts.needs_person ?? 0) > 0)
      return [
        { ...shared, look: 'person', title: `${what} needs a person`.replace(/^./, (letter) => letter.toUpperCase()) },
      ];
    if ((counts.failed ?? 0) > 0) return [{ ...shared, look: 'person', title: `Degraded: ${what} failed` }];
    if ((counts.lost ?? 0) > 0)
      return [
        {
          ...shared,
          look: 'unknown',
          title: `${what} not known any more`.replace(/^./, (letter) => letter.toUpperCase()),
        },
      ];
    return [];
  });
  const rank = ({ look }: Trouble): number => ['overdue', 'person', 'unknown'].indexOf(look);
  return troubles.toSorted(
    (one, other) => rank(one) - rank(other) || ((one.since ?? '9') < (other.since ?? '9') ? -1 : 1),
  );
};

/** What the fleet has found and nobody has seen yet: a rewritten past before silence. What many machines have is one trouble. */
const alarms = (): readonly Trouble[] => {
  const unseen = allAlarms.value.filter(({ acknowledged_at: seen }) => seen === null);
  return ALARMS.flatMap(({ kind, look, one, many }): readonly Trouble[] => {
    const found = unseen.filter((alarm) => alarm.kind === kind);
    const since = found.map(({ opened_at: at }) => at).toSorted()[0];
    if (since === undefined) return [];
    const names = found.map(({ machine }) => machine);
    const said = names.slice(0, MOST_NAMED).join(', ');
    const rest = names.length - MOST_NAMED;
    const ofKind = kind === 'log_diverged' ? ({ isOver: true } as const) : {};
    return [
      names.length === 1
        ? { look, title: one, name: said, since, ...ofKind, view: 'machines' }
        : {
            look,
            title: many(names.length < MOST_MACHINES ? grouped(names.length) : `${grouped(MOST_MACHINES)} or more`),
            cause: rest > 0 ? `${said} and ${grouped(rest)} more` : said,
            since,
            ...ofKind,
            view: 'machines',
          },
    ];
  });
};

const ALARMS = [
  {
    kind: 'log_diverged',
    look: 'overdue',
    one: 'The past of a machine was rewritten',
    many: (count: string) => `The pasts of ${count} machines were rewritten`,
  },
  {
    kind: 'machine_silent',
    look: 'unknown',
    one: 'A machine is silent',
    many: (count: string) => `${count} machines are silent`,
  },
] as const;
/** How many machines are named. */
const MOST_NAMED = 3;

const guards = (): readonly Trouble[] =>
  (health.value?.guards ?? [])
    .filter(({ status }) => status === 'silent')
    .map(({ source, silent_since, heard_at }) => ({
      look: 'unknown',
      title: 'A guard is silent',
      name: source,
      cause: heard_at === null ? 'never heard' : `heard last at ${timeOfDay(Date.parse(heard_at))}`,
      view: 'overview',
      ...(silent_since !== undefined && { since: silent_since }),
    }));

/** What the health warns of, without what is said above in a better way. */
const warnings = (): readonly Trouble[] => {
  const isSaid = (warning: string): boolean =>
    /^the guard .* is silent/.test(warning) ||
    ACTIONS.some(
      (action) =>
        warning.startsWith(`engage ${action} `) ||
        warning.startsWith(`release ${action} `) ||
        warning.startsWith(`${action} `),
    );
  return (health.value?.warnings ?? [])
    .filter((warning) => !isSaid(warning))
    .map((warning) => ({
      look: 'none',
      title: 'Warning:',
      cause: warning,
      isWarning: true as const,
      at: healthAt.value,
    }));
};

/** All of it, the worst first. While nothing is heard, the rest is not known. */
export const troubles = computed((): readonly Trouble[] => {
  const unheard = silence();
  if (unheard.length > 0 || connection.value !== 'live') return unheard;
  return [...refusals(), ...alarms(), ...containment(), ...guards(), ...warnings()];
});
