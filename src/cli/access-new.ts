/** `incident-recorder access new`: makes a token for a new principal, prints it once, and stores its hash. */
import { createHash, randomBytes } from 'node:crypto';
import { chmodSync, chownSync, existsSync, readFileSync, realpathSync, statSync } from 'node:fs';
import type { Command } from 'commander';
import { ACTIONS, CLASSES, ROLES } from '../../machines/vocabulary.ts';
import type { Grant } from '../access/access-file.ts';
import { replaceFile } from '../durable-file.ts';
import { USUAL_ACCESS_PATH } from './access-check.ts';
import { writeJson, writeLines, writeNotice } from './terminal/output.ts';

interface Options {
  readonly role: readonly string[];
  readonly source?: readonly string[];
  readonly class?: readonly string[];
  readonly action?: readonly string[];
  readonly file: string;
  readonly json?: true;
}

/** In bytes. */
const TOKEN_LENGTH = 32;
/** Closed to others: with the hash of a token one can pose as the recorder to whoever has the token. */
const NEW_MODE = 0o640;

const DESCRIPTION = `Makes a token for a new principal, prints it, and stores its SHA-256 in the access file. The token is not stored: keep it \
where only its owner can read it. Where there is no access file it makes one, in which the service token keeps every role.`;

export const define = (command: Command): Command =>
  command
    .description(DESCRIPTION)
    .argument('<name>', 'of the principal: a person or a service')
    .addOption(command.createOption('--role <role...>', 'what it may do').choices(ROLES).makeOptionMandatory())
    .option('--source <source...>', 'what a reporter may report as, or any')
    .addOption(command.createOption('--class <class...>', 'what a reporter may report').choices([...CLASSES, 'any']))
    .addOption(
      command.createOption('--action <action...>', 'what an implementer may confirm').choices([...ACTIONS, 'any']),
    )
    .option('--file <path>', 'the access file', process.env.ACCESS_PATH || USUAL_ACCESS_PATH)
    .option('--json', 'print JSON')
    .action(async (name: string, { role, source, class: classes, action, file, json }: Options) => {
      const { withPrincipal } = await import('../access/add-principal.ts');
      const token = randomBytes(TOKEN_LENGTH).toString('base64url');
      const grant = {
        roles: role,
        ...(source && { sources: orAny(source) }),
        ...(classes && { classes: orAny(classes) }),
        ...(action && { actions: orAny(action) }),
        token_sha256: createHash('sha256').update(token).digest('hex'),
      } as Grant & { readonly token_sha256: string };
      const isThere = existsSync(file);
      // A link stays one: the file that it leads to is replaced.
      const written = isThere ? realpathSync(file) : file;
      const before = isThere ? readFileSync(file, 'utf8') : undefined;
      const { text } = withPrincipal(before, file, name, grant);
      const status = before === undefined ? undefined : statSync(file);
      await replaceFile(written, text, status?.mode ?? NEW_MODE);
      if (status !== undefined) keepOwner(written, status);
      await (json ? writeJson({ name, token, file }) : writeLines([token]));
      writeNotice(`stored in ${file}; it is good after a reload: systemctl reload secure-ai-incident-recorder`);
      if (status === undefined) {
        writeNotice(`the recorder must be able to read it: chgrp incident-recorder ${file}`);
      }
    });

const orAny = (words: readonly string[]): readonly string[] | 'any' => (words.includes('any') ? 'any' : words);

function keepOwner(file: string, { mode, uid, gid }: ReturnType<typeof statSync> & object): void {
  const made = statSync(file);
  if (made.uid !== uid || made.gid !== gid) chownSync(file, Number(uid), Number(gid));
  chmodSync(file, Number(mode) & 0o7777);
}
