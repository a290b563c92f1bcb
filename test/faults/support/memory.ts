import { readFileSync } from 'node:fs';
import type { RunningService } from '../../support/running-service.ts';

/** The most that a service on the hardened host may have, in MiB: of the unit's 128, which also hold pages of files. */
export const MOST_MEBIBYTES = 110;

/** The most memory that it had, in MiB, but for what is mapped from files and can be had again from there. */
export const mostOwned = ({ process: { pid } }: RunningService): number => {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const field = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) / 1024;
  return field('VmHWM') - field('RssFile');
};
