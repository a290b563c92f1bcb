/** Which system calls may be made, by the seccomp profile and by the unit, and which a process makes. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../support/running-service.ts';
import type { UnitFile } from './unit-file.ts';

export interface Profile {
  readonly defaultAction: string;
  readonly defaultErrnoRet: number;
  readonly syscalls: readonly {
    readonly comment: string;
    readonly names: readonly string[];
    readonly action: string;
  }[];
}

export const readProfile = (): Profile =>
  JSON.parse(readFileSync(join(ROOT, 'systemd/seccomp.json'), 'utf8')) as Profile;

export const allowedByProfile = ({ syscalls }: Profile): readonly string[] => syscalls.flatMap(({ names }) => names);

/** What is left by the unit's SystemCallFilter= lines, which begin with what is allowed: systemd.exec(5). */
export function allowedByUnit(unit: UnitFile): ReadonlySet<string> {
  const allowed = new Set<string>();
  for (const line of unit.all('SystemCallFilter')) {
    const taken = line.startsWith('~');
    for (const name of line.replace(/^~/, '').split(/\s+/).flatMap(inGroup)) {
      if (taken) allowed.delete(name);
      else allowed.add(name);
    }
  }
  return allowed;
}

/** The calls in a group of systemd's, those in its own groups among them. */
function inGroup(name: string): readonly string[] {
  if (!name.startsWith('@')) return [name];
  const told = execFileSync('systemd-analyze', ['syscall-filter', '--no-pager', name], { encoding: 'utf8' });
  return [...told.matchAll(/^ +(@?[a-z]\S*)$/gm)].flatMap(([, member = '']) => inGroup(member));
}

/** The calls in what strace(1) wrote with `-f -o`. */
export const madeIn = (trace: string): ReadonlySet<string> =>
  new Set([...trace.matchAll(/^\d+ +([a-z]\w*)\(/gm)].map(([, name = '']) => name));
