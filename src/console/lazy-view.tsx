/** Views that come after the first page: their scripts are read when there is time, or when they are shown. */
import { signal } from '@preact/signals';
import type { ComponentType } from 'preact';
import { useEffect } from 'preact/hooks';
import { connection } from './live-entries.ts';
import { nameOfView } from './frame/view-names.ts';
import { Notice } from './parts/notice.tsx';
import { route } from './route.ts';

const loads: (() => void)[] = [];

/** A view whose script is read later. */
export const lazyView = (read: () => Promise<ComponentType>): ComponentType => {
  const view = signal<ComponentType | undefined>(undefined);
  const isFailed = signal(false);
  const load = (): void => {
    if (view.peek() !== undefined) return;
    read().then(
      (loaded) => (view.value = loaded),
      () => (isFailed.value = true),
    );
  };
  loads.push(load);
  return () => {
    const isLive = connection.value === 'live';
    // What could not be read is read again once the service answers.
    useEffect(load, [isLive]);
    const View = view.value;
    if (View !== undefined) return <View />;
    return (
      <>
        <h1 class="unseen">{nameOfView(route.value.view)}</h1>
        {isFailed.value ? (
          <Notice kind="fault" title="This view could not be read">
            <p>Load the page again: the service may have another version.</p>
          </Notice>
        ) : (
          <Notice kind="busy" title="Reading…" />
        )}
      </>
    );
  };
};

/** Reads the scripts of all views once the page has time, so that they are there when the service is not. */
export const loadViews = (): void => {
  requestIdleCallback(() => loads.forEach((load) => load()), { timeout: 2000 });
};
