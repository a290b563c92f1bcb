/** `incident-recorder access check`: whether the recorder would take an access file, and who may do what by it. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import type { Command } from 'commander';
import { ROLES } from '../../machines/vocabulary.ts';
import type { AccessContent, Grant } from '../access/access-file.ts';
import { SERVICE_TOKEN } from '../domain/caller.ts';
import { EXIT } from './exit.ts';
import { writeJson, writeLines, writeNotice } from './terminal/output.ts';
import { printable } from './terminal/printable.ts';
import { table } from './terminal/table.ts';

/** Where the recorder looks for it. */
export const USUAL_ACCESS_PATH = '/etc/secure-ai/policy/incident-access.yaml';

const DESCRIPTION = `Checks an access file, and prints every fault with its line, or who may do what. Needs no recorder. Files with tokens are \
not read: the recorder looks at those when it starts and at each reload.`;

export const define = (command: Command): Command =>
  command
    .description(DESCRIPTION)
    .argument('[file]', 'an access file in YAML', process.env.ACCESS_PATH || USUAL_ACCESS_PATH)
    .option('--json', 'print JSON')
    .action(async (file: string, { json }: { readonly json?: true }) => {
      const { parseAccess } = await import('../access/access-file.ts');
      if (!existsSync(file)) {
        throw new Error(`no access file at ${file}; make one: incident-recorder access new <name> --role <role...>`);
      }
      const text = readFileSync(file, 'utf8');
      try {
        const content = parseAccess(text, file);
        const notes = [...notesOnMode(file), ...notesOn(content)];
        if (json) return await writeJson({ file, valid: true, digest: content.digest, notes });
        await writeLines([
          printable(`${file}: valid, digest ${content.digest}`),
          ...tableOf(content),
          ...fleetOf(content),
        ]);
        return notes.forEach((note) => writeNotice(`note: ${note}`));
      } catch (error) {
        const { fields } = error as { readonly fields?: { readonly faults?: readonly object[] } };
        if (fields?.faults === undefined) throw error;
        process.exitCode = EXIT.refused;
        if (json) return writeJson({ file, valid: false, faults: fields.faults });
        return writeNotice((error as Error).message);
      }
    });

const NOTHING: Grant = { roles: [] };

const tableOf = ({ service_token = NOTHING, principals }: AccessContent): readonly string[] =>
  table(
    [
      { header: 'PRINCIPAL', value: ([name]) => name },
      { header: 'ROLES', value: ([, { roles }]) => roles.join(', ') || 'none' },
      { header: 'BOUND TO', value: ([, grant]) => boundsOf(grant), least: 20 },
    ],
    [[SERVICE_TOKEN, service_token] as const, ...Object.entries(principals)],
  );

/** What may be done from the fleet. */
const fleetOf = ({ fleet_key, fleet }: AccessContent): readonly string[] =>
  fleet_key === undefined
    ? []
    : [
        `fleet ${fleet_key.slice(0, fleet_key.indexOf('+'))}: ` +
          (fleet === undefined
            ? 'its anchors are taken, its commands are not'
            : `as machine ${fleet.machine}, its commands in the roles ${fleet.roles.join(', ')}` +
              (fleet.actions === undefined || fleet.actions === 'any' ? '' : `, for ${fleet.actions.join(', ')}`)),
      ].map(printable);

const boundsOf = ({ sources, classes, actions }: Grant): string =>
  Object.entries({ sources, classes, actions })
    .flatMap(([what, bound]) => (bound === undefined ? [] : [`${what}: ${bound === 'any' ? bound : bound.join(', ')}`]))
    .join('; ');

/** The recorder takes no file that everybody can read: the hash of a token proves the recorder to whoever has the token. */
const notesOnMode = (file: string): readonly string[] =>
  (statSync(file).mode & 0o007) === 0
    ? []
    : [`the recorder refuses it, since it is open to every user of this machine; run: chmod o-rwx ${file}`];

/** What is allowed, and probably not meant. */
function notesOn({ service_token = NOTHING, principals }: AccessContent): readonly string[] {
  const all = [service_token, ...Object.values(principals)];
  const unheld = ROLES.filter((role) => !['reader', 'anchor'].includes(role)).filter(
    (role) => !all.some(({ roles }) => roles.includes(role)),
  );
  const personal = service_token.roles.filter((role) => ['operator', 'recovery', 'auditor', 'admin'].includes(role));
  return [
    ...unheld.map((role) => `nobody has the role ${role}`),
    ...(personal.length === 0
      ? []
      : [
          `whoever has the service token is ${personal.join(', ')}, and is whoever they say: give people tokens of their own`,
        ]),
  ];
}
