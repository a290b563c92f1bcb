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
  if (command === 'enrol') return enrolment.invite(name, labels, who);
  const machine = await enrolment.named(name);
  switch (command) {
    case 'rotate': {
      const secret = await enrolment.rotate(machine, who);
      if (machine !== name) note(`${name} is the machine ${machine}: ship --enrol --machine ${machine}`);
      return secret;
    }
    case 'revoke':
      await enrolment.revoke(machine, who);
      return undefined;
    case 'rename':
      await enrolment.rename(machine, newName, who);
      return undefined;
    case 'rebuild':
      await ingest.rebuild(machine, (log, built, through) => note(`${log}: ${built} of ${through}`));
      return undefined;
    default:
      return command satisfies never;
  }
}
