import type { ComponentChildren } from 'preact';
import { COMMAND_TABLE, COMMANDS } from '../../../machines/commands.ts';
import { SERVICE_TOKEN } from '../../domain/caller.ts';
import { escalationText } from '../../domain/escalation.ts';
import type { Incident } from '../../domain/incident.ts';
import { readFilters } from '../filters.ts';
import { grouped, spelled } from '../format.ts';
import { listOf } from '../route.ts';
import { CopyButton } from '../parts/copy-button.tsx';
import { Ago, Moment } from '../parts/time.tsx';
import { Verbatim } from '../parts/verbatim.tsx';

/** The main fields of an incident. */
export const Facts = ({ incident }: { readonly incident: Incident }) => (
  <dl class="facts">
    <Fact name="Source">
      <a href={listOf({ ...readFilters(''), sources: [incident.source] })} title="Show every incident of this source">
        <Verbatim text={incident.source} longest={600} />
      </a>
      {incident.source_suspicious && <strong> · suspicious: mixes scripts, or looks like another source</strong>}
    </Fact>
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
    {incident.note !== undefined && (
      <Fact name="Note">
        <Verbatim text={incident.note} />
      </Fact>
    )}
    <Fact name="Version">
      {incident.version} · <code title={incident.hash}>{incident.hash.slice(0, 12)}…</code>
      <CopyButton text={() => incident.hash} what="the hash of the latest entry" />
    </Fact>
  </dl>
);

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
