import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { ROOT } from '../../support/running-service.ts';
import { UNIT } from '../../systemd/support/unit-file.ts';
import type { Machine } from './machine.ts';

export const LOG = '/var/lib/secure-ai/logs/incident-recorder-audit.jsonl';
export const POLICY = '/etc/secure-ai/policy/incident-containment.yaml';
export const TOKEN = '/run/secure-ai/service-token';

/** Makes a package of `dist/` as it is, in this directory; gives its path. */
export function makePackage(directory: string, which: 'recorder' | 'fleet' = 'recorder'): string {
  mkdirSync(directory, { recursive: true });
  const args = [join(ROOT, 'src/build/package.ts'), `--${which}`, directory];
  return execFileSync(process.execPath, args, { encoding: 'utf8' }).trimEnd();
}

let directory: string | undefined;

/** A directory for the packages of this run alone: another run on this machine has another `dist/`. */
export function ownDirectory(): string {
  if (directory === undefined) {
    const own = mkdtempSync(join(tmpdir(), 'incident-recorder-packages-'));
    process.once('exit', () => rmSync(own, { recursive: true, force: true }));
    directory = own;
  }
  return directory;
}

let made: string | undefined;

/** The package that the tests of this run install. */
function builtPackage(): string {
  made ??= makePackage(ownDirectory());
  return made;
}

/** The recorder on a machine, as an operator there meets it. */
export class Recorder {
  readonly #machine: Machine;

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** Unpacks the package in /root; gives the directory. */
  unpack(): string {
    const file = builtPackage();
    this.#machine.put(`/root/${basename(file)}`, { file });
    this.#machine.run(`tar xzf ${basename(file)}`);
    return `/root/${basename(file, '.tgz')}`;
  }

  /** Installs it with a token, and waits until it serves. */
  async install(): Promise<void> {
    this.#machine.run(`${this.unpack()}/install.sh`);
    this.makeToken();
    await this.serves();
  }

  makeToken(): void {
    this.#machine.run(
      `token=${TOKEN}
      (umask 077; openssl rand -base64 32 > $token.new; chown incident-recorder:incident-reporters $token.new)
      chmod 0440 $token.new; mv $token.new $token`,
    );
  }

  /** Adds settings to the unit, as an operator does, and starts it again. */
  configure(name: string, settings: string): void {
    this.#machine.put(`/etc/systemd/system/${UNIT}.d/${name}.conf`, { text: `[Service]\n${settings}\n` });
    this.#machine.run(`systemctl daemon-reload; systemctl restart ${UNIT}`);
  }

  /** Takes every added setting away, and starts the unit again. */
  reset(): void {
    this.#machine.run(`rm -rf /etc/systemd/system/${UNIT}.d; systemctl daemon-reload; systemctl restart ${UNIT}`);
  }

  async serves(): Promise<void> {
    await this.#machine.wait('curl -sf -m 10 http://127.0.0.1:8515/health');
  }

  /** Gives the JSON of an answer. */
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into answers of every shape
  get(path: string): any {
    return JSON.parse(this.#machine.run(`curl -sf 'http://127.0.0.1:8515${path}'`));
  }

  /** Sends a command with the token; gives the status and the JSON of the answer. */
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into answers of every shape
  post(path: string, body: object, token = TOKEN): { readonly status: number; readonly json: any } {
    const said = this.#machine.run(
      `sed 's/^/Authorization: Bearer /' ${token} | curl -s -H @- -w '%{stderr}%{http_code}' \
        --json '${JSON.stringify(body)}' http://127.0.0.1:8515${path} 2>&1`,
    );
    const [, json = '', status = ''] = /^(.*)(\d{3})$/s.exec(said) ?? [];
    return { status: Number(status), json: JSON.parse(json) };
  }

  report(description: string) {
    return this.post('/api/v1/incidents/report', { class: 'prompt_injection', source: 'system-test', description });
  }

  /** A property of the unit, as systemctl shows it. */
  property(name: string): string {
    return this.#machine.run(`systemctl show --property=${name} --value ${UNIT}`);
  }

  /** The messages that the process wrote since its last start. */
  get journal(): readonly string[] {
    const pid = this.property('MainPID');
    return this.#machine.run(`journalctl --no-pager --output=cat _PID=${pid}`).split('\n');
  }
}
