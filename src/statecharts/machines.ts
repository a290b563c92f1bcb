import type { AnyStateMachine } from 'xstate';
import { deliveryMachine } from '../../machines/delivery.ts';
import { incidentMachine, RECOVERY_EVENTS } from '../../machines/incident.ts';

/** The machines of the API, by name. */
export const MACHINES: Readonly<Record<string, AnyStateMachine>> = {
  incident: incidentMachine,
  delivery: deliveryMachine,
};

/** Events of a machine that its drawing lists together, by topic. */
export const TOPICS: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  incident: { recovery: RECOVERY_EVENTS },
};
