import type { AnyStateMachine } from 'xstate';
import { deliveryMachine } from '../../machines/delivery.ts';
import { incidentMachine } from '../../machines/incident.ts';

/** The machines of the API, by name. */
export const MACHINES: Readonly<Record<string, AnyStateMachine>> = {
  incident: incidentMachine,
  delivery: deliveryMachine,
};
