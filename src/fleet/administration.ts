/** What is done to machines from the command line: beside the database, or by the fleet that has it open. */
import type { Enrolment } from './enrolment.ts';
import type { Ingest } from './ingest/ingest.ts';

export const ADMINISTRATION = ['enrol', 'rotate', 'revoke', 'rename', 'rebuild'] as const;

/** What carries them out. */
export interface Administered {
  readonly enrolment: Enrolment;
  readonly ingest: Ingest;
}

export interface AdministrationRequest {
  readonly command: (typeof ADMINISTRATION)[number];
  /** Of the machine: its own, or the one that it is shown with. */
  readonly name: string;
  /** For `rename`. */
  readonly newName?: string;
  /** For `enrol`. */
  readonly labels: Readonly<Record<string, string>>;
  readonly who: string;
}

/**
 * Carries a command out.
 * @param note gets what else is to be known, a line at a time
 * @returns what the command prints
 * @throws RecorderError `not_found` for a machine that the fleet does not know; like `Enrolment`
 */
export async function administer(
  { enrolment, ingest }: Administered,
  { command, name, newName = '', labels, who }: AdministrationRequest,
  note: (line: string) => void,
): Promise<string | undefined> {
  if (command === 'enrol') {
    const secret = await enrolment.invite(name, labels, who);
    note(useOf(name));
    return secret;
  }
  const machine = await enrolment.named(name);
  switch (command) {
    case 'rotate': {
      const secret = await enrolment.rotate(machine, who);
      note(useOf(machine));
      return secret;
    }
    case 'revoke':
      await enrolment.revoke(machine, who);
      note(`${machine} has no token any more; what it has sent stays. To admit it again: fleet enrol ${machine}`);
      return undefined;
    case 'rename':
      await enrolment.rename(machine, newName, who);
      note(`${machine} is shown as ${newName}; its own name stays in addresses and anchors`);
      return undefined;
    case 'rebuild':
      await ingest.rebuild(machine, (log, built, through) => note(`${log}: ${built} of ${through}`));
      return undefined;
    default:
      return command satisfies never;
  }
}

/** What to do with the secret of a machine, by its own name. */
const useOf = (machine: string): string =>
  'That is the one-time secret, good for a week. On the machine, where it is asked for: ' +
  `incident-recorder ship --enrol --fleet URL --machine ${machine}`;
