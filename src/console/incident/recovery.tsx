import { useState } from 'preact/hooks';
import type { TargetedSubmitEvent } from 'preact';
import type { RecoveryStep } from '../../../machines/vocabulary.ts';
import type { Incident } from '../../domain/incident.ts';
import type { IncidentRecovery, RecoveryStamp } from '../../domain/recovery.ts';
import { pathOfAct, RECOVERY_ACTS, type RecoveryAct, WAIVER, whoMay } from '../../domain/recovery-steps.ts';
import { obstacleFor } from '../identity.ts';
import { isOld } from '../live-entries.ts';
import { announce } from '../live-region.ts';
import { NotSent, perform } from '../operator.ts';
import { Dialog, DialogBody, DialogFoot } from '../parts/dialog.tsx';
import { ContainmentShape } from '../parts/marks.tsx';
import { Ago } from '../parts/time.tsx';
import { Verbatim } from '../parts/verbatim.tsx';
import { reasonOf, Refusal } from '../request.ts';
import { spelled } from '../format.ts';

const LONGEST_REASON = 4096;

interface RecoveryProps {
  readonly incident: Incident;
  /** Whether this is the present, so that something can be done. */
  readonly isNow: boolean;
}

/** What has to happen before the incident may be resolved: what is done, what is missing, and who may do it. */
export const Recovery = ({ incident: { id, state, recovery }, isNow }: RecoveryProps) => {
  const [isWaiving, setWaiving] = useState(false);
  if (recovery === undefined) return null;
  const isIncomplete = recovery.missing.length > 0;
  const mayAct = isNow && state !== 'resolved';
  const done = recovery.required.length - recovery.missing.length;
  return (
    <section class="card recovery" aria-label="Recovery">
      <header>
        <h3>Recovery</h3>
        <span class={`badge ${isIncomplete ? '' : 'confirmed'}`}>{stageOf(recovery)}</span>
        <span class="small muted">
          {isIncomplete && 'The incident can’t be resolved before this is done · '}
          {done} of {recovery.required.length}
          {isIncomplete && ' · void if it is reported again'}
        </span>
      </header>
      <ul class="todo">
        {recovery.required.map((step) => (
          <Step key={step} id={id} step={step} recovery={recovery} mayAct={mayAct} />
        ))}
        {recovery.waived !== undefined && (
          <li class="delivery confirmed">
            <ContainmentShape look="done" />
            <strong>Waived</strong>
            <p>
              <Stamp stamp={recovery.waived} />: <Verbatim text={recovery.waived.reason} longest={600} />
            </p>
          </li>
        )}
        {mayAct && isIncomplete && (
          <li class="delivery">
            <ContainmentShape look="none" />
            <strong>Or waive it</strong>
            <p>It is recorded and alerted. Who may: {whoMay(WAIVER)}.</p>
            <button
              type="button"
              class="sm"
              disabled={isOld.value || obstacleFor(WAIVER.roles) !== undefined}
              title={hintOf(obstacleFor(WAIVER.roles))}
              onClick={() => setWaiving(true)}
            >
              Waive recovery…
            </button>
          </li>
        )}
      </ul>
      {recovery.voided !== undefined && (
        <p class="error">
          What was done before counts no more: {recovery.voided.reason} <Ago at={recovery.voided.at} />.
        </p>
      )}
      <Failure failed={recovery.failed} />
      {isWaiving && <WaiveDialog id={id} onClose={() => setWaiving(false)} />}
    </section>
  );
};

const stageOf = ({ missing, waived, attestation }: IncidentRecovery): string => {
  if (missing.length === 0) return waived === undefined ? 'complete' : 'waived';
  return attestation === undefined ? 'incomplete' : 'being attested';
};

interface StepProps {
  readonly id: string;
  readonly step: RecoveryStep;
  readonly recovery: IncidentRecovery;
  readonly mayAct: boolean;
}

/** One step: done by whom and when, or what it needs, who may do it, and the button that does it. */
const Step = ({ id, step, recovery, mayAct }: StepProps) => {
  const { missing, acknowledged, attested, attestation } = recovery;
  const isMissing = missing.includes(step);
  const isAsked = step === 'attest' && attestation !== undefined;
  const stamp = step === 'acknowledge' ? acknowledged : attested;
  const act = RECOVERY_ACTS[step];
  const status = isAsked ? 'asked' : isMissing ? 'missing' : stamp === undefined ? '' : 'confirmed';
  return (
    <li class={`delivery ${status}`}>
      <ContainmentShape look={isAsked ? 'asked' : isMissing ? 'unknown' : stamp === undefined ? 'none' : 'done'} />
      <strong>{spelled(step)}</strong>
      <p>
        {isAsked ? (
          <span class="status">
            the attestor is asked, <Ago at={attestation.at} />
          </span>
        ) : isMissing ? (
          <span class="status">missing</span>
        ) : stamp === undefined ? (
          <span class="status">not needed any more</span>
        ) : (
          <span class="status">
            done <Stamp stamp={stamp} />
          </span>
        )}
        {isMissing && (
          <span class="detail">
            {spelled(act.needs)}. Who may: {whoMay(act)}.
          </span>
        )}
      </p>
      {isMissing && mayAct && <ActButton act={act} id={id} label={isAsked ? 'Ask again now' : LABELS[act.name]} />}
    </li>
  );
};

const Stamp = ({ stamp: { at, by, claimed, on_behalf_of: other } }: { readonly stamp: RecoveryStamp }) => (
  <span>
    <Ago at={at} />
    {by !== undefined && (
      <>
        {' by '}
        <Verbatim text={by} />
      </>
    )}
    {claimed && ' (claimed)'}
    {other !== undefined && (
      <>
        {' for '}
        <Verbatim text={other} />
      </>
    )}
  </span>
);

/** Why the latest attestation failed. Strangers are not told what was wrong. */
const Failure = ({ failed }: { readonly failed: IncidentRecovery['failed'] | undefined }) => {
  if (failed === undefined) return null;
  const { at, faults = [], last_error: error } = failed;
  const wrong = error === undefined ? faults : [...faults, error];
  return (
    <div class="error">
      <p>
        The attestation failed <Ago at={at} />
        {wrong.length === 0 ? '. Why is shown to those with a token.' : ':'}
      </p>
      <ul>
        {wrong.map((fault) => (
          <li key={fault}>
            <Verbatim text={fault} longest={300} />
          </li>
        ))}
      </ul>
    </div>
  );
};

const LABELS: Readonly<Record<RecoveryAct['name'], string>> = {
  ack: 'Acknowledge recovery',
  reattest: 'Ask the attestor',
  waive: 'Waive recovery',
};

const DONE: Readonly<Record<RecoveryAct['name'], string>> = {
  ack: 'Recovery acknowledged',
  reattest: 'The attestor has proved the machine',
  waive: 'Recovery waived',
};

/** Does one act for an incident. @returns why it is not done; undefined when it is */
const take = async (act: RecoveryAct, id: string, fields: object = {}): Promise<string | undefined> => {
  try {
    await perform(pathOfAct(act), { incident_id: id, ...fields }, 'operator');
    announce(DONE[act.name]);
    return undefined;
  } catch (error) {
    if (error instanceof NotSent) return 'Nothing was sent: it needs a token.';
    // What was wrong with an attestation is shown with the incident.
    if (error instanceof Refusal && error.fields.faults !== undefined) return 'The machine could not be attested.';
    return reasonOf(error);
  }
};

const hintOf = (obstacle: string | undefined): string | undefined => obstacle && `This ${obstacle}`;

interface ActButtonProps {
  readonly act: RecoveryAct;
  readonly id: string;
  readonly label: string;
}

const ActButton = ({ act, id, label }: ActButtonProps) => {
  const [isUnderWay, setUnderWay] = useState(false);
  const [refusal, setRefusal] = useState<string>();
  const lacksRole = obstacleFor(act.roles);
  const obstacle = isOld.value ? 'has to wait: what is shown may have changed' : lacksRole;
  const start = async (): Promise<void> => {
    setRefusal(undefined);
    setUnderWay(true);
    setRefusal(await take(act, id));
    setUnderWay(false);
  };
  return (
    <>
      <button
        type="button"
        class="sm"
        disabled={isUnderWay || obstacle !== undefined}
        title={hintOf(obstacle)}
        onClick={() => void start()}
      >
        {lacksRole === undefined ? label : `Needs the role ${act.roles.join(' or ')}`}
      </button>
      {refusal !== undefined && (
        <span class="error" role="alert">
          <Verbatim text={refusal} longest={300} />
        </span>
      )}
    </>
  );
};

/** Asks for the reason, and waives. */
const WaiveDialog = ({ id, onClose }: { readonly id: string; readonly onClose: () => void }) => {
  const [reason, setReason] = useState('');
  const [isUnderWay, setUnderWay] = useState(false);
  const [refusal, setRefusal] = useState<string>();
  const start = async (event: TargetedSubmitEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault();
    if (reason.trim() === '') return;
    setUnderWay(true);
    const refused = await take(WAIVER, id, { reason: reason.trim() });
    setUnderWay(false);
    setRefusal(refused);
    if (refused === undefined) onClose();
  };
  return (
    <Dialog title={`Waive the recovery of ${id}`} onClose={onClose}>
      <form onSubmit={(event) => void start(event)}>
        <DialogBody>
          <p class="hint">
            The incident may be resolved without what is missing. Who waives it and why is recorded, and an alert is
            raised. Who may: {whoMay(WAIVER)}.
          </p>
          <label>
            Reason, for the log
            <textarea
              rows={3}
              required
              maxLength={LONGEST_REASON}
              placeholder="Why nothing else is possible"
              value={reason}
              disabled={isUnderWay}
              onInput={({ currentTarget }) => setReason(currentTarget.value)}
            />
          </label>
          {refusal !== undefined && (
            <p class="error" role="alert">
              <Verbatim text={refusal} longest={300} />
            </p>
          )}
        </DialogBody>
        <DialogFoot>
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="grave" disabled={isUnderWay}>
            {LABELS.waive}
          </button>
        </DialogFoot>
      </form>
    </Dialog>
  );
};
