/**
 * The appliance around a recorder: its policy and access file, adapted in addresses and times only, the tokens of its
 * reporters and people, and its services.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../cli/support/command-line.ts';
import { ATTESTATION_KEY, ATTESTOR_TOKEN, StandInAttestor } from '../../support/attestor.ts';
import { ROOT } from '../../support/programs.ts';
import { type Answer, RunningService, ServiceHome, type StartOptions } from '../../support/running-service.ts';
import { Target } from '../../support/target.ts';
import { type Reporter, REPORTERS, type ReportBody } from './reporters.ts';
import { agent, airlock, registry, type Service, VaultBroker } from './services.ts';

const CREDENTIALS = '/run/credentials/secure-ai-incident-recorder.service';
const EXAMPLES = join(ROOT, 'policy/examples');
/** People, each with one role; nobody of them reports. */
const PEOPLE = { ada: 'recovery', bob: 'operator', carol: 'auditor', dan: 'admin' } as const;
type Person = keyof typeof PEOPLE;
export const MODELS = ['llama.gguf', 'mistral.gguf'];
const FORENSIC_KEY = 'f0'.repeat(32);

/** Replaces each text in a file that is shipped; a text that is not in it is a fault of the test. */
const adapted = (name: string, changes: readonly (readonly [from: string, to: string])[]): string => {
  let text = readFileSync(join(EXAMPLES, name), 'utf8');
  for (const [from, to] of changes) {
    if (!text.includes(from)) throw new Error(`${name} has no ${from}`);
    text = text.replaceAll(from, to);
  }
  return text;
};

const newToken = (): string => randomBytes(32).toString('hex');

export class Appliance {
  readonly home: ServiceHome;
  readonly attestor: StandInAttestor;
  readonly agent: Service;
  readonly airlock: Service;
  readonly registry: Service;
  readonly vault: VaultBroker;
  /** What gets the alerts that the policy's `alerting` asks for. */
  readonly alerts: Target;
  /** How long the agent drains, in milliseconds. */
  drain = 0;
  readonly forensicKey: string;
  #service: RunningService | undefined;
  readonly #tokens: Readonly<Record<string, string>>;

  private constructor(directory: string, attestor: StandInAttestor, alerts: Target) {
    this.home = new ServiceHome(directory);
    this.attestor = attestor;
    this.alerts = alerts;
    this.forensicKey = this.write('forensic-key', FORENSIC_KEY);
    this.#tokens = Object.fromEntries([...REPORTERS, ...Object.keys(PEOPLE)].map((name) => [name, newToken()]));
    mkdirSync(this.#credentials);
    for (const name of REPORTERS) this.write(`credentials/${name}-token`, this.#tokens[name]!);
    const [forAgent, forAirlock, forRegistry] = ['agent', 'airlock', 'registry'].map((name) => {
      const token = newToken();
      this.write(`credentials/${name}-containment-token`, token);
      return token;
    }) as [string, string, string];
    this.agent = agent(forAgent, () => this.drain);
    this.airlock = airlock(forAirlock);
    this.registry = registry(forRegistry, MODELS);
    this.vault = new VaultBroker(join(directory, 'vault-control'));
  }

  /** @param directory an empty one, or one with a log in it */
  static async prepare(directory: string): Promise<Appliance> {
    const appliance = new Appliance(directory, await StandInAttestor.listen(), await Target.listen());
    await appliance.agent.listen(appliance.#socket);
    await appliance.airlock.listen();
    await appliance.registry.listen();
    const people = Object.entries(PEOPLE).map(
      ([name, role]) =>
        `  ${name}: { roles: [${role}], token_sha256: ${createHash('sha256').update(appliance.#tokens[name]!).digest('hex')} }\n`,
    );
    const access = adapted('incident-access.yaml', [
      [CREDENTIALS, appliance.#credentials],
      ['\nprincipals:\n', `\nprincipals:\n${people.join('')}`],
    ]);
    writeFileSync(appliance.home.access, access, { mode: 0o640 });
    appliance.setPolicy();
    return appliance;
  }

  /** Writes the policy of the appliance, with an attestor, and with other changes to its text. */
  setPolicy(...changes: readonly (readonly [string, string])[]): void {
    const text = adapted('appliance.yaml', [
      ['unix:/run/secure-ai/agent/agent.sock:', `unix:${this.#socket}:`],
      ['http://127.0.0.1:8490', `http://127.0.0.1:${this.airlock.port}`],
      ['http://127.0.0.1:8470', `http://127.0.0.1:${this.registry.port}`],
      ['/run/secure-ai/vault-control', this.vault.directory],
      [CREDENTIALS, this.#credentials],
      [
        '  attestation_failure:\n    recovery: { acknowledge: true }',
        '  attestation_failure:\n    recovery: { acknowledge: true, attest: true }',
      ],
      ['webhooks: []', `webhooks: [{ url: "${this.alerts.url('/api/alerts')}", events: [containment, escalation] }]`],
      ...changes,
    ]);
    writeFileSync(this.policy, text);
  }

  get policy(): string {
    return join(this.home.directory, 'appliance.yaml');
  }

  get #socket(): string {
    return join(this.home.directory, 'agent.sock');
  }

  get #credentials(): string {
    return join(this.home.directory, 'credentials');
  }

  /** Writes a file that only its owner reads; gives its path. */
  write(name: string, text: string): string {
    const path = join(this.home.directory, name);
    writeFileSync(path, `${text}\n`, { mode: 0o600 });
    return path;
  }

  /** Starts the recorder: also again, and with another home that holds a copy of its log. */
  async boot({ env = {}, ...options }: StartOptions = {}, home = this.home): Promise<RunningService> {
    this.#service = await RunningService.start(home, {
      ...options,
      env: {
        ACCESS_PATH: this.home.access,
        CONTAINMENT_POLICY_PATH: this.policy,
        FORENSIC_HMAC_KEY_PATH: this.forensicKey,
        RUNTIME_ATTESTOR_URL: this.attestor.url,
        RUNTIME_ATTESTOR_TOKEN_PATH: this.write('attestor-token', ATTESTOR_TOKEN),
        ATTESTATION_HMAC_KEY_PATH: this.write('attestation-key', ATTESTATION_KEY),
        ...env,
      },
    });
    return this.#service;
  }

  /** The recorder that runs. */
  get service(): RunningService {
    if (this.#service === undefined) throw new Error('nothing was started');
    return this.#service;
  }

  /** Sends a command as somebody. */
  post(path: string, body: object, as: Reporter | Person): Promise<Answer> {
    return this.service.post(`/api/v1/${path}`, body, { token: this.#tokens[as]! });
  }

  /** Reports as a reporter does: with its own token, and nothing but the body. */
  report(body: ReportBody, as = body.source as Reporter): Promise<Answer> {
    return this.post('incidents/report', body, as);
  }

  /** Reports what services report that have no token of their own, with the service's. */
  reportShared(ofClass: string, source: string): Promise<Answer> {
    return this.service.report({ class: ofClass, source });
  }

  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into answers of every shape
  async get(path: string): Promise<any> {
    return (await this.service.get(`/api/v1/${path}`)).json;
  }

  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into answers of every shape
  incident(id: string): Promise<any> {
    return this.get(`incidents/get?id=${id}`);
  }

  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into answers of every shape
  async health(): Promise<any> {
    return (await this.service.get('/health')).json;
  }

  /** Runs the command line as somebody against the recorder that runs. */
  command(as: Reporter | Person, ...args: readonly string[]): ReturnType<typeof run> {
    const token = this.write(`token-of-${as}`, this.#tokens[as]!);
    return run([...args, '--url', `http://127.0.0.1:${this.service.port}`, '--token-file', token]);
  }

  /** Waits until it is so, which is asked again after each line of the recorder. */
  async until(isSo: () => Promise<boolean>): Promise<void> {
    while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 20));
  }

  /** What everything shows of the incidents, to compare two recorders. */
  async everything(): Promise<object> {
    const list = (await this.get('incidents?limit=1000')) as readonly { readonly id: string }[];
    const histories = await Promise.all(list.map(({ id }) => this.get(`incidents/history?id=${id}`)));
    return {
      list,
      histories,
      stats: await this.get('stats'),
      posture: await this.get('containment'),
      recovery: await this.get('recovery/status'),
    };
  }

  async close(): Promise<void> {
    await this.#service?.end('SIGKILL');
    const parts = [this.attestor, this.agent, this.airlock, this.registry, this.vault, this.alerts];
    await Promise.all(parts.map((part) => part.close()));
  }
}

/** Gives a function that prepares appliances, which are closed after the test (called inside `describe`). */
export function appliances(): typeof Appliance.prepare {
  const prepared: Appliance[] = [];
  afterEach(async () => {
    await Promise.all(prepared.splice(0).map((appliance) => appliance.close()));
  });
  return async (directory) => {
    const appliance = await Appliance.prepare(directory);
    prepared.push(appliance);
    return appliance;
  };
}
