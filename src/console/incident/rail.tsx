import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useActs } from '../keyboard.ts';
import { Icon } from '../parts/icon.tsx';

const KEPT_AS = 'incident-recorder.rail';

const wasFolded = (): boolean => {
  try {
    return localStorage.getItem(KEPT_AS) === 'folded';
  } catch {
    return false;
  }
};

/** The column next to the incident, or below it where there is no room. It can be folded, and stays so. */
export const Rail = ({ children }: { readonly children: ComponentChildren }) => {
  const isFolded = useSignal(wasFolded());
  const toggle = (): void => {
    isFolded.value = !isFolded.value;
    try {
      localStorage.setItem(KEPT_AS, isFolded.value ? 'folded' : 'open');
    } catch {
      // Then it is not remembered.
    }
  };
  useActs({ rail: toggle });
  return (
    <aside class={`rail ${isFolded.value ? 'folded' : ''}`} aria-label="Statechart and facts">
      <button
        type="button"
        class="quiet sm fold"
        aria-expanded={!isFolded.value}
        aria-keyshortcuts="]"
        title={isFolded.value ? 'Unfold the statechart and the facts (])' : 'Fold (])'}
        onClick={toggle}
      >
        <span class="unseen">{isFolded.value ? 'Unfold the rail' : 'Fold the rail'}</span>
        <Icon name="panel" /> <kbd aria-hidden="true">]</kbd>
      </button>
      {!isFolded.value && children}
    </aside>
  );
};
