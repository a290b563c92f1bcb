import { spelled } from '../format.ts';
import type { View } from '../route.ts';
import { isFleet } from '../service.ts';

/** What a view is called. At the fleet the posture is that of all machines. */
export const nameOfView = (view: View): string => (isFleet && view === 'posture' ? 'In force' : spelled(view));
