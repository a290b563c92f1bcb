/**
 * The statecharts as pictures for the READMEs: the drawings of the service, as files. `npm run chart` writes them to
 * `machines/`.
 */
import { writeFileSync } from 'node:fs';
import { drawings } from '../statecharts/drawings.ts';
import { chartSvg } from '../statecharts/svg.ts';

/** The SVG of each machine, by the name of its file: the same text for the same machine, on every computer. */
export const chartFiles = async (): Promise<Readonly<Record<string, string>>> =>
  Object.fromEntries(
    Object.entries(await drawings()).map(([name, drawing]) => [`${name}.svg`, chartSvg(name, drawing)]),
  );

if (import.meta.main) {
  for (const [file, svg] of Object.entries(await chartFiles())) {
    writeFileSync(new URL(`../../machines/${file}`, import.meta.url), svg);
  }
}
