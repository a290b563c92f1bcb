import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../support/running-service.ts';

export const UNIT = 'secure-ai-incident-recorder.service';
export const SOCKET = 'secure-ai-incident-recorder.socket';
export const SHIPPER = 'secure-ai-incident-shipper.service';
export const SHIPPER_PATH = join(ROOT, 'systemd', SHIPPER);
export const SOCKET_PATH = join(ROOT, 'systemd', SOCKET);
export const UNIT_PATH = join(ROOT, 'systemd', UNIT);

/** The settings of a unit file or a drop-in, as systemd.syntax(7) has them: by key, in their order, without comments. */
export class UnitFile {
  readonly #settings: readonly (readonly [key: string, value: string])[];

  private constructor(settings: readonly (readonly [string, string])[]) {
    this.#settings = settings;
  }

  static read(path = UNIT_PATH): UnitFile {
    const lines = readFileSync(path, 'utf8').replaceAll('\\\n', ' ').split('\n');
    return new UnitFile(
      lines
        .filter((line) => /^\w+=/.test(line))
        .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    );
  }

  /** Every value that a key was given. */
  all(key: string): readonly string[] {
    return this.#settings.filter(([name]) => name === key).map(([, value]) => value);
  }

  /** The value of a key that is given once. */
  one(key: string): string {
    const [value, ...more] = this.all(key);
    if (value === undefined || more.length > 0) throw new Error(`${key} is not given once`);
    return value;
  }

  /** The command that is started, word by word. */
  get command(): readonly string[] {
    return this.all('ExecStart').at(-1)!.trim().split(/\s+/);
  }

  /** Node's own options, in the command that is started. */
  get nodeFlags(): readonly string[] {
    const { command } = this;
    return command.slice(command.findIndex((word) => word.endsWith('/bin/node') && !word.includes(':')) + 1, -1);
  }

  /** The rules for Landlock that setpriv is given: rights by path. */
  get landlockRules(): ReadonlyMap<string, readonly string[]> {
    const rules = this.command.filter((_, n) => this.command[n - 1] === '--landlock-rule');
    return new Map(
      rules.map((rule) => {
        const [, rights = '', path = ''] = rule.split(':');
        return [path, rights.split(',')];
      }),
    );
  }

  /** The variables that the process is given. */
  get environment(): Readonly<Record<string, string>> {
    const assignments = this.all('Environment').flatMap((line) => line.split(/\s+/));
    return Object.fromEntries(assignments.map((one) => one.split('=') as [string, string]));
  }
}
