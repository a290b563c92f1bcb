/** What a drawing looks like, read from its SVG alone: boxes, labels, and the strokes of its lines. */

export interface Box {
  readonly name: string;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** A straight piece of a line. */
export interface Stroke {
  readonly ids: readonly string[];
  readonly from: readonly [x: number, y: number];
  readonly to: readonly [x: number, y: number];
}

const numberOf = (attributes: string, name: string): number =>
  Number(new RegExp(` ${name}="(-?[\\d.]+)"`).exec(` ${attributes}`)?.[1] ?? 0);

const boxOf = (name: string, attributes: string): Box => ({
  name,
  x: numberOf(attributes, 'x'),
  y: numberOf(attributes, 'y'),
  width: numberOf(attributes, 'width'),
  height: numberOf(attributes, 'height'),
});

const boxesOf = (svg: string, pattern: RegExp): readonly Box[] =>
  [...svg.matchAll(pattern)].map(([, name = '', attributes = '']) => boxOf(name, attributes));

export const statesIn = (svg: string): readonly Box[] =>
  boxesOf(svg, /data-state="([^"]*)"><title>[^<]*<\/title><rect class="box" ([^/]*)\/>/g);
export const labelsIn = (svg: string): readonly Box[] =>
  boxesOf(svg, /<g class="label[^"]*" data-transition="([^"]*)"[^>]*><title>[^<]*<\/title><rect ([^/]*)\/>/g);
export const rowsIn = (svg: string): readonly Box[] =>
  boxesOf(
    svg,
    /<g class="internal" data-transition="([^"]*)"[^>]*><title>[^<]*<\/title><rect class="pill" ([^/]*)\/>/g,
  );
export const chipsIn = (svg: string): readonly Box[] =>
  boxesOf(svg, /<g class="chip" data-action="([^"]*)"[^>]*><title>[^<]*<\/title><rect ([^/]*)\/>/g);

/** The lines of tails and heads, with round corners as their two legs. */
export function strokesIn(svg: string): readonly Stroke[] {
  const edges = svg.matchAll(
    /<g class="edge (?:head|tail)[^"]*" data-transition="([^"]*)"[^>]*>(?:<path class="halo"[^>]*>)?<path class="line" d="([^"]*)"/g,
  );
  return [...edges].flatMap(([, ids = '', d = '']) => {
    const points = [...d.matchAll(/(-?[\d.]+) (-?[\d.]+)/g)].map(([, x, y]) => [Number(x), Number(y)] as const);
    return points.slice(1).map((to, index) => ({ ids: ids.split(' '), from: points[index]!, to }));
  });
}

/** The boxes that touch each other, in pairs, unless one is in the other. */
export const overlaps = (boxes: readonly Box[]): readonly string[] =>
  boxes.flatMap((one, index) =>
    boxes
      .slice(index + 1)
      .filter((other) => meet(one, other) && !isIn(one, other) && !isIn(other, one))
      .map((other) => `${one.name} and ${other.name}`),
  );

const meet = (one: Box, other: Box): boolean =>
  one.x < other.x + other.width &&
  other.x < one.x + one.width &&
  one.y < other.y + other.height &&
  other.y < one.y + one.height;

export const isIn = (one: Box, other: Box): boolean =>
  one.x > other.x &&
  one.y > other.y &&
  one.x + one.width < other.x + other.width &&
  one.y + one.height < other.y + other.height;

/** Whether a stroke comes closer to a box than this. */
export const isNear = ({ from, to }: Stroke, box: Box, distance: number): boolean => {
  const [left, right] = [Math.min(from[0], to[0]), Math.max(from[0], to[0])];
  const [top, bottom] = [Math.min(from[1], to[1]), Math.max(from[1], to[1])];
  return (
    right > box.x - distance &&
    left < box.x + box.width + distance &&
    bottom > box.y - distance &&
    top < box.y + box.height + distance
  );
};
