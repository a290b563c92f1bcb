import type { Incident } from '../client/shapes.ts';
import { printable } from './terminal/printable.ts';
import { SEVERITY_STYLES, STATE_STYLES, type Style, styled, TROUBLE_STYLE } from './terminal/colour.ts';

/** An incident in a line. */
export const summaryOf = ({
  id,
  class: name,
  severity,
  state,
  containment,
  containment_actions = [],
  drill,
}: Incident): string =>
  [
    printable(id),
    ...(drill === true ? ['drill'] : []),
    styled(SEVERITY_STYLES[severity], printable(severity)),
    styled(stateStyle(state, containment), stateWords(state, containment)),
    printable(name),
    ...(state === 'contained' ? [`(${printable(containment_actions.join(', '))})`] : []),
  ].join('  ');

/** The colour of a state; red while its containment is overdue or degraded. */
export const stateStyle = (state: Incident['state'], containment: Incident['containment']): Style =>
  state !== 'resolved' && (containment?.status === 'overdue' || containment?.status === 'degraded')
    ? TROUBLE_STYLE
    : STATE_STYLES[state];

/** The state, with the status of its containment until it is resolved. */
export const stateWords = (state: Incident['state'], containment: Incident['containment']): string =>
  state === 'resolved' || containment === undefined ? state : `${state} (${containment.status})`;
