/**
 * A control group for one machine alone. systemd-nspawn puts a container into `payload` below its own group, so without
 * this every machine would be in the same one. What a machine that was killed leaves there would then hold for the next:
 * systemd attaches a program of BPF to the group of a unit with IPAddressDeny=, and where two are attached, a packet
 * needs the consent of both.
 */
import { mkdirSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join, relative } from 'node:path';

export class ControlGroup {
  /** One in each hierarchy that systemd uses: the unified one, and its own by name where the others are separate. */
  readonly #directories: readonly string[];

  private constructor(directories: readonly string[]) {
    this.#directories = directories;
  }

  /** Makes it below the group of this process. */
  static make(name: string): ControlGroup {
    const directories = hierarchies().map((directory) => join(directory, name));
    for (const one of directories) mkdirSync(one);
    return new ControlGroup(directories);
  }

  /** What to run in front of a command so that all of it happens in the group. */
  get entrance(): readonly string[] {
    const enter = this.#directories.map((directory) => `echo $$ > '${directory}/cgroup.procs'`).join(' && ');
    return ['/bin/sh', '-c', `${enter} && exec "$@"`, 'sh'];
  }

  /** Removes it and all groups below it. To be called when nothing runs in them any more. */
  remove(): void {
    for (const directory of this.#directories) removeTree(directory);
  }
}

/** Where this process is in each hierarchy that systemd uses (proc_pid_mountinfo(5), cgroups(7)). */
function hierarchies(): readonly string[] {
  const own = new Map(
    readFileSync('/proc/self/cgroup', 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => {
        const [, hierarchy, path] = /^\d+:([^:]*):(.*)$/.exec(line)!;
        return [hierarchy!, path!];
      }),
  );
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .trimEnd()
    .split('\n')
    .flatMap((line) => {
      const [mount = '', kind = ''] = line.split(' - ');
      const [, , , root = '/', place = ''] = mount.split(' ');
      const [type, , options = ''] = kind.split(' ');
      const isUnified = type === 'cgroup2';
      if (!isUnified && !(type === 'cgroup' && options.split(',').includes('name=systemd'))) return [];
      return [join(place, relative(root, own.get(isUnified ? '' : 'name=systemd') ?? root))];
    });
}

/** Files of a control group can't be removed, and go with it. */
function removeTree(directory: string): void {
  for (const entry of readdirSync(directory, { withFileTypes: true }))
    if (entry.isDirectory()) removeTree(join(directory, entry.name));
  rmdirSync(directory);
}
