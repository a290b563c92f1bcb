import type { JSX } from 'preact';
import type { Severity, State } from '../../../machines/vocabulary.ts';
import { spelled } from '../format.ts';

/** More corners are more severe. */
const SEVERITY_SHAPES: Readonly<Record<Severity, JSX.Element>> = {
  critical: <path d="M5.2 1h5.6L15 5.2v5.6L10.8 15H5.2L1 10.8V5.2z M7 4h2v5H7z M7 10.5h2v2H7z" fill-rule="evenodd" />,
  high: <path d="M8 1.5 15.5 14.5H.5z" />,
  medium: <path d="M8 1.5 14.5 8 8 14.5 1.5 8z" />,
  low: <circle cx="8" cy="8" r="4" />,
};

/** An open ring is closed step by step. */
const STATE_SHAPES: Readonly<Record<State, JSX.Element>> = {
  open: <circle cx="8" cy="8" r="5.5" class="line" />,
  contained: (
    <>
      <circle cx="8" cy="8" r="5.5" class="line" />
      <rect x="5.5" y="5.5" width="5" height="5" />
    </>
  ),
  acknowledged: (
    <>
      <circle cx="8" cy="8" r="5.5" class="line" />
      <path d="M8 2.5a5.5 5.5 0 0 1 0 11z" />
    </>
  ),
  resolved: (
    <>
      <circle cx="8" cy="8" r="6.5" />
      <path d="M4.8 8.2 7 10.4l4.2-4.6" class="cut" />
    </>
  ),
};

const Mark = ({ kind, word, shape }: { readonly kind: string; readonly word: string; readonly shape: JSX.Element }) => (
  <span class={`mark ${kind} ${word}`} style={{ '--mark': `var(--${word})` }}>
    <svg viewBox="0 0 16 16" aria-hidden="true">
      {shape}
    </svg>
    {spelled(word)}
  </span>
);

/** A severity by shape, word and colour. */
export const SeverityMark = ({ severity }: { readonly severity: Severity }) => (
  <Mark kind="severity" word={severity} shape={SEVERITY_SHAPES[severity]} />
);

/** A state by shape, word and colour. */
export const StateMark = ({ state }: { readonly state: State }) => (
  <Mark kind="state" word={state} shape={STATE_SHAPES[state]} />
);
