/**
 * Marks: a shape, a word and a colour; the first two suffice. A family of shapes for each question:
 *
 * - how bad: a filled polygon, more corners are worse (`SeverityMark`);
 * - who has it: a ring that closes (`StateMark`);
 * - is it contained: a square (`ContainmentMark`, whose words are given, since they say an age or a count).
 */
import type { ComponentChildren, JSX } from 'preact';
import type { Severity, State } from '../../../machines/vocabulary.ts';
import { spelled } from '../format.ts';

const SEVERITY_SHAPES: Readonly<Record<Severity, JSX.Element>> = {
  critical: <path d="M5.2 1h5.6L15 5.2v5.6L10.8 15H5.2L1 10.8V5.2z M7 4h2v5H7z M7 10.5h2v2H7z" fill-rule="evenodd" />,
  high: <path d="M8 1.5 15.5 14.5H.5z" />,
  medium: <path d="M8 1.5 14.5 8 8 14.5 1.5 8z" />,
  low: <circle cx="8" cy="8" r="4" />,
};

const STATE_SHAPES: Readonly<Record<State, JSX.Element>> = {
  open: <circle cx="8" cy="8" r="5.5" class="line" />,
  contained: (
    <>
      <circle cx="8" cy="8" r="5.5" class="line" />
      <path d="M5.5 5.5h5v5h-5z" />
    </>
  ),
  acknowledged: (
    <>
      <circle cx="8" cy="8" r="5.5" class="line" />
      <path d="M8 2.5a5.5 5.5 0 0 1 0 11z" />
    </>
  ),
  resolved: (
    <path
      fill-rule="evenodd"
      d="M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM4.2 8.3l1.1-1.1L7 8.9l3.7-4 1.1 1L7 11z"
    />
  ),
};

const FULL = 'M3 1h10a2 2 0 0 1 2 2v10a2 2 0 0 1-2 2H3a2 2 0 0 1-2-2V3a2 2 0 0 1 2-2z';
const BOX = <rect x="2" y="2" width="12" height="12" rx="2" class="line" />;

const CONTAINMENT_SHAPES = {
  asked: (
    <>
      {BOX}
      <path d="M5 8h5.4M8 5.4 10.6 8 8 10.6" class="line" />
    </>
  ),
  done: <path fill-rule="evenodd" d={`${FULL}M4 8.3 5.2 7 7 8.8 10.9 4.6 12 5.8 7 11.2z`} />,
  unknown: (
    <>
      <rect x="2" y="2" width="12" height="12" rx="2" class="line" stroke-dasharray="2.6 1.9" />
      <path d="M6.1 6.4a2 2 0 1 1 2.9 1.8c-.7.3-1 .6-1 1.3M8 11.1v1.2" class="line" />
    </>
  ),
  overdue: <path fill-rule="evenodd" d={`${FULL}M7 3.6h2v5.2H7zM7 10.4h2v2H7z`} />,
  person: (
    <path
      fill-rule="evenodd"
      d={`${FULL}M8 3.2a2.2 2.2 0 1 0 0 4.4 2.2 2.2 0 0 0 0-4.4zM3.8 12.6h8.4c0-2.4-1.8-3.8-4.2-3.8s-4.2 1.4-4.2 3.8z`}
    />
  ),
  released: (
    <>
      {BOX}
      <path d="M11 8H5.6M8 5.4 5.4 8 8 10.6" class="line" />
    </>
  ),
  none: <path d="M3 8h10" class="line" />,
} as const satisfies Readonly<Record<string, JSX.Element>>;

/** How the containment stands: a key of the family of squares. */
export type ContainmentLook = keyof typeof CONTAINMENT_SHAPES;

const shapeOnly = (shape: JSX.Element): JSX.Element => (
  <svg viewBox="0 0 16 16" aria-hidden="true">
    {shape}
  </svg>
);

const Mark = ({ kind, word, shape }: { readonly kind: string; readonly word: string; readonly shape: JSX.Element }) => (
  <span class={`mark ${kind} ${word}`} style={{ '--mark': `var(--${word})` }}>
    {shapeOnly(shape)}
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

interface ContainmentMarkProps {
  readonly look: ContainmentLook;
  /** The words beside the shape: a count or an age. */
  readonly children: ComponentChildren;
}

/** How a containment stands, by shape, words and colour. */
export const ContainmentMark = ({ look, children }: ContainmentMarkProps) => (
  <span class={`mark containment is-${look}`}>
    {shapeOnly(CONTAINMENT_SHAPES[look])}
    <span class="cut">{children}</span>
  </span>
);

/** The shape of a severity alone, where its word is beside it. */
export const SeverityShape = ({ severity }: { readonly severity: Severity }) => (
  <span class={`mark severity ${severity}`} style={{ '--mark': `var(--${severity})` }}>
    {shapeOnly(SEVERITY_SHAPES[severity])}
  </span>
);

/** A square of the containment family alone, where its words are beside it. */
export const ContainmentShape = ({ look }: { readonly look: ContainmentLook }) => (
  <span class={`mark containment is-${look}`}>{shapeOnly(CONTAINMENT_SHAPES[look])}</span>
);
