/**
 * Adds a principal to the text of an access file. Everything else in it stays as it is written, comments included.
 */
import { ACTIONS, CLASSES, ROLES } from '../../machines/vocabulary.ts';
import { type AccessContent, type Grant, parseAccess, refusedAccess } from './access-file.ts';

/** The text of a new file: until somebody narrows it, the service token keeps every role. */
const NEW_FILE = `# yaml-language-server: $schema=incident-access.schema.json

# Who may do what. After a change: POST /api/v1/reload, or SIGHUP.
version: 1

# Whoever has the service token. Take away what the services that use it don't need: people get tokens of their own.
service_token:
  roles: [${ROLES.join(', ')}]
  sources: any
  classes: any
  actions: any

principals:
`;

/** A principal to be added: what it may do, and the SHA-256 of its token in lower-case hex. */
export type NewPrincipal = Grant & { readonly token_sha256: string };

/**
 * The text of the file with one principal more.
 * @param text the file as it is; undefined for a new one
 * @param file its name, for messages
 * @throws RecorderError `invalid_access` when the file, or what is added, is faulty, and when the name is taken
 */
export function withPrincipal(
  text: string | undefined,
  file: string,
  name: string,
  principal: NewPrincipal,
): { readonly text: string; readonly content: AccessContent } {
  const before = text ?? NEW_FILE;
  if (text !== undefined && Object.hasOwn(parseAccess(text, file).principals, name)) {
    throw refusedAccess([{ file, line: lineOf(text, name), message: `principals.${name}: is there already` }]);
  }
  const lines = before.split('\n');
  const at = lines.findIndex((line) => /^principals:\s*(?:#.*)?$/.test(line));
  const inFlow = lines.findIndex((line) => line.startsWith('principals:'));
  if (at === -1 && inFlow !== -1) {
    const message = `principals: must be written line by line for a principal to be added here; else add it yourself:\n${blockOf(name, principal, '  ')}`;
    throw refusedAccess([{ file, line: inFlow + 1, message }]);
  }
  const indent = /^( +)\S/.exec(lines.slice(at + 1).find((line) => /^ *[^#\s]/.test(line)) ?? '')?.[1] ?? '  ';
  const block = blockOf(name, principal, at === -1 ? '  ' : indent);
  const added =
    at === -1 ? `${before.trimEnd()}\n\nprincipals:\n${block}\n` : lines.toSpliced(at + 1, 0, block).join('\n');
  return { text: added, content: parseAccess(added, file) };
}

function blockOf(
  name: string,
  { roles, sources, classes, actions, token_sha256 }: NewPrincipal,
  indent: string,
): string {
  const members = [
    `roles: ${listed(roles)}`,
    `token_sha256: ${token_sha256}`,
    ...(sources === undefined ? [] : [`sources: ${listed(sources)}`]),
    ...(classes === undefined ? [] : [`classes: ${listed(classes)}`]),
    ...(actions === undefined ? [] : [`actions: ${listed(actions)}`]),
  ];
  return [`${indent}${JSON.stringify(name)}:`, ...members.map((member) => `${indent}${indent}${member}`)].join('\n');
}

/** Words of the vocabulary as they are, all else in quotation marks, as JSON and YAML both read them. */
const listed = (words: readonly string[] | 'any'): string =>
  words === 'any' ? words : `[${words.map((word) => (PLAIN.has(word) ? word : JSON.stringify(word))).join(', ')}]`;

const PLAIN: ReadonlySet<string> = new Set([...ROLES, ...CLASSES, ...ACTIONS]);

const lineOf = (text: string, name: string): number =>
  text.split('\n').findIndex((line) => line.trimStart().replace(/^"/, '').startsWith(name)) + 1;
