import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { chartFiles } from '../../src/build/chart-files.ts';
import { ROOT } from '../support/running-service.ts';

const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

describe('the pictures of the statecharts', () => {
  it('are what the machines draw now (npm run chart writes them)', async () => {
    for (const [file, svg] of Object.entries(await chartFiles())) expect(read(`machines/${file}`)).to.equal(svg);
  });

  it('are in the READMEs', () => {
    expect(read('README.md')).to.include('](machines/incident.svg)');
    for (const file of ['incident.svg', 'delivery.svg']) expect(read('machines/README.md')).to.include(`](${file})`);
  });

  it('have a background of their own, for light and for dark pages', async () => {
    for (const svg of Object.values(await chartFiles())) {
      expect(svg).to.match(/<rect class="paper" width="\d+" height="\d+" rx="8"\/>/);
      expect(svg).to.match(
        /\.paper, .* \{ fill: #fff \}[^@]*@media screen and \(prefers-color-scheme: dark\) \{\s*\.chart \.paper/,
      );
      // A page that takes it in keeps its own style.
      for (const [rule] of /<style>(.*)<\/style>/s.exec(svg)![1]!.matchAll(/^[^@}\n].*\{/gm)) {
        for (const selector of rule.split(', ')) expect(selector).to.match(/^\.chart /);
      }
      // Other tools know neither.
      expect(svg).not.to.match(/var\(|light-dark\(|color-scheme:(?! dark\))/);
    }
  });
});
