import type { AnyStateMachine } from 'xstate';
import { deliveryMachine } from '../../machines/delivery.ts';
import { incidentMachine } from '../../machines/incident.ts';

/** The machines that are shown, by the names that they are asked for with. */
export const MACHINES: Readonly<Record<string, AnyStateMachine>> = {
  incident: incidentMachine,
  delivery: deliveryMachine,
};
