import type { TargetedSubmitEvent } from 'preact';
import { useMemo, useState } from 'preact/hooks';
import { SECOND } from '../../clock.ts';
import { SEVERITIES, STATES } from '../../../machines/vocabulary.ts';
import { counted, grouped } from '../format.ts';
import { keyOfIncident } from '../incident-key.ts';
import { obstacleFor } from '../identity.ts';
import { announce } from '../live-region.ts';
import { LiveResource } from '../live-resource.ts';
import { perform } from '../operator.ts';
import { AgoOrTime } from '../parts/age.tsx';
import { Machine } from '../parts/machine.tsx';
import { SeverityMark, StateMark } from '../parts/marks.tsx';
import { Moment } from '../parts/time.tsx';
import { Verbatim } from '../parts/verbatim.tsx';
import { reasonOf } from '../request.ts';
import { fragmentOf, route } from '../route.ts';
import { Cell, Columns, FleetPage } from './fleet-page.tsx';
import { HeldRows } from './held-rows.tsx';
import { type Campaign, campaigns, isNewCampaign, isOfCampaign } from './live-fleet.ts';

interface Member {
  readonly machine: string;
  readonly log: string;
  readonly incident: string;
  readonly at: string;
  readonly state: string;
  readonly severity: string;
  readonly source: string;
}

type CampaignDetail = Campaign & { readonly members: readonly Member[] };

/** The same on several machines: one row each. With its incidents, when one is open. */
export const CampaignsView = () => {
  const { id } = route.value;
  return id === undefined ? <Campaigns /> : <CampaignView key={id} campaign={id} />;
};

const Campaigns = () => (
  <FleetPage
    title="Campaigns"
    of={campaigns}
    sum={(all) => (
      <span class="strong">{counted(all.filter(({ unresolved }) => unresolved > 0).length, 'campaign')} not over</span>
    )}
    children={(all) => (
      <section class="card rows campaigns" aria-label="Campaigns">
        <Columns names={['Campaign', 'What is the same', 'Machines', 'Incidents', 'Last']} />
        {all.length === 0 && <p class="empty muted">Nothing has happened alike on several machines.</p>}
        <HeldRows
          items={all}
          keyOf={({ campaign }) => campaign}
          row={(one, key) => (
            <li key={key}>
              <div class="said name">
                <SeverityOf text={one.severity} />{' '}
                <a href={fragmentOf({ view: 'campaigns', id: one.campaign, query: '' })}>
                  <code>{one.class}</code>
                </a>
              </div>
              <Cell label="What is the same">
                <Values of={one.values} />
              </Cell>
              <Cell label="Machines">
                <b>{grouped(one.machines)}</b>
              </Cell>
              <Cell label="Incidents">
                <b>{grouped(one.incidents)}</b>
                <span class="muted">, {grouped(one.unresolved)} not resolved</span>
                <p class="small muted">
                  <SeenBy one={one} />
                </p>
              </Cell>
              <Cell label="Last">
                <AgoOrTime at={one.last_at} />
              </Cell>
            </li>
          )}
        />
      </section>
    )}
  />
);

const SeverityOf = ({ text }: { readonly text: string }) => {
  const severity = SEVERITIES.find((one) => one === text);
  return severity === undefined ? null : <SeverityMark severity={severity} />;
};

const Values = ({ of }: { readonly of: Campaign['values'] }) => (
  <>
    {of === null && <span class="muted">withheld</span>}
    {Object.entries(of ?? {}).map(([path, value]) => (
      <p key={path} class="value-of">
        <code class="muted">{path}</code>{' '}
        <Verbatim text={typeof value === 'string' ? value : JSON.stringify(value)} longest={160} />
      </p>
    ))}
  </>
);

const CampaignView = ({ campaign }: { readonly campaign: string }) => {
  const detail = useMemo(
    () =>
      new LiveResource<CampaignDetail>(
        () => `/api/v1/campaigns/${encodeURIComponent(campaign)}`,
        ({ event }) => event.startsWith('incident.') || isOfCampaign(event),
        2 * SECOND,
      ),
    [campaign],
  );
  return (
    <FleetPage
      title="Campaign"
      of={detail}
      sum={(one) => (
        <>
          <SeverityOf text={one.severity} />
          <code>{one.class}</code>
          <span class="strong">on {counted(one.machines, 'machine')}</span>
        </>
      )}
      children={(one) => (
        <>
          <p>
            <a href={fragmentOf({ view: 'campaigns', query: '' })}>All campaigns</a>
          </p>
          <AcknowledgeCampaign one={one} onDone={() => detail.refresh()} />
          <section class="card" aria-label="What is the same">
            <header>
              <h2>What is the same</h2>
              <span class="small muted">
                first <Moment at={one.first_at} />, rule <code>{one.rule}</code>
              </span>
            </header>
            <div class="values-of">
              <Values of={one.values} />
            </div>
          </section>
          <section class="card rows members" aria-label="Incidents">
            <Columns names={['Incident', 'Machine', 'State', 'Reported']} />
            <HeldRows
              items={one.members}
              keyOf={(member) => keyOfIncident(member.incident, member.machine)}
              row={(member, key) => (
                <li key={key}>
                  <div class="said name">
                    <a
                      href={fragmentOf({
                        view: 'incidents',
                        id: keyOfIncident(member.incident, member.machine),
                        query: '',
                      })}
                    >
                      <code>{member.incident}</code>
                    </a>
                  </div>
                  <Cell label="Machine">
                    <Machine name={member.machine} />
                  </Cell>
                  <Cell label="State">
                    <StateOf text={member.state} />
                  </Cell>
                  <Cell label="Reported">
                    <AgoOrTime at={member.at} />
                  </Cell>
                </li>
              )}
            />
          </section>
        </>
      )}
    />
  );
};

const StateOf = ({ text }: { readonly text: string }) => {
  const state = STATES.find((one) => one === text);
  return state === undefined ? <>{text}</> : <StateMark state={state} />;
};

/** Who has taken note of a campaign, and whether it has grown since. */
const SeenBy = ({ one }: { readonly one: Campaign }) => {
  const { acknowledged_by: by, acknowledged_incidents: seen, incidents, unresolved } = one;
  if (by === null) return unresolved > 0 ? <b>new</b> : null;
  const more = incidents - (seen ?? 0);
  return (
    <>
      seen by {by}
      {more > 0 && (
        <>
          , <b>{grouped(more)} more since</b>
        </>
      )}
    </>
  );
};

const LONGEST_NOTE = 4096;

/** Taking note of a campaign, with what is known of it; again when it has grown. */
const AcknowledgeCampaign = ({ one, onDone }: { readonly one: Campaign; readonly onDone: () => void }) => {
  const [note, setNote] = useState('');
  const [isUnderWay, setUnderWay] = useState(false);
  const { campaign, acknowledged_at: at, note: kept } = one;
  const obstacle = obstacleFor(['operator']);
  const acknowledge = async (event: TargetedSubmitEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault();
    if (isUnderWay || obstacle !== undefined) return;
    setUnderWay(true);
    try {
      await perform('/api/v1/campaigns/acknowledge', { campaign, ...(note.trim() !== '' && { note: note.trim() }) });
      announce('Acknowledged the campaign');
      setNote('');
      campaigns.refresh();
      onDone();
    } catch (error) {
      announce(`Not acknowledged: ${reasonOf(error)}`);
    } finally {
      setUnderWay(false);
    }
  };
  return (
    <section class="card acknowledge-campaign" aria-label="Who has seen it">
      {at !== null && (
        <p>
          <SeenBy one={one} />, <AgoOrTime at={at} />
          {kept !== null && (
            <>
              : “<Verbatim text={kept} longest={600} />”
            </>
          )}
        </p>
      )}
      {isNewCampaign(one) && (
        <form onSubmit={(event) => void acknowledge(event)}>
          <label>
            Note
            <input
              maxLength={LONGEST_NOTE}
              value={note}
              disabled={isUnderWay}
              onInput={({ currentTarget: { value } }) => setNote(value)}
            />
          </label>
          <button type="submit" class="primary" disabled={isUnderWay || obstacle !== undefined} title={obstacle}>
            Acknowledge
          </button>
        </form>
      )}
    </section>
  );
};
