import { useSignal } from '@preact/signals';
import { type ComponentChild, createElement } from 'preact';
import { grouped } from '../format.ts';
import { boxOf, type ChartPart, hasTitleRow, type Shape, shapesIn } from './drawing.ts';

export interface Marks {
  /** The classes of a part: `current`, `around`, `visited`, `taken`, `possible`, `aside`. */
  readonly classOf?: (part: ChartPart) => string;
  /** How many are in a state. */
  readonly countOf?: (state: string) => number | undefined;
  /** Where a state leads to. */
  readonly linkOf?: (state: string) => string | undefined;
}

interface StatechartProps extends Marks {
  readonly drawing: Shape;
  /** The drawing in words. */
  readonly label: string;
  readonly scale: number;
}

/**
 * The drawing of a machine, with marks on it. Where the pointer or the focus is, the lines from there are traced: those of
 * a label or a row, or all that leave a state.
 */
export const Statechart = ({ drawing, label, scale, ...marks }: StatechartProps) => {
  const traced = useSignal<ReadonlySet<string> | undefined>(undefined);
  const { width, height } = sizeOf(drawing);
  const trace = ({ target }: Event): void => {
    const next = tracedFrom(drawing, target as Element);
    if ([...(next ?? [])].join(' ') !== [...(traced.peek() ?? [])].join(' ')) traced.value = next;
  };
  // With links it is more than an image.
  const role = marks.linkOf === undefined ? 'img' : 'group';
  return (
    <svg
      class={`statechart ${traced.value === undefined ? '' : 'tracing'}`}
      role={role}
      aria-label={label}
      viewBox={drawing.attributes.viewBox}
      width={Math.round(width * scale)}
      height={Math.round(height * scale)}
      onPointerOver={trace}
      onPointerLeave={() => (traced.value = undefined)}
      onFocusIn={trace}
      onFocusOut={() => (traced.value = undefined)}
    >
      {drawing.children.map((shape, index) => (
        <ShapeView key={index} shape={shape} marks={marks} traced={traced.value} />
      ))}
    </svg>
  );
};

/** The size of a drawing in pixels. */
export const sizeOf = ({ attributes }: Shape): { readonly width: number; readonly height: number } => {
  const [, , width = 400, height = 300] = (attributes.viewBox ?? '').split(/[ ,]+/).map(Number);
  return { width, height };
};

/** The transitions of the part at an element, and the states that they connect. */
const tracedFrom = (drawing: Shape, element: Element): ReadonlySet<string> | undefined => {
  const part = element.closest('[data-transition], [data-state]');
  if (part === null) return undefined;
  const state = part.getAttribute('data-state');
  const ids =
    state === null
      ? part.getAttribute('data-transition')!.split(' ')
      : shapesIn(drawing).flatMap(({ of }) =>
          of?.kind === 'transition' ? of.ids.filter((id) => sourceOf(id) === state) : [],
        );
  return new Set([...ids, ...(state === null ? ids.map(sourceOf) : [state])]);
};

const sourceOf = (transition: string): string => transition.split(':', 1)[0]!;

interface ShapeViewProps {
  readonly shape: Shape;
  readonly marks: Marks;
  readonly traced: ReadonlySet<string> | undefined;
}

const ShapeView = ({ shape, marks, traced }: ShapeViewProps) => {
  const { tag, attributes, text, children, of } = shape;
  if (tag === 'text' || tag === 'title') return createElement(tag, attributes, text);
  // The paper of the file: here it is the page.
  if (attributes.class === 'paper') return null;
  const inner = children.map((child, index) => <ShapeView key={index} shape={child} marks={marks} traced={traced} />);
  if (of === undefined) return createElement(tag, attributes, inner);
  const isTraced =
    of.kind === 'transition' ? of.ids.some((id) => traced?.has(id)) : of.kind === 'state' && traced?.has(of.id);
  return (
    <g {...attributes} class={[attributes.class, marks.classOf?.(of), isTraced && 'traced'].filter(Boolean).join(' ')}>
      {of.kind === 'state' ? <StateParts shape={shape} id={of.id} marks={marks} inner={inner} /> : inner}
    </g>
  );
};

interface StatePartsProps {
  readonly shape: Shape;
  readonly id: string;
  readonly marks: Marks;
  /** Its shapes, drawn. */
  readonly inner: readonly ComponentChild[];
}

/** The shapes of a state, and its count. Where it leads somewhere, its title row is a link, and named by its words. */
const StateParts = ({ shape, id, marks, inner }: StatePartsProps) => {
  const count = <Count shape={shape} count={marks.countOf?.(id)} />;
  const link = marks.linkOf?.(id);
  const box = boxOf(shape);
  if (link === undefined || box === undefined) return <>{[...inner, count]}</>;
  const at = shape.children.findIndex(({ attributes }) => attributes.class === 'name');
  const { x, y, width, height } = box;
  return (
    <>
      {inner.slice(0, at)}
      <a href={link}>
        <rect class="target" x={x} y={y} width={width} height={hasTitleRow(shape) ? TITLE_HEIGHT : height} rx={10} />
        {inner[at]}
        {count}
      </a>
      {inner.slice(at + 1)}
    </>
  );
};

const TITLE_HEIGHT = 32;
const LETTER = 7;
const HEIGHT = 18;

/** A number at the right end of a state's title row, or at its corner. */
const Count = ({ shape, count }: { readonly shape: Shape; readonly count: number | undefined }) => {
  const box = boxOf(shape);
  if (count === undefined || box === undefined) return null;
  const words = grouped(count);
  const width = Math.max(22, words.length * LETTER + 12);
  const [x, y] = hasTitleRow(shape)
    ? [box.x + box.width - width - 8, box.y + 8]
    : [box.x + box.width - width + 8, box.y - 9];
  return (
    <g class={`count ${count === 0 ? 'none' : ''}`}>
      <rect x={x} y={y} width={width} height={HEIGHT} rx={9} />
      <text x={x + width / 2} y={y + 13} text-anchor="middle">
        {words}
      </text>
    </g>
  );
};
