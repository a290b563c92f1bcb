/** What the fleet says of its machines, kept current. What changes without an entry is read again after a while. */
import { computed } from '@preact/signals';
import type { ContainmentAction } from '../../../machines/vocabulary.ts';
import { SECOND } from '../../clock.ts';
import { addScope } from '../filters.ts';
import { LiveResource } from '../live-resource.ts';
import { isFleet } from '../service.ts';

export interface MachineAlarm {
  readonly id: string;
  readonly kind: string;
  readonly opened_at: string;
  readonly acknowledged_at: string | null;
}

export interface MachineAction {
  readonly action: ContainmentAction;
  readonly in_force: boolean;
  readonly since: string | null;
  readonly holders: number;
  readonly unconfirmed: number;
  readonly overdue: number;
}

/** A machine as the fleet shows it. */
export interface FleetMachine {
  readonly machine: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly enrolled_at: string | null;
  readonly revoked_at: string | null;
  readonly heard_at: string | null;
  readonly silent: boolean;
  readonly silent_since: string | null;
  readonly version: string | null;
  readonly log: string | null;
  /** How many entries its log has, as it says, and how many the fleet has. */
  readonly entries: number | null;
  readonly held: number;
  readonly behind: number | null;
  readonly hashes: 'verified' | 'unverified';
  readonly clock_skew_ms: number | null;
  readonly clock_skewed: boolean;
  readonly policy: {
    readonly digest: string | null;
    readonly source: string | null;
    readonly differs: boolean;
    readonly usual: string | null;
  };
  readonly anchored: { readonly seq: number; readonly at: string; readonly age_seconds: number } | null;
  readonly diverged: { readonly log: string; readonly from_log: string | null; readonly at_seq: number | null } | null;
  readonly health: {
    readonly status: string;
    readonly reasons?: readonly string[];
    readonly warnings?: readonly string[];
  } | null;
  readonly posture: readonly MachineAction[];
  readonly incidents: { readonly unresolved: number; readonly attention: number };
  readonly commands: { readonly pending: number };
  readonly alarms: readonly MachineAlarm[];
}

/** How an action stands on all machines. */
export interface InForce {
  readonly action: ContainmentAction;
  readonly in_force: boolean;
  readonly machines: number;
  readonly since: string | null;
  readonly holders: number;
  readonly unconfirmed: { readonly machines: number; readonly deliveries: number };
  readonly overdue: { readonly machines: number; readonly deliveries: number };
}

export interface FleetIncident {
  readonly machine: string;
  readonly id: string;
  readonly kind: 'log_diverged' | 'machine_silent' | 'clock_skew';
  readonly opened_at: string;
  readonly closed_at: string | null;
  readonly detail: Readonly<Record<string, unknown>>;
  readonly acknowledged_at: string | null;
  readonly acknowledged_by: string | null;
  readonly note: string | null;
}

export interface Campaign {
  readonly campaign: string;
  readonly rule: string;
  readonly class: string;
  /** Null for who may not see evidence. */
  readonly values: Readonly<Record<string, unknown>> | null;
  readonly severity: string;
  readonly machines: number;
  readonly incidents: number;
  readonly unresolved: number;
  readonly first_at: string;
  readonly last_at: string;
  readonly raised_at: string;
  readonly acknowledged_at: string | null;
  readonly acknowledged_by: string | null;
  /** How many incidents it had when it was acknowledged. */
  readonly acknowledged_incidents: number | null;
  readonly note: string | null;
}

/** How many machines one answer holds. */
export const MOST_MACHINES = 1000;

const PAUSE = 2 * SECOND;

/** A thousand machines are a megabyte, and a quarter of a second of the fleet's time. */
const PAUSE_OF_MACHINES = 5 * SECOND;

const ofFleet = <Body>(path: string, concerns: (event: string) => boolean, pause = PAUSE): LiveResource<Body> =>
  new LiveResource<Body>(
    () => (isFleet ? path : undefined),
    ({ event }) => concerns(event),
    pause,
  );

export const fleetMachines = ofFleet<readonly FleetMachine[]>(
  `/api/v1/machines?limit=${MOST_MACHINES}`,
  () => true,
  PAUSE_OF_MACHINES,
);

/** The machines with labels, as `site=berlin`: where there are more than one answer holds. */
export const machinesWith = (labels: readonly string[]): LiveResource<readonly FleetMachine[]> => {
  const query = new URLSearchParams({ limit: String(MOST_MACHINES) });
  addScope(query, { labels });
  return ofFleet(`/api/v1/machines?${query.toString()}`, () => true, PAUSE_OF_MACHINES);
};

export const inForce = ofFleet<Readonly<Record<ContainmentAction, InForce>>>(
  '/api/v1/containment',
  (event) => event.startsWith('incident.') || event.startsWith('containment.'),
);

const alarmsOf = (more: string): LiveResource<readonly FleetIncident[]> =>
  ofFleet(`/api/v1/fleet/incidents?open=true&limit=${MOST_MACHINES}${more}`, () => true);

/** The newest alarms that are not over. */
export const openAlarms = alarmsOf('');

/** Those of a rewritten past alone: a thousand silent machines do not hide one. */
export const rewrittenPasts = alarmsOf('&kind=log_diverged');

/** The alarms of one machine that are not over. */
export const alarmsOfMachine = (machine: string): LiveResource<readonly FleetIncident[]> =>
  alarmsOf(`&machine=${encodeURIComponent(machine)}`);

const keyOf = ({ machine, id }: FleetIncident): string => `${machine} ${id}`;

/** The alarms that are not over, each once, as far as they are known. */
export const allAlarms = computed((): readonly FleetIncident[] => {
  const all = [...(rewrittenPasts.value.value ?? []), ...(openAlarms.value.value ?? [])];
  return [...new Map(all.map((one) => [keyOf(one), one])).values()];
});

/** Whether the alarms that are not over are known; at a recorder there are none. */
export const areAlarmsKnown = computed(
  (): boolean => !isFleet || (rewrittenPasts.value.value !== undefined && openAlarms.value.value !== undefined),
);

/** How many machines are silent, as far as it is known; 0 at a recorder. */
export const silentMachines = computed(
  (): number => allAlarms.value.filter(({ kind }) => kind === 'machine_silent').length,
);

/** Whether an event of the stream is about a campaign: it is no entry of a log. */
export const isOfCampaign = (event: string): boolean => event.startsWith('campaign.');

export const campaigns = ofFleet<readonly Campaign[]>(
  '/api/v1/campaigns',
  (event) => isOfCampaign(event) || event.startsWith('incident.'),
);

/** Campaigns that nobody has taken note of, or that have grown since. */
export const isNewCampaign = ({ acknowledged_incidents: seen, incidents, unresolved }: Campaign): boolean =>
  unresolved > 0 && (seen === null || seen < incidents);
