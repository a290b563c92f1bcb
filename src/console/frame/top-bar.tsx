import { ACTIONS } from '../../../machines/vocabulary.ts';
import { attentionCount, attention } from '../attention.ts';
import { ATTENTION } from '../filters.ts';
import { allAlarms, campaigns, inForce, isNewCampaign, openAlarms, rewrittenPasts } from '../of-fleet/live-fleet.ts';
import { counted, grouped, momentOf, timeOfDay } from '../format.ts';
import { health } from '../health.ts';
import { act } from '../keyboard.ts';
import { useLiveResource } from '../live-resource.ts';
import { connection, heard, isOld } from '../live-entries.ts';
import { now } from '../now.ts';
import { Icon, type IconName } from '../parts/icon.tsx';
import { posture } from '../posture/live-posture.ts';
import { fragmentOf, type View, VIEWS } from '../route.ts';
import { isFleet, SERVICE_NAME } from '../service.ts';
import { PersonMenu } from './person-menu.tsx';
import { nameOfView } from './view-names.ts';

/** Where a view is: the list begins with what needs attention. */
export const wayTo = (view: View): string => fragmentOf({ view, query: view === 'incidents' ? ATTENTION : '' });

/** The views that the line has room for; the palette and the keys have all. */
const NAMED_VIEWS = VIEWS.filter((name) => !isFleet || name !== 'statecharts');

/** The line above every view. */
export const TopBar = ({ view }: { readonly view: View }) => (
  <header class="top">
    <button type="button" class="skip" onClick={() => document.getElementById('main')?.focus()}>
      Skip to the content
    </button>
    <a class="brand" href={wayTo('incidents')}>
      <svg viewBox="0 0 16 16" aria-hidden="true">
        <path d="M5.2 1h5.6L15 5.2v5.6L10.8 15H5.2L1 10.8V5.2z" />
      </svg>
      <span class="name">{SERVICE_NAME}</span>
      <span class="place">{nameOfView(view)}</span>
    </a>
    <nav aria-label="Views">
      {NAMED_VIEWS.map((name) => (
        <a key={name} href={wayTo(name)} aria-current={name === view ? 'page' : undefined}>
          {nameOfView(name)} <Count of={name} />
        </a>
      ))}
    </nav>
    <div class="tools">
      <button type="button" class="sm ask-palette" aria-keyshortcuts="Control+K" onClick={() => act('palette')}>
        <Icon name="search" />
        <span class="words">Go to or do</span> <kbd aria-hidden="true">Ctrl K</kbd>
      </button>
      <Connection />
      <PersonMenu />
      <button type="button" class="quiet sm ask-keys" aria-label="Keys" title="Keys" onClick={() => act('keys')}>
        ?
      </button>
    </div>
  </header>
);

const TABS: readonly (readonly [View, IconName])[] = isFleet
  ? [
      ['incidents', 'list'],
      ['machines', 'panel'],
      ['posture', 'shield'],
      ['campaigns', 'bars'],
    ]
  : [
      ['incidents', 'list'],
      ['posture', 'shield'],
      ['overview', 'bars'],
      ['audit', 'book'],
    ];

/** The same at the bottom, where the page is narrow. */
export const Tabs = ({ view }: { readonly view: View }) => (
  <nav class="tabs" aria-label="Tabs">
    {TABS.map(([name, icon]) => (
      <a key={name} href={wayTo(name)} aria-current={name === view ? 'page' : undefined}>
        <Icon name={icon} />
        {nameOfView(name)}
        <Count of={name} />
      </a>
    ))}
    <button
      type="button"
      aria-current={TABS.some(([name]) => name === view) ? undefined : 'page'}
      onClick={() => act('palette')}
    >
      <Icon name="more" />
      More
    </button>
  </nav>
);

/** The number beside a view: the rows that need attention, or the actions that are overdue. */
const Count = ({ of }: { readonly of: View }) => {
  if (of === 'incidents') return <AttentionCount />;
  if (of === 'machines') return <AlarmCount />;
  if (of === 'campaigns') return <CampaignCount />;
  if (of !== 'posture') return null;
  return isFleet ? <OverdueEverywhere /> : <OverdueCount />;
};

const AttentionCount = () => {
  const count = attentionCount.value ?? 0;
  if (count === 0) return null;
  const incidents = attention.shown.value.rows.value.length;
  const isFailed = attention.shown.value.progress.value.kind === 'failed';
  return (
    <span
      class={`count ${isOld.value || isFailed ? 'old' : ''}`}
      title={`${counted(count, 'row')}, ${counted(incidents, 'incident')} need attention`}
    >
      {grouped(count)}
    </span>
  );
};

const OverdueCount = () => {
  const known = useLiveResource(posture);
  const count = ACTIONS.filter((action) => (known?.[action].not_known?.overdue ?? 0) > 0).length;
  return <BadCount count={count} title={`${counted(count, 'action')} ${count === 1 ? 'is' : 'are'} overdue`} />;
};

const OverdueEverywhere = () => {
  const known = useLiveResource(inForce);
  const count = ACTIONS.filter((action) => (known?.[action].overdue.machines ?? 0) > 0).length;
  return <BadCount count={count} title={`${counted(count, 'action')} ${count === 1 ? 'is' : 'are'} overdue`} />;
};

/** The alarms that nobody has seen yet. */
const AlarmCount = () => {
  useLiveResource(openAlarms);
  useLiveResource(rewrittenPasts);
  const count = allAlarms.value.filter(({ acknowledged_at: seen }) => seen === null).length;
  return <BadCount count={count} title={`${counted(count, 'alarm')} that nobody has acknowledged`} />;
};

const CampaignCount = () => {
  const count = (useLiveResource(campaigns) ?? []).filter(isNewCampaign).length;
  return <BadCount count={count} title={`${counted(count, 'campaign')} that nobody has taken note of`} />;
};

const BadCount = ({ count, title }: { readonly count: number; readonly title: string }) =>
  count === 0 ? null : (
    <span class={`count bad ${isOld.value ? 'old' : ''}`} title={title}>
      {grouped(count)}
    </span>
  );

/** Whether the page is current, and when the service was last heard. */
const Connection = () => {
  const at = heard.value;
  if (isOld.value) {
    return (
      <span class="connection lost" role="status">
        No stream
        {at !== undefined && <span class="as-of-then"> · as of {momentOf(at, now.value)}</span>}
      </span>
    );
  }
  const isLive = connection.value === 'live';
  const state = !isLive ? 'connecting' : health.value?.status === 'degraded' ? 'degraded' : 'live';
  return (
    <span class={`connection ${state}`} title="When the service was last heard">
      <span>
        <span role="status">{CONNECTION_WORDS[state]}</span>
        {at !== undefined && isLive && (
          <>
            {' · '}
            <time dateTime={new Date(at).toISOString()}>{timeOfDay(at)}</time>
          </>
        )}
      </span>
    </span>
  );
};

const CONNECTION_WORDS = { connecting: 'Connecting…', live: 'Live', degraded: 'Degraded' } as const;
