/** The settings in which processes are measured: with V8's compilers, as on the hardened host, and within its limits. */
import { mkdirSync, rmdirSync, writeFileSync, existsSync } from 'node:fs';
import { HARDENED_NODE } from '../../src/build/hardened-node.ts';

const SETTINGS = ['jit', 'jitless', 'box'] as const;
export type Setting = (typeof SETTINGS)[number];

export const flagsOf = (setting: Setting): readonly string[] => (setting === 'jit' ? [] : HARDENED_NODE.flags);

export const envOf = (setting: Setting): Readonly<Record<string, string>> =>
  setting === 'jit' ? {} : HARDENED_NODE.env;

const MEMORY_BYTES = 128 * 1024 * 1024;
const PERIOD_MICROSECONDS = 100_000;
const QUOTA_MICROSECONDS = 10_000;
/** So many times the usual share: it gets its quota also while other tests want all processors. */
const SHARE = 90;

/**
 * A control group with what systemd's `CPUQuota=10%` and `MemoryMax=128M` set, in either version of the interface
 * (kernel documentation: admin-guide/cgroup-v1 and cgroup-v2). Making one takes root.
 */
export class Box {
  readonly #directories: readonly string[];

  private constructor(directories: readonly string[]) {
    this.#directories = directories;
  }

  /** Throws what the system says when it does not allow it. @param memory in bytes */
  static make(name: string, memory = MEMORY_BYTES): Box {
    return existsSync('/sys/fs/cgroup/cgroup.controllers') ? Box.#unified(name, memory) : Box.#separate(name, memory);
  }

  static #unified(name: string, memory: number): Box {
    writeFileSync('/sys/fs/cgroup/cgroup.subtree_control', '+cpu +memory');
    const directory = `/sys/fs/cgroup/${name}`;
    mkdirSync(directory);
    writeFileSync(`${directory}/memory.max`, String(memory));
    writeFileSync(`${directory}/cpu.weight`, String(100 * SHARE));
    writeFileSync(`${directory}/cpu.max`, `${QUOTA_MICROSECONDS} ${PERIOD_MICROSECONDS}`);
    return new Box([directory]);
  }

  static #separate(name: string, bytes: number): Box {
    const memory = `/sys/fs/cgroup/memory/${name}`;
    const cpu = `/sys/fs/cgroup/cpu/${name}`;
    mkdirSync(memory);
    mkdirSync(cpu);
    writeFileSync(`${memory}/memory.limit_in_bytes`, String(bytes));
    writeFileSync(`${cpu}/cpu.shares`, String(1024 * SHARE));
    writeFileSync(`${cpu}/cpu.cfs_period_us`, String(PERIOD_MICROSECONDS));
    writeFileSync(`${cpu}/cpu.cfs_quota_us`, String(QUOTA_MICROSECONDS));
    return new Box([memory, cpu]);
  }

  /** What to run in front of a command so that all of it happens in the box. */
  get entrance(): readonly string[] {
    const enter = this.#directories.map((directory) => `echo $$ > ${directory}/cgroup.procs`).join(' && ');
    return ['/bin/sh', '-c', `${enter} && exec "$@"`, 'sh'];
  }

  /** To be called when nothing runs in it any more. */
  remove(): void {
    for (const directory of this.#directories) rmdirSync(directory);
  }
}

/** The settings that this machine can give; says loudly which one it can't. */
export function availableSettings(): readonly Setting[] {
  try {
    Box.make(`bench-${process.pid}-trial`).remove();
    return SETTINGS;
  } catch (error) {
    process.stderr.write(`\nSKIPPED: everything in the box of 10 % CPU and 128 MiB: ${(error as Error).message}\n`);
    return SETTINGS.filter((setting) => setting !== 'box');
  }
}
