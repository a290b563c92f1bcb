/**
 * A Debian that is booted with systemd in a container, for the tests of one file.
 *
 * Its files are an overlay over the cached Debian, its network a loopback of its own, and so is its control group. It is
 * not registered, because the host may lack a systemd to register with, so commands enter its namespaces by nsenter(1).
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { MINUTE } from '../../../src/clock.ts';
import { ControlGroup } from './control-group.ts';
import { debian } from './debian.ts';

/** Calls that the container's own filter would refuse: Landlock's, and those of systemd's rules for the network. */
const CALLS = 'landlock_create_ruleset landlock_add_rule landlock_restrict_self bpf';
const BOOTED = /^(running|degraded)$/m;
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** How long something in it may take. */
const PATIENCE = 1 * MINUTE;
const PAUSE = 50;

export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class Machine {
  readonly #directory: string;
  readonly #root: string;
  readonly #group: ControlGroup;
  readonly #container: ChildProcess;
  #init = 0;

  private constructor(directory: string, root: string, group: ControlGroup, container: ChildProcess) {
    this.#directory = directory;
    this.#root = root;
    this.#group = group;
    this.#container = container;
  }

  /** Boots, and waits until systemd says that all of it has started. */
  static async boot(): Promise<Machine> {
    const lower = debian();
    const directory = mkdtempSync(join(tmpdir(), 'incident-recorder-machine-'));
    // In memory: an overlay can't have its changes on another one, which is what a container for builds may be on.
    execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', directory]);
    const [root, changes, work] = ['root', 'changes', 'work'].map((name) => join(directory, name)) as [
      string,
      string,
      string,
    ];
    for (const one of [root, changes, work]) mkdirSync(one);
    const layers = `lowerdir=${lower.replaceAll(/[\\:,]/g, String.raw`\$&`)},upperdir=${changes},workdir=${work}`;
    execFileSync('mount', ['-t', 'overlay', 'overlay', '-o', layers, root]);

    const log = openSync(join(directory, 'boot.log'), 'w');
    const group = ControlGroup.make(basename(directory));
    const [shell, ...entrance] = group.entrance as [string, ...string[]];
    const container = spawn(
      shell,
      [
        ...entrance,
        'systemd-nspawn',
        `--directory=${root}`,
        `--machine=${basename(directory)}`,
        '--register=no',
        '--keep-unit',
        '--boot',
        '--private-network',
        '--console=read-only',
        `--system-call-filter=${CALLS}`,
      ],
      { stdio: ['ignore', log, log], env: { ...process.env, SYSTEMD_NSPAWN_UNIFIED_HIERARCHY: '1' } },
    );
    closeSync(log);
    const machine = new Machine(directory, root, group, container);
    try {
      await machine.#waitForInit();
    } catch (error) {
      await machine.end();
      throw error;
    }
    return machine;
  }

  /** Runs a script of sh in it, as root, and gives what came of it. */
  try(script: string): Outcome {
    const { status, stdout, stderr } = spawnSync('nsenter', this.#entering(script), { encoding: 'utf8' });
    return { status, stdout, stderr };
  }

  /** Runs a script of sh in it that has to succeed, and gives what it wrote, without the last line's end. */
  run(script: string): string {
    const { status, stdout, stderr } = this.try(script);
    if (status !== 0) throw new Error(`${script}\nended with ${status}: ${stderr}${stdout}`);
    return stdout.replace(/\n$/, '');
  }

  /** Runs a script of sh again and again until it succeeds; throws with the journal's end when it never does. */
  async wait(script: string): Promise<void> {
    const since = performance.now();
    while (this.try(script).status !== 0) {
      if (performance.now() - since > PATIENCE) {
        throw new Error(`never came true: ${script}\n${this.run('journalctl --no-pager --lines=30')}`);
      }
      await pause(PAUSE);
    }
  }

  /** Puts a file of the host, or a text, into it. */
  put(path: string, from: { readonly file: string } | { readonly text: string }): void {
    const inside = join(this.#root, path);
    mkdirSync(dirname(inside), { recursive: true });
    if ('file' in from) copyFileSync(from.file, inside);
    else writeFileSync(inside, from.text);
  }

  /** Ends it and takes everything away. */
  async end(): Promise<void> {
    if (this.#container.exitCode === null && this.#container.signalCode === null) {
      const exited = once(this.#container, 'exit');
      // The end of its first process is the end of all; systemd-nspawn, ended before, would leave them behind.
      if (this.#init > 0) process.kill(this.#init, 'SIGKILL');
      else this.#container.kill();
      await exited;
    }
    this.#group.remove();
    for (const mounted of [this.#root, this.#directory]) spawnSync('umount', ['--lazy', mounted]);
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #entering(script: string): string[] {
    const command = ['/usr/bin/env', '-i', `PATH=${PATH}`, 'HOME=/root', 'LANG=C.UTF-8', 'sh', '-c', script];
    return ['--target', String(this.#init), '--all', '--wdns=/root', '--', ...command];
  }

  /** The container's first process is the one that systemd-nspawn has forked, and that becomes its systemd. */
  async #waitForInit(): Promise<void> {
    const { pid } = this.#container;
    const since = performance.now();
    while (!(this.#init > 0 && BOOTED.test(this.try('systemctl is-system-running').stdout))) {
      if (this.#container.exitCode !== null || performance.now() - since > PATIENCE) {
        throw new Error(`it did not boot: ${readFileSync(join(this.#directory, 'boot.log'), 'utf8').slice(-2000)}`);
      }
      await pause(PAUSE);
      this.#init = Number.parseInt(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8'), 10);
    }
  }
}

/** Boots a machine before the tests of this `describe` and ends it after them. */
export function bootedMachine(): () => Machine {
  let machine: Machine;
  before(async () => {
    machine = await Machine.boot();
  });
  after(() => machine?.end());
  return () => machine;
}
