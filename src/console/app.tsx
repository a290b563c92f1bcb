import type { ComponentType } from 'preact';
import { useEffect } from 'preact/hooks';
import { UNATTENDED_STATES } from '../../machines/vocabulary.ts';
import { announcement } from './live-region.ts';
import { AuditView } from './audit/audit-view.tsx';
import { UNATTENDED } from './filters.ts';
import { health } from './health.ts';
import { IncidentsView } from './incidents/incidents-view.tsx';
import { bulkCommand, keyOf } from './incidents/bulk-command.ts';
import { BulkDialog } from './incidents/bulk-dialog.tsx';
import { useLiveResource } from './live-resource.ts';
import { useKeys } from './keyboard.ts';
import { type ConnectionState, connection } from './live-entries.ts';
import { KeysDialog, keysAreShown } from './keys-dialog.tsx';
import { identify, isLockedOut, leave, operator, question } from './operator.ts';
import { OverviewView } from './overview/overview-view.tsx';
import { PostureView } from './posture/posture-view.tsx';
import { fragmentOf, route, type View, VIEWS } from './route.ts';
import { StatechartsView } from './statecharts/statecharts-view.tsx';
import { statistics } from './statistics.ts';
import { changeTheme, theme } from './theme.ts';
import { TokenDialog } from './token-dialog.tsx';
import { grouped, spelled } from './format.ts';

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
      <main id="main" tabIndex={-1}>
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
              <span class="count" title={spelled(UNATTENDED_STATES.join(' or '))}>
                {grouped(counts.open_incidents)}
              </span>
            )}
          </a>
        ))}
      </nav>
      <div class="tools">
        <span class={`connection ${connection.value}`} role="status">
          {CONNECTION_WORDS[connection.value]}
        </span>
        {operator.value !== undefined && (
          <button type="button" class="quiet" onClick={leave} title="Forget the token">
            {operator.value.name === '' ? 'Forget token' : `${operator.value.name} · leave`}
          </button>
        )}
        <button
          type="button"
          class="quiet"
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

const CONNECTION_WORDS: Readonly<Record<ConnectionState, string>> = {
  connecting: 'Connecting…',
  live: 'Live',
  lost: 'Not connected',
};

/** Warnings above every view: nothing new arrives, or the service can't record. */
const Troubles = () => {
  const known = health.value;
  return (
    <>
      {isLockedOut.value && (
        <p class="trouble" role="alert">
          <strong>Reading needs the service token.</strong> What is shown may be old.{' '}
          <button type="button" onClick={() => void identify()}>
            Enter the token
          </button>
        </p>
      )}
      {connection.value === 'lost' && !isLockedOut.value && (
        <p class="trouble" role="alert">
          <strong>The service does not answer.</strong> What is shown may be old. The page tries again by itself and
          catches up.
        </p>
      )}
      {known?.status === 'degraded' && connection.value !== 'lost' && (
        <p class="trouble" role="alert">
          <strong>The service is degraded:</strong> {known.reasons?.join('; ')}
        </p>
      )}
    </>
  );
};
