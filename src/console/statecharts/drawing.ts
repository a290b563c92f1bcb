/**
 * The service's drawing of a statechart, parsed into shapes that the page renders.
 *
 * The drawing is an SVG with a style sheet of its own. The page's policy forbids that, and forbids to turn text into
 * markup. So the text is parsed here: only known shapes and their geometry are used, and the colours come from the page.
 */
import { readAs } from '../operator.ts';
import { get, Refusal, refuse } from '../request.ts';

export interface Shape {
  readonly tag: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly text: string;
  readonly children: readonly Shape[];
  /** The state or transition that this group of shapes shows. */
  readonly of?: ChartPart;
}

export interface ChartPart {
  readonly kind: 'state' | 'transition';
  /** `contained.delivering`, or where a transition comes from and its event: `open:contain`. */
  readonly id: string;
}

const TAGS = new Set(['svg', 'g', 'path', 'polygon', 'polyline', 'ellipse', 'circle', 'rect', 'line', 'text']);

const ATTRIBUTES = new Set(
  'viewBox transform class d points x y x1 y1 x2 y2 cx cy r rx ry width height text-anchor'.split(' '),
);

const drawings = new Map<string, Promise<Shape>>();

/** The drawing of a machine, read once, because it can't change while the service runs. @throws Refusal */
export const drawingOf = (machine: string): Promise<Shape> => {
  const known = drawings.get(machine);
  if (known !== undefined) return known;
  const drawing = fetchDrawing(`/api/v1/machines/${machine}?format=svg`);
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
    if (words !== undefined) within.text += plain(words);
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
  const id = given.find(([name]) => name === 'data-id')?.[1];
  return {
    tag,
    attributes: Object.fromEntries(given.filter(([name]) => ATTRIBUTES.has(name))),
    text: '',
    children: [],
    ...(id !== undefined && { of: { kind: id.includes(':') ? 'transition' : 'state', id } }),
  };
};

const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

const plain = (text: string): string =>
  text.replaceAll(/&(?:#(\d+)|([a-z]+));/g, (_, code: string | undefined, name: string) =>
    code === undefined ? (ENTITIES[name] ?? '') : String.fromCodePoint(Number(code)),
  );

/** The upper right corner of a shape, to put something there. */
export const cornerOf = (shape: Shape): { readonly right: number; readonly top: number } => {
  const numbers = [shape, ...shape.children].flatMap(({ attributes: { points, d } }) =>
    ((points ?? d ?? '').match(/-?\d+(?:\.\d+)?/g) ?? []).map(Number),
  );
  return {
    right: Math.max(...numbers.filter((_, index) => index % 2 === 0)),
    top: Math.min(...numbers.filter((_, index) => index % 2 === 1)),
  };
};
