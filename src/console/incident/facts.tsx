import type { ComponentChildren } from 'preact';
import { COMMAND_TABLE, COMMANDS } from '../../../machines/commands.ts';
import { SERVICE_TOKEN } from '../../domain/caller.ts';
import { escalationText } from '../../domain/escalation.ts';
import type { Incident } from '../../domain/incident.ts';
import { grouped, spelled } from '../format.ts';
import { obstacleFor } from '../identity.ts';
import { DOINGS, give } from '../incidents/given-command.ts';
import { isOld } from '../live-entries.ts';
import { announce } from '../live-region.ts';
import { keyOfIncident, nameOfIncident } from '../incident-key.ts';
import { Machine } from '../parts/machine.tsx';
import { me } from '../me.ts';
import { perform } from '../operator.ts';
import { Person } from '../parts/person.tsx';
import { reasonOf } from '../request.ts';
import { fragmentOf } from '../route.ts';
import { Runbook } from './runbook.tsx';
import { CopyButton } from '../parts/copy-button.tsx';
import { Ago, Moment } from '../parts/time.tsx';
import { Verbatim } from '../parts/verbatim.tsx';

interface FactsProps {
  readonly incident: Incident;
  readonly runbook: string | undefined;
  /** Whether this is the present, so that something can be done. */
  readonly isNow: boolean;
}

const machineOf = ({ id }: Incident): string | undefined => nameOfIncident(id).machine;

/** The main fields of an incident. */
export const Facts = ({ incident, runbook, isNow }: FactsProps) => (
  <dl class="facts">
    {machineOf(incident) !== undefined && (
      <Fact name="Machine">
        <Machine name={machineOf(incident)!} />
      </Fact>
    )}
    <Assignee incident={incident} isNow={isNow} />
    {incident.snoozed_until !== undefined && (
      <Fact name="Snoozed">
        until <Moment at={incident.snoozed_until} />
        {incident.snoozed_by !== undefined && (
          <>
            {' by '}
            <Verbatim text={incident.snoozed_by} longest={200} />
          </>
        )}
      </Fact>
    )}
    <LinkFact name="Reopens" id={incident.reopens} machine={machineOf(incident)} />
    <LinkFact name="Reopened as" id={incident.reopened_as} machine={machineOf(incident)} at={incident.reopened_at} />
    <Fact name="Reported">
      <Moment at={incident.created_at} /> · <Ago at={incident.created_at} />
      {reporterOf(incident)}
      {incident.clock_uncertain && <strong> · the clock had jumped: times may be wrong</strong>}
    </Fact>
    {incident.last_seen_at !== undefined && (
      <Fact name="Last seen">
        <Moment at={incident.last_seen_at} />, {grouped(incident.occurrences)} times in all
      </Fact>
    )}
    {incident.default_severity !== undefined && <Fact name="Lowered">Its class is {incident.default_severity}</Fact>}
    {incident.reported_severity !== undefined && <Fact name="Reported as">{incident.reported_severity}</Fact>}
    {incident.escalated_by !== undefined && <Fact name="Escalated">{escalationText(incident.escalated_by)}</Fact>}
    {incident.latest_report !== undefined && (
      <Fact name="Latest report">
        {incident.latest_report.severity} · <Verbatim text={incident.latest_report.description} />
      </Fact>
    )}
    {COMMANDS.map((command) => {
      const { done } = COMMAND_TABLE[command];
      return (
        <Step
          key={done}
          name={spelled(done)}
          at={incident[`${done}_at`]}
          by={incident[`${done}_by`]}
          isClaimed={incident[`${done}_by_claimed`]}
        />
      );
    })}
    {incident.resolution !== undefined && <Fact name="Resolution">{spelled(incident.resolution)}</Fact>}
    {incident.dedup_key !== undefined && (
      <Fact name="Dedup key">
        <Verbatim text={incident.dedup_key} />
      </Fact>
    )}
    <Notes incident={incident} />
    {runbook !== undefined && <Runbook text={runbook} />}
    <Fact name="Occurrences">{grouped(incident.occurrences)}</Fact>
    <Fact name="Version">
      {incident.version} · <code title={incident.hash}>{incident.hash.slice(0, 12)}…</code>
      <CopyButton text={() => incident.hash} what="the hash of the latest entry" />
    </Fact>
  </dl>
);

/** Who works it. Nobody: then whoever reads this can take it. */
const Assignee = ({ incident: { id, assignee, assigned_at: at, state }, isNow }: Omit<FactsProps, 'runbook'>) => {
  const take = (): void => {
    const who = me.peek();
    if (who === undefined) {
      give({ command: 'assign', ids: [id] });
      return;
    }
    perform('/api/v1/incidents/assign', { id, to: who }).then(
      () =>
        announce(
          `Assigned ${id} to ${who}`,
          () => void perform('/api/v1/incidents/assign', { id, to: null }).catch(() => {}),
        ),
      (error: unknown) => announce(`Not assigned: ${reasonOf(error)}`),
    );
  };
  const mayTake = isNow && state !== 'resolved' && obstacleFor(DOINGS.assign.roles) === undefined && !isOld.value;
  return (
    <Fact name="Assignee">
      {assignee !== undefined ? (
        <>
          <Person name={assignee} isMe={assignee === me.value} />
          {at !== undefined && (
            <>
              {' '}
              since <Moment at={at} />
            </>
          )}
        </>
      ) : mayTake ? (
        <>
          nobody,{' '}
          <button type="button" class="link" onClick={take}>
            take it
          </button>
        </>
      ) : (
        'nobody'
      )}
    </Fact>
  );
};

interface LinkFactProps {
  readonly name: string;
  readonly id: string | undefined;
  readonly machine: string | undefined;
  readonly at?: string | undefined;
}

const LinkFact = ({ name, id, machine, at }: LinkFactProps) =>
  id === undefined ? null : (
    <Fact name={name}>
      <a href={fragmentOf({ view: 'incidents', id: keyOfIncident(id, machine), query: '' })}>
        <code>{id}</code>
      </a>
      {at !== undefined && (
        <>
          {' '}
          <Moment at={at} />
        </>
      )}
    </Fact>
  );

/** How many notes are shown here; the timeline has all of them. */
const MOST_NOTES = 3;

/** The newest notes, newest first. */
const Notes = ({
  incident: { note, notes = [], notes_count: count = notes.length },
}: {
  readonly incident: Incident;
}) => {
  if (note === undefined) return null;
  const shown = notes.length === 0 ? [{ note }] : notes.slice(-MOST_NOTES).toReversed();
  return (
    <Fact name={shown.length === 1 ? 'Note' : 'Notes'}>
      {shown.map((one, index) => (
        <p key={index}>
          <Verbatim text={one.note} longest={600} />
          {'by' in one && one.by !== undefined && (
            <span class="small muted">
              {' – '}
              <Verbatim text={one.by} longest={80} />, <Moment at={one.at} />
            </span>
          )}
        </p>
      ))}
      {count > shown.length && <p class="small muted">{grouped(count - shown.length)} more in the timeline</p>}
    </Fact>
  );
};

/** Whose token the report had. The one that several share says nothing. */
const reporterOf = ({ reported_by: principal }: Incident): string =>
  principal === undefined || principal === SERVICE_TOKEN ? '' : ` · by ${principal}`;

const Fact = ({ name, children }: { readonly name: string; readonly children: ComponentChildren }) => (
  <div>
    <dt>{name}</dt>
    <dd>{children}</dd>
  </div>
);

interface StepProps {
  readonly name: string;
  readonly at: string | undefined;
  readonly by: string | undefined;
  /** Whether nothing but the command says who gave it. */
  readonly isClaimed: true | undefined;
}

const Step = ({ name, at, by, isClaimed }: StepProps) =>
  at === undefined ? null : (
    <Fact name={name}>
      <Moment at={at} />
      {by !== undefined && (
        <>
          {' by '}
          <Verbatim text={by} />
          {isClaimed && ' (claimed)'}
        </>
      )}
    </Fact>
  );
