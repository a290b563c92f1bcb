/** The READMEs hold together: links lead somewhere, and what they name is there. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { expect } from 'chai';
import { CLASSES } from '../machines/vocabulary.ts';
import { BUILT_IN_RULES } from '../src/policy/defaults.ts';
import { anchorsOf, codeBlocks, inlineCode, linksIn, READMES, readmeText } from './support/readme.ts';
import { ROOT } from './support/running-service.ts';

const FOLDERS = ['src', 'machines', 'policy', 'systemd', 'test'];
const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  readonly scripts: Readonly<Record<string, string>>;
};

describe('the READMEs', () => {
  it('are all read here', () => {
    const found = FOLDERS.flatMap((folder) =>
      readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
        .filter((path) => path.endsWith('.md') && !path.startsWith('fixtures/'))
        .map((path) => join(folder, path)),
    );
    expect(['README.md', ...found]).to.have.members(READMES);
  });

  it('the first has at most 200 lines', () => {
    expect(readmeText('README.md').trimEnd().split('\n').length).to.be.at.most(200);
  });

  for (const path of [...READMES, 'CHANGELOG.md']) {
    it(`${path} links to what is there`, () => {
      const missing = linksIn(readmeText(path)).filter((link) => !/^https?:/.test(link) && !leadsSomewhere(path, link));
      expect(missing).to.deep.equal([]);
    });
  }

  for (const path of READMES) {
    it(`${path} names files and npm scripts that are there`, () => {
      const text = readmeText(path);
      const named = inlineCode(text).filter((code) => NAMES_FILE.test(code));
      expect(named.filter((file) => !existsSync(join(ROOT, file)))).to.deep.equal([]);
      const run = [...text.matchAll(/npm run ([\w:]+)/g)].map(([, name = '']) => name);
      expect(run.filter((name) => !Object.hasOwn(scripts, name))).to.deep.equal([]);
    });
  }

  it('show the rules that are built in', () => {
    const [, table = ''] = /\n\| class \|.*\n\| --- .*\n((?:\|.*\n)+)/.exec(readmeText('policy/README.md')) ?? [];
    const rows = CLASSES.map((name) => {
      const { auto_contain, default_severity, actions } = BUILT_IN_RULES[name];
      const listed = actions.map((action) => `\`${action}\``).join(', ');
      return `| \`${name}\` | ${auto_contain ? 'yes' : 'no'} | ${default_severity} | ${listed} |\n`;
    });
    expect(table).to.equal(rows.join(''));
  });

  it('leave no command for a shell out of the tests', () => {
    // bundle/readme.process.test.ts runs those of bundles.
    const unread = READMES.filter((path) => path !== 'src/bundle/README.md').filter((path) =>
      codeBlocks(readmeText(path)).some(({ info }) => /^(?:sh|bash|shell)\b/.test(info)),
    );
    expect(unread, 'use console: docs-commands.process.test.ts runs those').to.deep.equal([]);
  });
});

/** `src/x.ts`, `machines/x/` and the like; not what a host has, nor a pattern. */
const NAMES_FILE = new RegExp(String.raw`^(?:${FOLDERS.join('|')}|\.ci)/[\w./-]+$`);

function leadsSomewhere(from: string, link: string): boolean {
  const [file = '', anchor] = link.split('#');
  const target = file === '' ? from : join(dirname(from), file);
  if (relative('.', target).startsWith('..') || !existsSync(join(ROOT, target))) return false;
  if (anchor === undefined) return true;
  return statSync(join(ROOT, target)).isFile() && anchorsOf(readmeText(target)).includes(anchor);
}
