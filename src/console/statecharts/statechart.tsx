import { createElement } from 'preact';
import { useEffect } from 'preact/hooks';
import { useSignal } from '@preact/signals';
import { connection } from '../live-entries.ts';
import { reasonOf } from '../request.ts';
import { grouped } from '../format.ts';
import { cornerOf, type ChartPart, drawingOf, type Shape } from './drawing.ts';

export interface Marks {
  /** The classes of a state or transition: `current`, `visited`, `taken`, `possible`. */
  readonly classOf?: (part: ChartPart) => string;
  /** How many are in a state. */
  readonly countOf?: (state: string) => number | undefined;
  /** Where a state leads to. */
  readonly linkOf?: (state: string) => string | undefined;
}

interface StatechartProps extends Marks {
  readonly machine: string;
  /** The drawing in words. */
  readonly label: string;
}

/** A machine's statechart, drawn by the service from the machine itself, with marks on it. */
export const Statechart = ({ machine, label, ...marks }: StatechartProps) => {
  const drawing = useSignal<Shape | undefined>(undefined);
  const fault = useSignal<string | undefined>(undefined);
  const isLive = connection.value === 'live';
  useEffect(() => {
    // What could not be read is read again once the service answers.
    drawingOf(machine).then(
      (read) => (drawing.value = read),
      (error: unknown) => (fault.value = reasonOf(error)),
    );
  }, [machine, isLive]);
  if (drawing.value === undefined) return <p class="hint">{fault.value ?? 'Reading the chart…'}</p>;
  const { attributes, children } = drawing.value;
  const [, , width = '400', height = '300'] = (attributes.viewBox ?? '').split(/[ ,]+/);
  // With links it is more than an image.
  const role = marks.linkOf === undefined ? 'img' : 'group';
  return (
    <svg class="statechart" role={role} aria-label={label} viewBox={attributes.viewBox} width={width} height={height}>
      {children.map((shape, index) => (
        <ShapeView key={index} shape={shape} marks={marks} />
      ))}
    </svg>
  );
};

const ShapeView = ({ shape, marks }: { readonly shape: Shape; readonly marks: Marks }) => {
  const { tag, attributes, text, children, of } = shape;
  // The words of a state come last, on top of its filling.
  const ordered = children.toSorted((one, other) => Number(one.tag === 'text') - Number(other.tag === 'text'));
  const inner =
    tag === 'text' ? text.trim() : ordered.map((child, index) => <ShapeView key={index} shape={child} marks={marks} />);
  if (of === undefined) return createElement(tag, attributes, inner);
  const drawn = (
    <g {...attributes} class={`${attributes.class ?? ''} ${marks.classOf?.(of) ?? ''}`}>
      {inner}
      {of.kind === 'state' && <Count shape={shape} count={marks.countOf?.(of.id)} />}
    </g>
  );
  const link = of.kind === 'state' ? marks.linkOf?.(of.id) : undefined;
  return link === undefined ? drawn : <a href={link}>{drawn}</a>;
};

const LETTER = 6.2;

/** A number at the upper right corner of a shape. */
const Count = ({ shape, count }: { readonly shape: Shape; readonly count: number | undefined }) => {
  if (count === undefined) return null;
  const { right, top } = cornerOf(shape);
  const words = grouped(count);
  const width = words.length * LETTER + 10;
  return (
    <g class={`count ${count === 0 ? 'none' : ''}`}>
      <rect x={right - width + 8} y={top - 8} width={width} height={16} rx={8} />
      <text x={right - width / 2 + 8} y={top + 4} text-anchor="middle" font-size="11">
        {words}
      </text>
    </g>
  );
};
