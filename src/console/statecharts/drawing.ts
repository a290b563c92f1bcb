/**
 * The service's drawing of a statechart, parsed into shapes that the page renders.
 *
 * The drawing is an SVG with a style sheet of its own. The page's policy forbids that, and forbids to turn text into
 * markup. So the text is parsed here: only known shapes and their geometry are used, and the colours come from the page.
 */
import { readAs } from '../operator.ts';
import { get, Refusal, refuse } from '../request.ts';
import { isFleet } from '../service.ts';

export interface Shape {
  readonly tag: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly text: string;
  readonly children: readonly Shape[];
  /** The state or transition that this group of shapes shows. */
  readonly of?: ChartPart;
}

export type ChartPart =
  /** `contained.delivering` */
  | { readonly kind: 'state'; readonly id: string }
  /** Where each transition comes from, and its event: `open:contain`. */
  | { readonly kind: 'transition'; readonly ids: readonly string[] }
  /** The containment action of a chip. */
  | { readonly kind: 'action'; readonly action: string };

const TAGS = new Set(['svg', 'g', 'path', 'circle', 'rect', 'text', 'title']);

/** Elements whose contents are words. */
const WORDS = new Set(['text', 'title']);

const ATTRIBUTES = new Set(
  (
    'viewBox transform class d x y cx cy r rx width height text-anchor ' +
    'data-state data-transition data-event data-from data-action data-directive'
  ).split(' '),
);

/** Where the service has a statechart. At the fleet `/api/v1/machines` are what it watches. */
export const addressOfChart = (machine: string, format: string): string =>
  `/api/v1/${isFleet ? 'statecharts' : 'machines'}/${machine}?format=${format}`;

const drawings = new Map<string, Promise<Shape>>();

/** The drawing of a machine, read once, because it can't change while the service runs. @throws Refusal */
export const drawingOf = (machine: string): Promise<Shape> => {
  const known = drawings.get(machine);
  if (known !== undefined) return known;
  const drawing = fetchDrawing(addressOfChart(machine, 'svg'));
  drawings.set(machine, drawing);
  drawing.catch(() => drawings.delete(machine));
  return drawing;
};

const fetchDrawing = async (path: string): Promise<Shape> => {
  const text = await readAs(async (token) => {
    const response = await get(path, { accept: 'image/svg+xml', token });
    await refuse(response);
    return response.text();
  });
  return readDrawing(text);
};

interface Growing extends Shape {
  text: string;
  readonly children: Growing[];
}

/** A tag with its attributes, or the text between two tags. */
const TOKEN = /<(\/?)([a-z]+)((?:\s+[\w:-]+="[^"]*")*)\s*(\/?)>|([^<]+)/gi;
const ATTRIBUTE = /([\w:-]+)="([^"]*)"/g;

/** Parses the SVG of a chart. Unknown elements are left out with their contents. @throws Refusal when it is no SVG */
export const readDrawing = (svg: string): Shape => {
  const top: Growing = { tag: 'top', attributes: {}, text: '', children: [] };
  const around = [top];
  for (const [, slash, tag = '', attributes = '', empty, words] of svg.matchAll(TOKEN)) {
    const within = around.at(-1)!;
    if (words !== undefined) within.text += WORDS.has(within.tag) ? plain(words) : '';
    else if (slash === '/') around.pop();
    else {
      const shape = shapeOf(tag, attributes);
      if (TAGS.has(tag)) within.children.push(shape);
      if (empty === '') around.push(shape);
    }
  }
  const drawing = top.children[0];
  if (drawing === undefined) throw new Refusal(0, 'the chart could not be read');
  return drawing;
};

const shapeOf = (tag: string, text: string): Growing => {
  const given = [...text.matchAll(ATTRIBUTE)].map(([, name = '', value = '']) => [name, plain(value)] as const);
  const attributes = Object.fromEntries(given.filter(([name]) => ATTRIBUTES.has(name)));
  const part = partOf(attributes);
  return { tag, attributes, text: '', children: [], ...(part !== undefined && { of: part }) };
};

const partOf = (attributes: Readonly<Record<string, string>>): ChartPart | undefined => {
  const { 'data-state': id, 'data-transition': ids, 'data-action': action } = attributes;
  if (id !== undefined) return { kind: 'state', id };
  if (ids !== undefined) return { kind: 'transition', ids: ids.split(' ') };
  return action === undefined ? undefined : { kind: 'action', action };
};

const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

const plain = (text: string): string =>
  text.replaceAll(/&(?:#(\d+)|([a-z]+));/g, (_, code: string | undefined, name: string) =>
    code === undefined ? (ENTITIES[name] ?? '') : String.fromCodePoint(Number(code)),
  );

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** The box of a state, for what is put beside its name, and for what brings it into view. */
export const boxOf = (state: Shape): Box | undefined => {
  const box = state.children.find(({ attributes }) => attributes.class === 'box');
  if (box === undefined) return undefined;
  const { x, y, width, height } = box.attributes;
  return { x: Number(x), y: Number(y), width: Number(width), height: Number(height) };
};

/** Whether the name of a state is at the left of a title row; otherwise it is in the middle of the box. */
export const hasTitleRow = (state: Shape): boolean =>
  state.children.some(({ attributes }) => attributes.class === 'rule');

/** All shapes in a shape. */
export const shapesIn = (shape: Shape): readonly Shape[] => [shape, ...shape.children.flatMap(shapesIn)];

/** The words of each label and row, with the state that each row is in. */
export const sentencesOf = (drawing: Shape): readonly { readonly ids: readonly string[]; readonly text: string }[] =>
  shapesIn(drawing).flatMap(({ of, children, attributes }) => {
    const title = children.find(({ tag }) => tag === 'title');
    if (of?.kind !== 'transition' || title === undefined) return [];
    const isRow = attributes.class?.startsWith('internal') === true;
    return [{ ids: of.ids, text: isRow ? `in ${of.ids[0]!.split(':')[0]}: ${title.text}` : title.text }];
  });
