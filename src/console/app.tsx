import type { ComponentType } from 'preact';
import { useEffect } from 'preact/hooks';
import { UNATTENDED_STATES } from '../../machines/vocabulary.ts';
import { announcement } from './live-region.ts';
import { AuditView } from './audit/audit-view.tsx';
import { UNATTENDED } from './filters.ts';
import { health, healthAt } from './health.ts';
import { IncidentsView } from './incidents/incidents-view.tsx';
import { bulkCommand, keyOf } from './incidents/bulk-command.ts';
import { BulkDialog } from './incidents/bulk-dialog.tsx';
import { useLiveResource } from './live-resource.ts';
import { useKeys } from './keyboard.ts';
import { type ConnectionState, connection, heard, isOld, refusal } from './live-entries.ts';
import { KeysDialog, keysAreShown } from './keys-dialog.tsx';
import { describedAs, identity } from './identity.ts';
import { identify, isLockedOut, leave, operator, question } from './operator.ts';
import { OverviewView } from './overview/overview-view.tsx';
import { PostureView } from './posture/posture-view.tsx';
import { fragmentOf, route, type View, VIEWS } from './route.ts';
import { StatechartsView } from './statecharts/statecharts-view.tsx';
import { statistics } from './statistics.ts';
import { changeTheme, theme } from './theme.ts';
import { TokenDialog } from './token-dialog.tsx';
import { counted, grouped, spelled, timeOfDay } from './format.ts';
import { AsOf } from './parts/time.tsx';
import { Verbatim } from './parts/verbatim.tsx';

const PAGES: Readonly<Record<View, ComponentType>> = {
  incidents: IncidentsView,
  posture: PostureView,
  overview: OverviewView,
  statecharts: StatechartsView,
  audit: AuditView,
};

/** The frame around every view. */
export const App = () => {
  const { view, id } = route.value;
  useEffect(() => {
    document.title = `${id ?? spelled(view)} · Incident recorder`;
  }, [view, id]);
  useKeys({ '?': () => (keysAreShown.value = true) });
  const Page = PAGES[view];
  return (
    <>
      <Header view={view} />
      <Troubles />
      <Warnings />
      <main id="main" tabIndex={-1} class={isOld.value ? 'old' : ''}>
        <Page />
      </main>
      <p class="announcement" role="status">
        {announcement.value}
      </p>
      {bulkCommand.value !== undefined && <BulkDialog key={keyOf(bulkCommand.value)} {...bulkCommand.value} />}
      {question.value !== undefined && <TokenDialog {...question.value} />}
      {keysAreShown.value && <KeysDialog />}
    </>
  );
};

const Header = ({ view }: { readonly view: View }) => {
  const counts = useLiveResource(statistics);
  return (
    <header class="top">
      <button type="button" class="skip" onClick={() => document.getElementById('main')?.focus()}>
        Skip to the content
      </button>
      <p class="brand">
        <svg viewBox="0 0 16 16" aria-hidden="true">
          <path d="M5.2 1h5.6L15 5.2v5.6L10.8 15H5.2L1 10.8V5.2z" />
        </svg>
        Incident recorder
      </p>
      <nav aria-label="Views">
        {VIEWS.map((name) => (
          <a
            key={name}
            href={fragmentOf({ view: name, query: name === 'incidents' ? UNATTENDED : '' })}
            aria-current={name === view ? 'page' : undefined}
          >
            {spelled(name)}
            {name === 'incidents' && counts !== undefined && counts.open_incidents > 0 && (
              <span
                class={isOld.value || statistics.fault.value !== undefined ? 'count old' : 'count'}
                title={spelled(UNATTENDED_STATES.join(' or '))}
              >
                {grouped(counts.open_incidents)}
              </span>
            )}
          </a>
        ))}
      </nav>
      <div class="tools">
        <Connection />
        <Who />
        <button
          type="button"
          class="quiet theme"
          onClick={changeTheme}
          title="Change between the system’s theme, light and dark"
        >
          {spelled(theme.value)} theme
        </button>
        <button type="button" class="quiet" aria-label="Keys" title="Keys" onClick={() => (keysAreShown.value = true)}>
          ?
        </button>
      </div>
    </header>
  );
};

/** Whose token the page has, and a button to forget it. */
const Who = () => {
  const who = operator.value;
  if (who === undefined) return null;
  const known = identity.value;
  const isOwn = known !== undefined && !known.shared;
  return (
    <>
      {known?.shared === true && who.name === '' && (
        <button type="button" class="quiet" onClick={() => void identify()}>
          Shared token: give your name
        </button>
      )}
      <button
        type="button"
        class="quiet who"
        onClick={leave}
        title={
          isOwn || known === undefined
            ? 'Forget the token'
            : 'Forget the token, which several share: the name is claimed'
        }
      >
        {isOwn ? `${describedAs(known)} · leave` : who.name === '' ? 'Forget token' : `${who.name} · leave`}
      </button>
    </>
  );
};

/** Whether the page is current, and when the service was last heard. */
const Connection = () => {
  const state = connection.value === 'live' && health.value?.status === 'degraded' ? 'degraded' : connection.value;
  return (
    <span class={`connection ${state}`}>
      <span role="status">{CONNECTION_WORDS[state]}</span>
      {heard.value !== undefined &&
        (isOld.value ? (
          <AsOf time={heard.value} />
        ) : (
          <time class="as-of" title="When the service was last heard" dateTime={new Date(heard.value).toISOString()}>
            {timeOfDay(heard.value)}
          </time>
        ))}
    </span>
  );
};

const CONNECTION_WORDS: Readonly<Record<ConnectionState | 'degraded', string>> = {
  connecting: 'Connecting…',
  live: 'Live',
  degraded: 'Degraded',
  lost: 'Not connected',
};

/** Why the page may not be what the service knows, or the service does not do its work; above every view. */
const Troubles = () => {
  const known = health.value;
  return (
    <>
      {isLockedOut.value && (
        <div class="trouble">
          <p role="alert">
            <strong>Reading needs a token.</strong> <Shown />
          </p>
          <button type="button" onClick={() => void identify()}>
            Enter the token
          </button>
        </div>
      )}
      {connection.value === 'lost' && !isLockedOut.value && (
        <p class="trouble" role="alert">
          {refusal.value === undefined ? (
            <strong>The service does not answer.</strong>
          ) : (
            <>
              <strong>The service does not send what happens:</strong> {refusal.value}.
            </>
          )}{' '}
          <Shown /> The page tries again by itself and catches up.
        </p>
      )}
      {known?.status === 'degraded' && connection.value === 'live' && (
        <div class="trouble">
          <p role="alert">
            <strong>The service is degraded:</strong> {known.reasons?.join('; ')}
          </p>
          <AsOf time={healthAt.value} />
        </div>
      )}
    </>
  );
};

const Shown = () =>
  heard.value === undefined ? null : (
    <>
      What is shown is <AsOf time={heard.value} /> and may have changed since.
    </>
  );

/** Warnings that are shown at once. */
const MOST_WARNINGS = 2;

/** What an operator should know although the service does its work. */
const Warnings = () => {
  const warnings = health.value?.warnings ?? [];
  if (warnings.length === 0 || connection.value !== 'live') return null;
  const rest = warnings.slice(MOST_WARNINGS);
  return (
    <section class="warnings" aria-label="Warnings of the service">
      <div role="status">
        <ul>
          {warnings.slice(0, MOST_WARNINGS).map((warning) => (
            <li key={warning}>
              <Verbatim text={warning} longest={300} />
            </li>
          ))}
        </ul>
      </div>
      {rest.length > 0 && (
        <details>
          <summary>and {counted(rest.length, 'more warning')}</summary>
          <ul>
            {rest.map((warning) => (
              <li key={warning}>
                <Verbatim text={warning} longest={300} />
              </li>
            ))}
          </ul>
        </details>
      )}
      <AsOf time={healthAt.value} />
    </section>
  );
};
