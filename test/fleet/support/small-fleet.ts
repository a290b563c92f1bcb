/** A fleet on PGlite with real recorders and real shippers: what acts on machines is tried through all of it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect } from 'chai';
import { ROLES } from '../../../machines/vocabulary.ts';
import { systemClock } from '../../../src/clock.ts';
import { readFleetConfig } from '../../../src/fleet/config.ts';
import { type Fleet, startFleet } from '../../../src/fleet/fleet.ts';
import { verifierKeyOf } from '../../../src/signed-note.ts';
import { FLEET_WIDE, OWN_PATHS, OWN_SCHEMAS } from '../../../src/fleet/api/own-description.ts';
import { LocalService } from '../../support/local-service.ts';
import { COMMAND_LINE } from '../../support/programs.ts';
import { type Answer, type RequestOptions, ServiceClient, TOKEN } from '../../support/service-client.ts';
import { ServiceHome } from '../../support/service-home.ts';
import { AUDIT_KEY, type MachineLog } from './machine-log.ts';

export interface Person {
  readonly roles: readonly string[];
  readonly machines: 'any' | Readonly<Record<string, string>>;
  readonly actions?: readonly string[];
}

export interface MachineOptions {
  readonly labels?: Readonly<Record<string, string>>;
  /** What the access file of the recorder gives the fleet. */
  readonly grant?: object;
  /** The text of its policy. */
  readonly policy?: string;
}

export const tokenOf = (name: string): string => `token-of-${name}-0123456789abcdef`;

/** One machine: a recorder, and the process of its shipper. */
export class SmallMachine {
  readonly name: string;
  readonly recorder: LocalService;
  readonly home: ServiceHome;
  readonly #env: Readonly<Record<string, string>>;
  #shipper: ChildProcess | undefined;

  constructor(name: string, recorder: LocalService, home: ServiceHome, env: Readonly<Record<string, string>>) {
    this.name = name;
    this.recorder = recorder;
    this.home = home;
    this.#env = env;
  }

  ship(): void {
    this.#shipper = spawn(process.execPath, [COMMAND_LINE, 'ship', '--no-prove'], {
      env: { PATH: process.env.PATH, ...this.#env },
      stdio: 'ignore',
    });
  }

  /** Ends the shipper, as a power cut does. */
  async silence(): Promise<void> {
    const shipper = this.#shipper;
    this.#shipper = undefined;
    if (shipper === undefined || shipper.exitCode !== null) return;
    const ended = once(shipper, 'exit');
    shipper.kill('SIGKILL');
    await ended;
  }

  async stop(): Promise<void> {
    await this.silence();
    await this.recorder.stop();
  }
}

const ajv = new Ajv2020({ strict: false, validateFormats: false });
ajv.addSchema({ $id: 'fleet', components: { schemas: OWN_SCHEMAS } });

/** The schemas of what the fleet answers, by method, path and status. */
const DESCRIBED = [
  ...Object.entries(OWN_PATHS).flatMap(([path, operations]) =>
    Object.entries(
      operations as Record<string, { responses: Record<string, { content?: Record<string, { schema: object }> }> }>,
    ).flatMap(([method, { responses }]) =>
      Object.entries(responses).flatMap(([status, { content }]) =>
        content?.['application/json'] === undefined
          ? []
          : [{ method, path, status: Number(status), schema: content['application/json'].schema }],
      ),
    ),
  ),
  ...Object.entries(FLEET_WIDE).map(([path, schema]) => ({ method: 'get', path, status: 200, schema })),
].map(({ method, path, status, schema }) => ({
  name: `${method} ${path} ${status}`,
  isOf: new RegExp(`^${method.toUpperCase()} ${path.replaceAll(/\{\w+\}/g, '[^/]+')} ${status}$`),
  isFixed: !path.includes('{'),
  validate: ajv.compile(JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"fleet#/')) as object),
}));

/** Holds that an answer is as the description says. */
function expectDescribed(method: string, target: string, { status, json }: Answer): void {
  // What is about one machine is the recorder's.
  if (/\/containment|\/incidents\/changes/.test(target) && target.includes('machine=')) return;
  const found = DESCRIBED.filter(({ isOf }) => isOf.test(`${method} ${target.split('?')[0]} ${status}`));
  const one = found.find(({ isFixed }) => isFixed) ?? found[0];
  if (one === undefined) return;
  expect(one.validate(json), `${one.name}: ${ajv.errorsText(one.validate.errors)} ${JSON.stringify(json)}`).to.equal(
    true,
  );
}

export class SmallFleet extends ServiceClient {
  readonly directory: string;
  readonly fleet: Fleet;
  readonly said: { readonly message: string; readonly fields: Record<string, unknown> }[];
  readonly machines: SmallMachine[] = [];

  private constructor(directory: string, fleet: Fleet, said: SmallFleet['said']) {
    super();
    this.directory = directory;
    this.fleet = fleet;
    this.said = said;
  }

  /** @param people by name; `TOKEN` has every role on every machine besides */
  static async start(
    directory: string,
    {
      people = {},
      env = {},
    }: { people?: Readonly<Record<string, Person>>; env?: Readonly<Record<string, string>> } = {},
  ): Promise<SmallFleet> {
    const access = join(directory, 'fleet-access.json');
    const all = { root: { roles: ROLES, machines: 'any', sources: 'any', classes: 'any', actions: 'any' }, ...people };
    const principals = Object.fromEntries(
      Object.entries(all).map(([name, person]) => {
        const token = name === 'root' ? TOKEN : tokenOf(name);
        return [name, { ...person, token_sha256: createHash('sha256').update(token).digest('hex') }];
      }),
    );
    writeFileSync(access, JSON.stringify({ version: 1, principals }), { mode: 0o600 });
    const config = readFleetConfig(
      { FLEET_BIND: '127.0.0.1:0', FLEET_NAME: 'fleet.example', FLEET_ACCESS_PATH: access, ...env },
      directory,
    );
    const said: SmallFleet['said'] = [];
    const say = (fields: object, message: string): void =>
      void said.push({ message, fields: fields as Record<string, unknown> });
    const log = { debug() {}, info: say, warn: say, error: say };
    const fleet = await startFleet(config, systemClock, log, { trustedBelow: directory });
    return new SmallFleet(directory, fleet, said);
  }

  /** Enrols a machine that has no recorder here, and whose audit key is that of `MachineLog`. */
  async enrol(machine: string, labels: Readonly<Record<string, string>> = {}): Promise<void> {
    const { enrolment } = this.fleet;
    const secret = await enrolment.invite(machine, labels, 'root');
    const token_sha256 = createHash('sha256').update(machine).digest('hex');
    const audit_key = AUDIT_KEY.toString('base64');
    await enrolment.enrol({ machine, secret, token_sha256, public_key: 'none', audit_key });
  }

  /** Gives the fleet what a log of such a machine has from an entry on. */
  async take(machine: string, log: MachineLog, from = 1, identity = log.id): Promise<void> {
    for (let at = from; at <= log.through; at += 1000) {
      const body = log.body(at, Math.min(log.through, at + 999));
      await this.fleet.ingest.store({ machine, log: identity, from: at, body, arrived: systemClock.monotonic() });
    }
  }

  /** Enrols a machine, and starts its recorder and its shipper. */
  async add(name: string, { labels = {}, grant = {}, policy }: MachineOptions = {}): Promise<SmallMachine> {
    const { enrolment, signer, address } = this.fleet;
    const folder = join(this.directory, name);
    mkdirSync(folder);
    const home = new ServiceHome(folder);
    const token = tokenOf(name);
    const token_sha256 = createHash('sha256').update(token).digest('hex');
    const access = {
      version: 1,
      service_token: { roles: ROLES, sources: 'any', classes: 'any', actions: 'any' },
      fleet_key: verifierKeyOf(signer),
      fleet: { machine: name, roles: ['operator', 'recovery', 'admin'], ...grant },
    };
    writeFileSync(home.access, JSON.stringify(access), { mode: 0o600 });
    const env: Record<string, string> = {};
    if (policy !== undefined) {
      env.CONTAINMENT_POLICY_PATH = join(folder, 'policy.yaml');
      writeFileSync(env.CONTAINMENT_POLICY_PATH, policy);
    }
    const recorder = await LocalService.start(home, { env });
    // From now on it counts as silent after a while.
    const secret = await enrolment.invite(name, labels, 'root');
    await enrolment.enrol({ machine: name, secret, token_sha256, public_key: 'none' });
    const fleetToken = join(folder, 'fleet-token');
    writeFileSync(fleetToken, token, { mode: 0o600 });
    const machine = new SmallMachine(name, recorder, home, {
      FLEET_URL: `http://127.0.0.1:${address.port}`,
      FLEET_MACHINE: name,
      FLEET_TOKEN_PATH: fleetToken,
      INCIDENT_RECORDER_URL: `http://127.0.0.1:${recorder.port}`,
      INCIDENT_RECORDER_TOKEN_PATH: home.token,
    });
    this.machines.push(machine);
    machine.ship();
    return machine;
  }

  override async send(method: string, path: string, options?: RequestOptions): Promise<Answer> {
    const answer = await super.send(method, path, options);
    expectDescribed(method, path, answer);
    return answer;
  }

  /** Asks until the answer is as it should be. */
  async until<Value>(read: () => Promise<Value>, isSo: (value: Value) => boolean): Promise<Value> {
    for (;;) {
      const value = await read();
      if (isSo(value)) return value;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** The JSON of a read that must succeed. */
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into bodies of every shape
  async read(path: string, token = TOKEN): Promise<any> {
    const answer = await this.send('GET', path, { token });
    if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${answer.text}`);
    return answer.json;
  }

  /** Waits until the fleet has an incident of a machine. */
  holds(machine: string, id: string): Promise<unknown> {
    return this.until(
      () => this.send('GET', `/api/v1/incidents/get?machine=${machine}&id=${id}`),
      ({ status }) => status === 200,
    );
  }

  async stop(): Promise<void> {
    await Promise.all(this.machines.map((machine) => machine.stop()));
    this.disconnect();
    await this.fleet.stop();
  }

  protected override get address() {
    return { port: this.fleet.address.port };
  }
}
