import type { ComponentType } from 'preact';
import { useEffect } from 'preact/hooks';
import { attentionCount } from './attention.ts';
import { nameOfView } from './frame/view-names.ts';
import { Banner } from './frame/banner.tsx';
import { Palette, paletteIsOpen } from './frame/palette.tsx';
import { Tabs, TopBar, wayTo } from './frame/top-bar.tsx';
import { Changes, changesAreShown } from './incidents/changes.tsx';
import { CommandDialog } from './incidents/command-dialog.tsx';
import { givenCommand, keyOf } from './incidents/given-command.ts';
import { IncidentsView } from './incidents/incidents-view.tsx';
import { SilenceDialog, silenceDraft } from './incidents/silence-dialog.tsx';
import { SilencesDialog, silencesAreShown } from './incidents/silences-dialog.tsx';
import { type Acts, useActs } from './keyboard.ts';
import { KeysDialog, keysAreShown } from './keys-dialog.tsx';
import { lazyView, loadViews } from './lazy-view.tsx';
import { idOf } from './incident-key.ts';
import { isFleet, SERVICE_NAME } from './service.ts';
import { isOld } from './live-entries.ts';
import { announcement, undo } from './live-region.ts';
import { switchDesktop } from './notices.ts';
import { question } from './operator.ts';
import { goTo, route, type View, VIEWS } from './route.ts';
import { changeTheme } from './theme.ts';
import { TokenDialog } from './token-dialog.tsx';

/** A view of the fleet: a recorder never reads its script. */
const ofFleet = (read: () => Promise<ComponentType>): ComponentType => (isFleet ? lazyView(read) : IncidentsView);

const PAGES: Readonly<Record<View, ComponentType>> = {
  incidents: IncidentsView,
  machines: ofFleet(async () => (await import('./of-fleet/machines-view.tsx')).MachinesView),
  posture: isFleet
    ? lazyView(async () => (await import('./of-fleet/in-force-view.tsx')).InForceView)
    : lazyView(async () => (await import('./posture/posture-view.tsx')).PostureView),
  campaigns: ofFleet(async () => (await import('./of-fleet/campaigns-view.tsx')).CampaignsView),
  commands: ofFleet(async () => (await import('./of-fleet/commands-view.tsx')).CommandsView),
  recoveries: ofFleet(async () => (await import('./of-fleet/recoveries-view.tsx')).RecoveriesView),
  overview: lazyView(async () => (await import('./overview/overview-view.tsx')).OverviewView),
  statecharts: lazyView(async () => (await import('./statecharts/statecharts-view.tsx')).StatechartsView),
  audit: isFleet
    ? lazyView(async () => (await import('./of-fleet/audit-view.tsx')).FleetAuditView)
    : lazyView(async () => (await import('./audit/audit-view.tsx')).AuditView),
};

const show = (isShown: { value: boolean }) => (): void => {
  isShown.value = true;
};

const ACTS: Acts = {
  ...Object.fromEntries(VIEWS.map((view) => [view, () => goTo(wayTo(view))])),
  keys: show(keysAreShown),
  palette: show(paletteIsOpen),
  silences: show(silencesAreShown),
  changes: show(changesAreShown),
  notices: () => void switchDesktop(),
  theme: changeTheme,
};

/** The frame around every view. */
export const App = () => {
  const { view, id } = route.value;
  const count = attentionCount.value ?? 0;
  useEffect(() => {
    document.title = `${count > 0 ? `(${count}) ` : ''}${id === undefined ? nameOfView(view) : idOf(id)} · ${SERVICE_NAME}`;
  }, [view, id, count]);
  useEffect(loadViews, []);
  useActs({ ...ACTS, undo: undo.value });
  const Page = PAGES[view];
  return (
    <>
      <TopBar view={view} />
      <Banner />
      <main id="main" tabIndex={-1} class={isOld.value ? 'old' : ''}>
        <Page />
      </main>
      <Tabs view={view} />
      <Announcement />
      {givenCommand.value !== undefined && <CommandDialog key={keyOf(givenCommand.value)} {...givenCommand.value} />}
      {silencesAreShown.value && <SilencesDialog />}
      {silenceDraft.value !== undefined && <SilenceDialog {...silenceDraft.value} />}
      {changesAreShown.value && <Changes />}
      {question.value !== undefined && <TokenDialog {...question.value} />}
      {keysAreShown.value && <KeysDialog />}
      {paletteIsOpen.value && <Palette />}
    </>
  );
};

/** The last outcome, and the button that takes it back. */
const Announcement = () => (
  <div class="announcement">
    <p role="status">{announcement.value}</p>
    {undo.value !== undefined && announcement.value !== '' && (
      <button type="button" class="sm" onClick={undo.value}>
        Undo <kbd aria-hidden="true">u</kbd>
      </button>
    )}
  </div>
);
