import type { Incident } from '../client/shapes.ts';
import { printable } from './terminal/printable.ts';
import { SEVERITY_STYLES, STATE_STYLES, type Style, styled, TROUBLE_STYLE } from './terminal/colour.ts';

/** An incident in a line. */
export const summaryOf = ({
  id,
  machine,
  class: name,
  severity,
  state,
  containment,
  containment_actions = [],
  recovery,
  drill,
  assignee,
  snoozed_until,
  reopens,
}: Incident): string =>
  [
    printable(id),
    ...(machine === undefined ? [] : [`on ${printable(machine)}`]),
    ...(drill === true ? ['drill'] : []),
    styled(SEVERITY_STYLES[severity], printable(severity)),
    styled(stateStyle(state, containment), stateWords({ state, containment, recovery })),
    printable(name),
    ...(state === 'contained' ? [`(${printable(containment_actions.join(', '))})`] : []),
    ...(snoozed_until === undefined ? [] : [`snoozed until ${printable(snoozed_until)}`]),
    ...(assignee === undefined ? [] : [`assigned to ${printable(assignee)}`]),
    ...(reopens === undefined ? [] : [`reopens ${printable(reopens)}`]),
  ].join('  ');

/** The colour of a state; red while its containment is overdue or degraded. */
export const stateStyle = (state: Incident['state'], containment: Incident['containment']): Style =>
  state !== 'resolved' && (containment?.status === 'overdue' || containment?.status === 'degraded')
    ? TROUBLE_STYLE
    : STATE_STYLES[state];

/** Whether a person has released early all that an incident had asked for. */
export const isReleased = ({ actions }: NonNullable<Incident['containment']>): boolean =>
  actions.length > 0 && actions.every(({ released_early }) => released_early !== undefined);

/** What `stateWords` needs of an incident. */
interface Standing {
  readonly state: Incident['state'];
  readonly containment: Incident['containment'] | undefined;
  readonly recovery: Incident['recovery'] | undefined;
}

/** The state; until it is resolved with the status of its containment, and whether its recovery is incomplete. */
export const stateWords = ({ state, containment, recovery }: Standing): string => {
  if (state === 'resolved') return state;
  const contained = containment === undefined || isReleased(containment) ? state : `${state} (${containment.status})`;
  return recovery === undefined || recovery.missing.length === 0 ? contained : `${contained}, needs recovery`;
};
