/**
 * What the API needs of the rest of the service, and nothing more.
 *
 * The API authenticates, checks sizes and shapes, calls one of these and renders the result. An incident arrives here as
 * JSON text that is ready to send.
 */
import type { Principals } from '../access/principal.ts';
import type { LogFindings } from '../audit/log-findings.ts';
import type { Clock } from '../clock.ts';
import type { Caller } from '../domain/caller.ts';
import type { Config } from '../config.ts';
import type { PostureReads } from '../containment/posture-reads.ts';
import type { ReleasePreview } from '../containment/release-preview.ts';
import type { Notifier } from '../containment/notifier.ts';
import type { Confirmations } from '../containment/confirmations.ts';
import type { Drills } from '../containment/drills.ts';
import type { EventStreams } from './events/event-streams.ts';
import type { LogStreams } from './log/log-streams.ts';
import type { Bundles } from '../bundle/make-bundle.ts';
import type { ForensicExports } from '../forensic/forensic-export.ts';
import type { Archivist } from '../incidents/archivist.ts';
import type { FleetCommands } from '../incidents/fleet-commands.ts';
import type { GuardWatch } from '../incidents/guard-watch.ts';
import type { IncidentChanges } from '../incidents/incident-changes.ts';
import type { IncidentActs } from '../incidents/incident-acts.ts';
import type { IncidentReads } from '../incidents/incident-reads.ts';
import type { LogAnchors } from '../incidents/log-anchors.ts';
import type { Recorder } from '../incidents/recorder.ts';
import type { SilenceCommands } from '../incidents/silence-commands.ts';
import type { Recoveries } from '../incidents/recoveries.ts';
import type { Reattestation } from '../containment/reattestation.ts';
import type { Policy } from '../policy/policy.ts';
import type { Metrics } from '../metrics/metrics.ts';
import type { Attention } from '../projections/attention.ts';
import type { Comparison } from '../projections/comparison.ts';
import type { Activity } from '../projections/activity.ts';
import type { ShownWebhooks } from '../projections/webhooks.ts';
import type { Statistics } from '../projections/statistics.ts';
import type { WaitingAnswers } from './incidents/waiting-answers.ts';
import type { ConsoleFiles } from './console/console-files.ts';

/** What `/health` shows. */
export interface HealthSummary {
  readonly status: 'ok' | 'degraded';
  readonly [detail: string]: unknown;
}

/** The part of a pino logger that the API writes to. */
export interface ApiLogger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface ApiDependencies {
  readonly recorder: Pick<Recorder, 'report' | 'reportAll' | 'perform' | 'import' | 'release'>;
  readonly acts: Pick<IncidentActs, 'note' | 'assign' | 'snooze' | 'reopen'>;
  /** The answers that wait until containment is settled. */
  readonly answers?: Pick<WaitingAnswers, 'wait' | 'incident'>;
  readonly incidents: Pick<
    IncidentReads,
    'get' | 'list' | 'similar' | 'groups' | 'history' | 'transitions' | 'beginning' | 'walk' | 'wouldDo' | 'actionsOf'
  >;
  readonly changes: Pick<IncidentChanges, 'read'>;
  readonly recoveries: Pick<Recoveries, 'acknowledge' | 'waive' | 'pending' | 'of'> & {
    readonly reattest: Reattestation['request'];
  };
  readonly events: Pick<EventStreams, 'open'>;
  readonly anchors: Pick<LogAnchors, 'record'>;
  /** What came of the commands of the fleet. */
  readonly fleetCommands: Pick<FleetCommands, 'alone' | 'given' | 'mayBeForgotten' | 'answered'>;
  /** The identity of the log, when it is known. */
  readonly logId: () => string | undefined;
  readonly logStreams: Pick<LogStreams, 'open' | 'headers' | 'from'>;
  readonly statistics: Pick<Statistics, 'read'>;
  readonly attention: Pick<Attention, 'count'>;
  readonly policy: { readonly current: Policy };
  readonly activity: Pick<Activity, 'read'>;
  readonly comparison: Pick<Comparison, 'read'>;
  /** With every detail, or as anybody may see it: of receivers only where they are and how they are. */
  readonly health: (detailed: boolean) => HealthSummary;
  /** Why reports and commands are refused now; empty while they are taken. */
  readonly reasons: () => readonly string[];
  /** How far the log has been read, while reads can't be answered yet; undefined when they can. */
  readonly reading?: () => string | undefined;
  readonly metrics: Pick<Metrics, 'render'> & {
    readonly requests: Pick<Metrics['requests'], 'count' | 'countBatched'>;
  };
  /** Who has a token. */
  readonly access: Principals;
  /** Loads the policy again; the result is shown to the client. */
  readonly reload: (caller: Caller) => Promise<object>;
  readonly archive: Archivist['archive'];
  readonly webhooks: Pick<ShownWebhooks, 'skipped'> & Pick<Notifier, 'retry'>;
  readonly silences: Pick<SilenceCommands, 'list' | 'add' | 'end'>;
  readonly drills: Pick<Drills, 'start'>;
  readonly guards: Pick<GuardWatch, 'heartbeat'>;
  readonly acknowledgeDamage: LogFindings['acknowledge'];
  readonly forensic: Pick<ForensicExports, 'prepare' | 'requireKey'>;
  readonly bundles: Pick<Bundles, 'prepare' | 'versionsOf'>;
  readonly posture: Pick<PostureReads, 'read' | 'versionOf' | 'change' | 'waiting' | 'unverified'>;
  readonly preview: Pick<ReleasePreview, 'of' | 'released'>;
  readonly receipts: Pick<Confirmations, 'confirm' | 'retry'>;
  /** The path of the file that describes the API. */
  readonly openApi: string;
  readonly console: Pick<ConsoleFiles, 'get'>;
  readonly log: ApiLogger;
  /** Writes the line of a request to the log of the process; `trusted`: its client has shown the service token. */
  readonly logRequest: (fields: object, trusted: boolean) => void;
  readonly clock: Clock;
  /** Who may read: anybody, or only clients with the service token. */
  readonly readAccess: Config['readAccess'];
  /** Who sees the evidence of reports: whoever may read, or only some roles. */
  readonly readEvidence: Config['readEvidence'];
  /** The longest body of a command, in bytes. */
  readonly maxBodyBytes: number;
  /** Whether requests may be addressed to other names than the loopback's. */
  readonly allowNonLoopback: boolean;
  /** Whether clients may connect to a unix socket, where a Host header means little. */
  readonly overUnixSocket: boolean;
}
