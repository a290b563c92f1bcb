/**
 * A checkout of its own as a reader of the READMEs has it, with the service that `npm start` runs there, and a terminal
 * in it. The program is this repository's; `var` and `policy` are the checkout's.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { ROOT } from './running-service.ts';

const LINKED = ['dist', 'machines', 'node_modules', 'src'];
const COPIED = ['package.json', 'policy'];

/** The port that the READMEs name. */
const PORT = '8515';

export class Checkout {
  readonly directory: string;
  /** What `npm start` printed before it wrote lines of JSON. */
  notice = '';
  /** Where the service listens, host and port. */
  address = '127.0.0.1:0';
  readonly #env: NodeJS.ProcessEnv;
  #service: ChildProcess | undefined;
  #ended: Promise<unknown> = Promise.resolve();

  /** Makes one in `directory`, which is empty. */
  constructor(directory: string) {
    this.directory = join(directory, 'checkout');
    const temporary = join(directory, 'tmp');
    for (const path of [this.directory, temporary]) mkdirSync(path);
    for (const name of LINKED) symlinkSync(join(ROOT, name), join(this.directory, name));
    for (const name of COPIED) cpSync(join(ROOT, name), join(this.directory, name), { recursive: true });
    // npm keeps what it links for npx there, and asks no registry for it.
    const npm = { npm_config_cache: join(directory, 'npm'), npm_config_offline: 'true', npm_config_yes: 'true' };
    const { HOME, PATH } = process.env;
    this.#env = { HOME, PATH: `${dirname(process.execPath)}:${PATH}`, TMPDIR: temporary, LC_ALL: 'C.UTF-8', ...npm };
  }

  /** `npm start`; resolves when the service listens. From the second time on it listens where it did before. */
  async start(): Promise<void> {
    const env = { ...this.#env, BIND_ADDR: this.address };
    // A process group of its own: npm runs a shell, and that the service.
    const service = spawn('npm', ['start'], {
      cwd: this.directory,
      env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#service = service;
    this.#ended = once(service, 'close');
    let errors = '';
    service.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
    const lines = createInterface({ input: service.stdout });
    const printed: string[] = [];
    const listening = new Promise<void>((fulfil) => {
      lines.on('line', (line) => {
        printed.push(line);
        if (line.includes(' | curl ')) fulfil();
      });
    });
    const ended = this.#ended.then(() => Promise.reject(new Error(`npm start ended: ${printed.join('\n')}${errors}`)));
    await Promise.race([listening, ended]);
    ended.catch(() => {});
    this.notice = printed.filter((line) => !line.startsWith('{')).join('\n');
    this.address = /^Console: http:\/\/(.*)\/$/m.exec(this.notice)?.[1] ?? '';
  }

  /** Resolves when `npm start` has ended by itself. */
  get ended(): Promise<unknown> {
    return this.#ended;
  }

  get isRunning(): boolean {
    return this.#service?.exitCode === null && this.#service.signalCode === null;
  }

  /** Text of a README with the port of this service instead of the usual one. */
  here(text: string): string {
    return text.replaceAll(PORT, this.address.split(':')[1]!);
  }

  /** Opens a terminal in it. */
  terminal(): Terminal {
    return new Terminal(this.directory, { ...this.#env, INCIDENT_RECORDER_URL: `http://${this.address}` });
  }

  async end(): Promise<void> {
    if (this.isRunning) process.kill(-this.#service!.pid!, 'SIGKILL');
    await this.#ended;
  }
}

/** A shell that takes one command after the other. */
export class Terminal {
  readonly #shell: ChildProcess;
  readonly #lines: Interface;
  #commands = 0;

  constructor(directory: string, env: NodeJS.ProcessEnv) {
    const shell = spawn('bash', ['--noprofile', '--norc'], { cwd: directory, env, stdio: ['pipe', 'pipe', 'inherit'] });
    this.#shell = shell;
    this.#lines = createInterface({ input: shell.stdout });
    shell.stdin.write('exec 2>&1\n');
  }

  /** Runs a command and gives what it wrote to both outputs, without what npm says about itself. */
  async run(command: string): Promise<string> {
    this.#commands += 1;
    const mark = `--- command ${this.#commands} has ended ---`;
    const written: string[] = [];
    const ended = new Promise<void>((fulfil, reject) => {
      const take = (line: string): void => {
        const isLast = line.endsWith(mark);
        // What the command wrote last may have no end of line.
        written.push(isLast ? line.slice(0, -mark.length) : line);
        if (!isLast) return;
        this.#lines.off('line', take).off('close', fail);
        fulfil();
      };
      const fail = (): void => reject(new Error(`the shell ended at: ${command}\n${written.join('\n')}`));
      this.#lines.on('line', take).once('close', fail);
    });
    this.#shell.stdin!.write(`${command}\necho '${mark}'\n`);
    await ended;
    return written
      .filter((line) => !/^npm (?:warn|notice)/.test(line))
      .join('\n')
      .trimEnd();
  }

  async close(): Promise<void> {
    const closed = once(this.#shell, 'close');
    this.#shell.stdin!.end();
    await closed;
  }
}
