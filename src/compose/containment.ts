/** Starts containment: the lanes that carry it out, the confirmations, the posture, and the webhooks. */
import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';
import { ConfirmationDeadline } from '../containment/confirmation-deadline.ts';
import { Confirmations } from '../containment/confirmations.ts';
import { Dispatcher } from '../containment/dispatcher.ts';
import { Drills } from '../containment/drills.ts';
import { Notifier } from '../containment/notifier.ts';
import { OverdueWatch } from '../containment/overdue-watch.ts';
import { attestorAt } from '../containment/attestor.ts';
import { PostureReads } from '../containment/posture-reads.ts';
import { ReleasePreview } from '../containment/release-preview.ts';
import { Reattestation } from '../containment/reattestation.ts';
import { isSilenced } from '../query/silence-match.ts';
import type { OpenRecord } from './record.ts';

/** What of the record containment depends on. */
type ContainmentRecord = Pick<
  OpenRecord,
  'log' | 'projections' | 'incidents' | 'recorder' | 'policy' | 'postureProof' | 'verification' | 'identity'
>;

export interface RunningContainment {
  readonly confirmations: Confirmations;
  readonly posture: PostureReads;
  readonly preview: ReleasePreview;
  readonly notifier: Notifier;
  /** Has the attestor prove the machine for incidents whose recovery asks for that. */
  readonly reattestation: Reattestation;
  readonly drills: Drills;
  /** What is asked for and not known to be carried out. */
  readonly overdue: Pick<OverdueWatch, 'unconfirmed'>;
  /** Begins: what is due is sent, what waits for its next attempt goes on waiting. */
  begin(): void;
  /** Goes on under a policy that was loaded again, and makes the next attempts at once. */
  followPolicy(): void;
  /** Does what time brings: what is due, what is overdue, and which services are silent. Called every second or so. */
  beat(): void;
}

/**
 * Starts containment for what is on record; what it acquires is released by `releases`. Deliveries begin with the first
 * `beat` or `begin`.
 * @param onFault receives errors that should never happen
 * @param attestor where the attestor is; undefined when none is configured
 */
export function startContainment(
  { log, projections, incidents, recorder, policy, postureProof, verification, identity }: ContainmentRecord,
  clock: Clock,
  releases: AsyncDisposableStack,
  onFault: (error: unknown) => void,
  attestor?: Config['attestor'],
): RunningContainment {
  const current = () => projections.current();
  const targets = () => policy.current.targets;
  const isProved = postureProof.isProved.bind(postureProof);
  const dispatcher = new Dispatcher({ incidents, current, targets, isProved, clock, onFault });
  const wake = dispatcher.wake.bind(dispatcher);
  incidents.directives.on('directive', ({ action }) => wake(action));
  const notifier = new Notifier({
    log,
    current,
    shown: projections.webhooks,
    notify: () => policy.current.notify,
    isSilenced: (incident, at) => isSilenced(incident, current().silences(at), at),
    clock,
    onFault,
  });
  const deadline = new ConfirmationDeadline({ incidents, current, targets, clock, onFault });
  const overdueAfter = () => policy.current.overdue_after;
  const overdue = new OverdueWatch({
    incidents,
    log,
    current,
    shown: projections.posture,
    isProved: () => verification.isProved,
    overdueAfter,
    clock,
    onFault,
  });
  const reattestation = new Reattestation({
    incidents,
    current,
    attestor: attestor && attestorAt(attestor, clock),
    clock,
    onFault,
  });
  const drills = new Drills({
    incidents,
    recorder,
    current,
    targets,
    duration: () => policy.current.overdue_after,
    rehearse: (name) => dispatcher.rehearse(name),
    clock,
    onFault,
  });
  releases.defer(async () => {
    await Promise.all([drills, dispatcher, notifier, deadline, overdue, reattestation].map((one) => one.stop()));
  });
  const posture = new PostureReads({
    current,
    targets,
    isProved,
    logId: () => identity.id,
  });
  return {
    confirmations: new Confirmations({ incidents, current, log, targets, clock, wake }),
    posture,
    preview: new ReleasePreview({ current }),
    notifier,
    reattestation,
    drills,
    overdue: {
      // What was read so far does not say what was confirmed since.
      get unconfirmed() {
        return projections.reading === undefined ? overdue.unconfirmed : [];
      },
    },
    begin: () => {
      dispatcher.wakeAll();
      posture.changed();
      void notifier.follow();
    },
    followPolicy: () => {
      dispatcher.hurryAll();
      posture.changed();
      void notifier.follow();
    },
    beat: () => {
      dispatcher.wakeAll();
      notifier.beat();
      void deadline.look();
      void overdue.look();
      reattestation.look();
      drills.look();
    },
  };
}
