/** What the routes of the fleet need of the rest. */
import type { ConsoleFiles } from '../../api/console/console-files.ts';
import type { ApiLogger } from '../../api/dependencies.ts';
import type { Clock } from '../../clock.ts';
import type { Signer } from '../../signed-note.ts';
import type { FleetPrincipals } from '../access.ts';
import type { FleetAlarms } from '../alarms.ts';
import type { FleetCommands } from '../commands.ts';
import type { FleetDatabase } from '../database.ts';
import type { LabelActs } from '../label-acts.ts';
import type { ReleaseActs } from '../release-acts.ts';
import type { SilenceActs } from '../silence-acts.ts';

export interface FleetDependencies {
  readonly db: FleetDatabase;
  /** People and services with tokens of the fleet. */
  readonly access: FleetPrincipals;
  /** Signs anchors and commands. */
  readonly signer: Signer;
  readonly clock: Clock;
  readonly log: ApiLogger;
  /** Who may read: only those with a token, or anybody who reaches the fleet. */
  readonly readAccess: 'token' | 'open';
  /** Who sees the evidence of reports: whoever may read (when not given), or only some roles. */
  readonly readEvidence?: 'open' | 'restricted';
  /** After how many milliseconds without a word a machine is silent. */
  readonly silentAfter: number;
  /** The files of the web console; without them there is none. */
  readonly console?: Pick<ConsoleFiles, 'get'>;
  /** The directory that exports are put together in; the system's own for such files where it is not given. */
  readonly scratch?: string;
  /** The alarms, commands and acts of the fleet; made where they are not given. */
  readonly alarms?: FleetAlarms;
  readonly acts?: LabelActs;
  readonly releases?: ReleaseActs;
  readonly silences?: SilenceActs;
  readonly commands?: FleetCommands;
  /** With so many incidents or fewer a list gathers them; of more it looks at some. For tests. */
  readonly few?: number;
  /** How many incidents are looked at for one page of a list. For tests. */
  readonly mostLookedAt?: number;
}
