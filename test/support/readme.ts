/** The READMEs as they are in the repository, taken apart. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './running-service.ts';

export const READMES = [
  'README.md',
  'machines/README.md',
  'policy/README.md',
  'src/README.md',
  'src/audit/README.md',
  'src/bundle/README.md',
  'src/client/README.md',
  'src/fleet/README.md',
  'src/fleet/api/README.md',
  'src/ship/README.md',
  'systemd/README.md',
  'test/README.md',
];

export const readmeText = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

export interface CodeBlock {
  /** What is written after the opening fence: a language, and for some a file name. */
  readonly info: string;
  readonly text: string;
}

export const codeBlocks = (markdown: string): readonly CodeBlock[] =>
  [...markdown.matchAll(/^```(.*)\n([\s\S]*?)^```$/gm)].map(([, info = '', text = '']) => ({ info, text }));

/** The text outside of code blocks, and without inline code. */
const proseOf = (markdown: string): string => withoutBlocks(markdown).replaceAll(/`[^`\n]*`/g, '');

/** What is written as inline code. */
export const inlineCode = (markdown: string): readonly string[] =>
  [...withoutBlocks(markdown).matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code);

const withoutBlocks = (markdown: string): string => markdown.replaceAll(/^```.*\n[\s\S]*?^```$/gm, '');

/** Where links and pictures lead, as they are written. */
export const linksIn = (markdown: string): readonly string[] =>
  [...proseOf(markdown).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);

/** The anchors of its headings, as repository pages make them. */
export const anchorsOf = (markdown: string): readonly string[] =>
  [...withoutBlocks(markdown).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
