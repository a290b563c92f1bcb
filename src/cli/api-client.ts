/** The command line's client of the API: finds the recorder, sends requests, reads answers. */
import { accessSync, constants, existsSync } from 'node:fs';
import type { Command } from 'commander';
import { type ClientRequest, type ClientResponse, Connection } from '../client/connection.ts';
import { Refused } from '../client/errors.ts';
import { UsageError } from './exit.ts';
import { writeNotice } from './terminal/output.ts';

const MINUTE = 60_000;

/** The default token files: on an installed host, and of local use in a checkout. */
const USUAL_TOKENS = ['/run/secure-ai/service-token', 'var/service-token'];

/** The options of every subcommand that uses the API. */
export interface ApiOptions {
  readonly url?: string;
  readonly tokenFile?: string;
  /** The file with the certificates that the fleet's has to come from. */
  readonly ca?: string;
  /** Whether the recorder has to prove itself; without a token that can be read it is not asked to. */
  readonly prove?: boolean;
  readonly json?: true;
  /** At a fleet: the machines that it is about, and the labels that they have. */
  readonly machine?: readonly string[];
  readonly label?: readonly string[];
}

/** Adds the options that say where the recorder and the token are, and `--json`. */
export const withApiClient = (command: Command): Command =>
  withJson(command)
    .option('--url <url>', 'the recorder: http://host:port or unix:/path; or a fleet: https://host:port')
    .option('--token-file <file>', 'the file that holds the service token')
    .option('--ca <file>', 'certificates that the one of the fleet has to come from, instead of those of the system')
    .option('--no-prove', 'believe a recorder that has not proved itself, e.g. through a tunnel, and send it the token')
    .option('--machine <name...>', 'at a fleet: these machines')
    .option('--label <name=value...>', 'at a fleet: the machines with these labels, e.g. site=berlin');

/** What the commands that change something take besides. */
export interface OperatorOptions extends ApiOptions {
  readonly by?: string;
  readonly note?: string;
}

/** Adds the options that say who changes something and why, and those of `withApiClient`. */
export const withOperator = (command: Command): Command =>
  withApiClient(command.option('--by <who>', 'who does it').option('-m, --note <text>', 'a note for the log'));

export const withJson = (command: Command): Command => command.option('--json', 'JSON, for scripts');

export class ApiClient {
  readonly #machines: readonly string[];
  readonly #labels: readonly (readonly [string, string])[];
  readonly #connection: Connection;
  readonly #tokenPath: string | undefined;
  /** The token is sent only to a recorder that has proved itself, or that need not. */
  readonly #mayCommand: boolean;
  /** Whether reads carry the token: some answers then say more. */
  readonly #readsWithToken: boolean;
  /** What the searches so far have not looked at: see the header `Search-Incomplete` of the list. */
  unsearched: readonly string[] = [];
  /** How many items the list has that was read last, where the recorder says it: see its header `X-Total-Count`. */
  total: number | undefined;

  /** @throws UsageError for a URL that is neither `http://host:port` nor `unix:/path` */
  constructor({ url, tokenFile, ca, prove = true, machine = [], label = [] }: ApiOptions) {
    this.#machines = machine;
    this.#labels = label.map(labelOf);
    const { env } = process;
    const named = tokenFile ?? (env.INCIDENT_RECORDER_TOKEN_PATH || env.SERVICE_TOKEN_PATH);
    this.#tokenPath = named ?? USUAL_TOKENS.find((path) => existsSync(path));
    // Who may not read the token may still read incidents. A file that the user has named has to be there.
    const hasToken = this.#tokenPath !== undefined && (tokenFile !== undefined || mayRead(this.#tokenPath));
    const proves = prove && hasToken;
    this.#mayCommand = proves || !prove;
    // With --no-prove whoever answers is believed, and a fleet is read with a token.
    this.#readsWithToken = hasToken;
    if (!this.#mayCommand && process.stderr.isTTY)
      writeNotice('no token that you may read: the recorder is not asked to prove itself');
    try {
      this.#connection = new Connection({
        url: url ?? (env.INCIDENT_RECORDER_URL || undefined),
        tokenPath: this.#tokenPath,
        prove: proves,
        mayBeFleet: true,
        caPath: ca ?? (env.INCIDENT_RECORDER_CA_PATH || undefined),
      });
    } catch (error) {
      throw new UsageError((error as Error).message);
    }
  }

  /** @throws Refused, NotReachable */
  async read<Body>(path: string): Promise<Body> {
    return JSON.parse(await this.readText(path)) as Body;
  }

  /** @throws Refused, NotReachable */
  async readText(path: string): Promise<string> {
    return accepted(await this.#connection.send(this.#reading(path))).text;
  }

  /** What is read with its headers. @throws Refused, NotReachable */
  async readAnswer(path: string): Promise<Pick<ClientResponse, 'text' | 'headers'>> {
    return accepted(await this.#connection.send(this.#reading(path)));
  }

  /** Reads with the token where its file can be read: some answers then say more. @throws Refused, NotReachable */
  async readInDetail<Body>(path: string): Promise<Body> {
    return JSON.parse(accepted(await this.#sendWithToken(path)).text) as Body;
  }

  /** The health, which a degraded recorder gives with 503. @throws Refused, NotReachable */
  async readHealth<Body>(): Promise<Body> {
    return JSON.parse(accepted(await this.#sendWithToken('/health'), 503).text) as Body;
  }

  /** Where the stream is now: `seq` of the last entry of the audit log. @throws Refused, NotReachable */
  async lastSeq(): Promise<number> {
    // A degraded recorder answers with 503, and its body is as good.
    const plain = accepted(await this.#connection.send({ path: '/health', timeout: MINUTE }), 503);
    const { audit, fleet } = JSON.parse(plain.text) as {
      readonly audit?: { readonly last_seq: number };
      readonly fleet?: string;
    };
    if (audit !== undefined) return audit.last_seq;
    // A fleet has many logs: its stream begins at a time.
    if (fleet !== undefined) return Date.now();
    // With READ_ACCESS=token it says that much only to clients with the token.
    const { text } = accepted(await this.#sendWithToken('/health'), 503);
    const full = JSON.parse(text) as { readonly audit?: { readonly last_seq: number } };
    if (full.audit !== undefined) return full.audit.last_seq;
    throw new Refused(403, { error: 'reading needs the service token' });
  }

  /** The name of the fleet that answers; undefined for a recorder. @throws Refused, NotReachable */
  async fleetName(): Promise<string | undefined> {
    const { text } = accepted(await this.#connection.send({ path: '/health', timeout: MINUTE }), 503);
    return (JSON.parse(text) as { readonly fleet?: string }).fleet;
  }

  /** Yields the pages of a list, each as an array. @throws Refused, NotReachable */
  pages<Item>(path: string): AsyncGenerator<readonly Item[]> {
    return this.documents<readonly Item[]>(path);
  }

  /** Yields what comes in pages, whatever a page is. @throws Refused, NotReachable */
  async *documents<Page>(path: string): AsyncGenerator<Page> {
    for (let next: string | undefined = path; next !== undefined;) {
      const { text, headers } = accepted(await this.#connection.send(this.#reading(next)));
      const incomplete = headers['search-incomplete'];
      if (incomplete !== undefined) this.unsearched = String(incomplete).split(', ');
      const total = headers['x-total-count'];
      this.total = total === undefined ? undefined : Number(total);
      yield JSON.parse(text) as Page;
      next = /<([^>]*)>; rel="next"/.exec(String(headers.link ?? ''))?.[1];
    }
  }

  /**
   * Sends a command with the token.
   * @throws Refused, NotReachable, UsageError when there is no token
   */
  async command<Body>(
    path: string,
    body: object | string | Buffer,
    headers: NonNullable<ClientRequest['headers']> = {},
  ): Promise<Body> {
    const waits = this.#machines.length === 0 ? headers : { prefer: `wait=${WAITS}`, ...headers };
    const answer = await this.#command<Body>(path, this.#ofMachine(body), waits);
    return fateOf(await this.#settled(answer)) ?? answer;
  }

  /** What a command comes to that a fleet has stored without a wait: which machine it is for, only the fleet knew. */
  async #settled<Body>(answer: Body): Promise<Body> {
    const { id, status } = answer as Partial<Stored>;
    if (this.#machines.length > 0 || status !== 'pending' || id?.startsWith('CMD-') !== true) return answer;
    const path = `/api/v1/commands/${encodeURIComponent(id)}?wait=${WAITS}`;
    return JSON.parse(accepted(await this.#sendWithToken(path)).text) as Body;
  }

  async #command<Body>(
    path: string,
    body: object | string | Buffer,
    headers: NonNullable<ClientRequest['headers']>,
  ): Promise<Body> {
    if (this.#tokenPath === undefined) {
      throw new UsageError('no token: name its file with --token-file or INCIDENT_RECORDER_TOKEN_PATH');
    }
    if (!this.#mayCommand) throw new UsageError(`the token in ${this.#tokenPath} can't be read`);
    const asked = {
      method: 'POST',
      path,
      body,
      headers,
      authorized: true,
      timeout: MINUTE,
    } as const;
    return JSON.parse(accepted(await this.#connection.send(asked)).text) as Body;
  }

  /** The machines and labels that were given, as members of a filter; empty at a recorder. */
  get scope(): Readonly<Record<string, string | readonly string[]>> {
    return {
      ...(this.#machines.length > 0 && { machine: this.#machines }),
      ...Object.fromEntries(this.#labels.map(([name, value]) => [name === 'site' ? name : `label.${name}`, value])),
    };
  }

  /** Whether it is about machines of a fleet. */
  get isOfFleet(): boolean {
    return this.#machines.length > 0 || this.#labels.length > 0;
  }

  /**
   * Sends a command about the machines that were given, which its body names itself, and waits for them a while.
   * @throws Refused, NotReachable, UsageError
   */
  commandAll<Body>(path: string, body: object): Promise<Body> {
    const headers = this.isOfFleet ? { prefer: `wait=${WAITS}` } : {};
    return this.#command<Body>(path, body, headers);
  }

  /** The body of a command with the machine that it is for. @throws UsageError when that is not one machine */
  #ofMachine(body: object | string | Buffer): object | string | Buffer {
    if (this.#machines.length === 0 && this.#labels.length === 0) return body;
    const [machine, other] = this.#machines;
    if (machine === undefined || other !== undefined || this.#labels.length > 0)
      throw new UsageError('a command is for one machine: give --machine once, and no --label');
    return typeof body === 'string' || Buffer.isBuffer(body) ? body : { ...body, machine };
  }

  /** A path with the machines that it is about. The link to a next page has them already. */
  #scoped(path: string): string {
    const parameters = [
      ...this.#machines.map((name) => ['machine', name] as const),
      ...this.#labels.map(([name, value]) => [name === 'site' ? name : `label.${name}`, value] as const),
    ];
    if (parameters.length === 0 || !path.startsWith('/api/')) return path;
    const { pathname, searchParams } = new URL(path, 'http://localhost');
    for (const [name] of parameters) searchParams.delete(name);
    for (const [name, value] of parameters) searchParams.append(name, value);
    return `${pathname}?${searchParams.toString()}`;
  }

  #reading(asked: string): ClientRequest {
    const path = this.#scoped(asked);
    return { path, authorized: this.#readsWithToken, timeout: MINUTE };
  }

  #sendWithToken(asked: string): Promise<ClientResponse> {
    const path = this.#scoped(asked);
    const authorized = this.#tokenPath !== undefined && mayRead(this.#tokenPath);
    return this.#connection.send({ path, authorized, timeout: MINUTE });
  }

  /** Opens a stream, which ends when `signal` aborts. @throws Refused, NotReachable */
  async stream(path: string, headers: NonNullable<ClientRequest['headers']>, signal: AbortSignal) {
    const response = await this.#connection.open({ ...this.#reading(path), headers }, signal);
    if (response.statusCode === 200) return response;
    let text = '';
    for await (const chunk of response.setEncoding('utf8')) text += chunk;
    throw refusal({ status: response.statusCode ?? 0, headers: response.headers, text });
  }
}

/** How long the fleet is asked to wait for the machine's answer, in seconds. */
const WAITS = 20;

/** A label as one types it. @throws UsageError */
function labelOf(text: string): readonly [string, string] {
  const at = text.indexOf('=');
  if (at < 1) throw new UsageError(`a label is name=value, not ${JSON.stringify(text)}`);
  return [text.slice(0, at), text.slice(at + 1)];
}

/** A command as a fleet answers it: it stores the command, and says what the machine has answered. */
interface Stored {
  readonly id: string;
  readonly machine: string;
  readonly status: 'pending' | 'done' | 'refused' | 'expired';
  readonly answer: { readonly status: number; readonly body: object } | null;
  readonly reason: string | null;
  readonly fetched_at: string | null;
}

/**
 * What the machine answered to a command that a fleet has stored; undefined for an answer of a recorder.
 * @throws Refused with the machine's reason, or because it has not answered yet
 */
function fateOf<Body>(body: Body): Body | undefined {
  const { id, machine, status, answer, reason, fetched_at: fetchedAt } = body as Partial<Stored>;
  if (id?.startsWith('CMD-') !== true || machine === undefined) return undefined;
  if (status === 'done') return (answer?.body ?? {}) as Body;
  if (status === 'refused') return refuse(answer?.status ?? 409, { error: reason ?? 'refused', ...answer?.body });
  const waits = `${machine} has not answered within ${WAITS} s; the command waits for it: incident-recorder fleet commands shows ${id}`;
  if (status !== 'expired') return refuse(202, { error: waits });
  const late = `${machine} has not fetched it in time, so nothing was done there: incident-recorder fleet machines says when it was heard`;
  return refuse(202, { error: fetchedAt === null ? late : `${machine}: ${reason ?? 'the command has expired'}` });
}

function refuse(status: number, body: Refused['body']): never {
  throw new Refused(status, body);
}

function mayRead(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

/** The path with a query. Undefined values are left out; a list becomes one parameter for each value. */
export function withQuery(
  path: string,
  query: Readonly<Record<string, string | readonly string[] | undefined>>,
): string {
  const parameters = new URLSearchParams();
  for (const [name, values] of Object.entries(query)) {
    for (const value of [values ?? []].flat()) parameters.append(name, value);
  }
  const text = parameters.toString();
  return text === '' ? path : `${path}?${text}`;
}

const accepted = (answer: ClientResponse, also?: number): ClientResponse => {
  if ((answer.status >= 200 && answer.status < 300) || answer.status === also) return answer;
  throw refusal(answer);
};

function refusal({ status, text }: ClientResponse): Refused {
  try {
    return new Refused(status, JSON.parse(text) as Refused['body']);
  } catch {
    return new Refused(status, {});
  }
}
