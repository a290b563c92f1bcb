import type { JSX } from 'preact';

/** Icons on a grid of 16, with strokes of 1.5; the `line` parts are strokes, the others filled. */
const SHAPES = {
  search: (
    <>
      <circle cx="7" cy="7" r="4.5" class="line" />
      <path d="m10.5 10.5 3.5 3.5" class="line" />
    </>
  ),
  filter: <path d="M2 4h12M4.5 8h7M6.5 12h3" class="line" />,
  down: <path d="m4 6 4 4 4-4" class="line" />,
  up: <path d="m4 10 4-4 4 4" class="line" />,
  right: <path d="m6 4 4 4-4 4" class="line" />,
  left: <path d="m10 4-4 4 4 4" class="line" />,
  x: <path d="m4 4 8 8M12 4l-8 8" class="line" />,
  copy: (
    <>
      <rect x="5" y="5" width="8.5" height="8.5" rx="1.5" class="line" />
      <path d="M3 10.5A1.5 1.5 0 0 1 2.5 9.5V4A1.5 1.5 0 0 1 4 2.5h5.5a1.5 1.5 0 0 1 1 .5" class="line" />
    </>
  ),
  play: <path d="M4.5 2.5 13 8l-8.5 5.5z" />,
  pause: <path d="M4 3h3v10H4zM9 3h3v10H9z" />,
  previous: <path d="M12.5 3 6 8l6.5 5zM3.5 3H5v10H3.5z" />,
  next: <path d="M3.5 3 10 8l-6.5 5zM11 3h1.5v10H11z" />,
  panel: (
    <>
      <rect x="1.75" y="2.75" width="12.5" height="10.5" rx="1.5" class="line" />
      <path d="M10 3v10" class="line" />
    </>
  ),
  clock: (
    <>
      <circle cx="8" cy="8" r="5.75" class="line" />
      <path d="M8 4.5V8l2.5 1.5" class="line" />
    </>
  ),
  list: <path d="M2 4h12M2 8h12M2 12h8" class="line" />,
  shield: <path d="M8 1.75 13.25 4v4c0 3-2.2 5.2-5.25 6.25C4.95 13.2 2.75 11 2.75 8V4z" class="line" />,
  bars: <path d="M3 14V8M8 14V2.5M13 14V5.5" class="line" />,
  book: <path d="M3 2.5h10v11H3zM5.5 5.5h5M5.5 8h5" class="line" />,
  more: <path d="M2.5 7h2v2h-2zM7 7h2v2H7zM11.5 7h2v2h-2z" />,
  note: <path d="M2.5 3h11v7.5h-6L4.5 13v-2.5h-2z" class="line" />,
} as const satisfies Readonly<Record<string, JSX.Element>>;

export type IconName = keyof typeof SHAPES;

/** An icon beside its word: it says nothing to a screen reader. */
export const Icon = ({ name }: { readonly name: IconName }) => (
  <svg class="icon" viewBox="0 0 16 16" aria-hidden="true">
    {SHAPES[name]}
  </svg>
);
