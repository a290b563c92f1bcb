/**
 * Requests to the fleet, over https, or over plain http on this machine. Each carries the machine's token, which is read
 * from its file each time, because it may be replaced. Connections are reused.
 *
 * It uses `node:http` and `node:https`: the global `fetch` needs WebAssembly, which a confined host does not allow.
 */
import { createPrivateKey, type KeyObject } from 'node:crypto';
import type { Agent, ClientRequest, IncomingHttpHeaders, IncomingMessage, RequestOptions } from 'node:http';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { isIP, type LookupFunction, type Socket } from 'node:net';
import { SECOND } from '../clock.ts';
import { RecorderError } from '../errors.ts';
import { isLoopback } from '../loopback.ts';
import { digestOf, SIGNATURE_HEADER, signRequest } from '../signed-request.ts';
import type { BandwidthLimit } from './bandwidth-limit.ts';
import { FleetNotReachable, FleetRefused } from './errors.ts';

// An import would also load the implementation of `WebSocket` and `fetch`.
const http = process.getBuiltinModule('node:http');
const https = process.getBuiltinModule('node:https');

/** In bytes. Far more than any answer to a shipper: the longest are lists of waiting commands. */
const LONGEST_ANSWER = 4 * 1024 * 1024;
/** How much is written before the bandwidth limit is asked again, in bytes. */
const SLICE = 16 * 1024;
/** An idle connection is kept for this long, in milliseconds: less than most servers and balancers keep it. */
const KEEP_IDLE = 4 * SECOND;
/** How long a new connection may take, from the resolver to the end of the TLS handshake, in milliseconds. */
const CONNECT_WITHIN = 10 * SECOND;
/** A whole answer may take so many times as long as the fleet may be silent: one that comes byte by byte never ends. */
const TIMES_PATIENCE = 4;
/** A piece of a body is sent at least this often, in seconds: for a slow line it is smaller than `SLICE`. */
const SECONDS_A_SLICE = 10;

export interface FleetOptions {
  /** `https://host[:port]`; `http://` for the loopback only. */
  readonly url: string;
  /** The file with the machine's token. Undefined when a client certificate stands for the machine. */
  readonly tokenPath?: string | undefined;
  /** Certificates (PEM) that the fleet's has to come from, instead of those of the system. */
  readonly caPath?: string | undefined;
  /** The file with the machine's key (PEM), which signs the requests: see `signed-request.ts`. */
  readonly machineKeyPath?: string | undefined;
  /** A client certificate and its key (PEM): both or none. */
  readonly certPath?: string | undefined;
  readonly keyPath?: string | undefined;
  /** Connect to this IP address, so that no resolver is needed. The certificate is still checked for the host. */
  readonly address?: string | undefined;
  readonly bandwidth?: BandwidthLimit | undefined;
  /** In milliseconds: how long a new connection may take. */
  readonly connectWithin?: number;
}

export interface FleetRequest {
  readonly method: 'GET' | 'PUT' | 'POST';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer | undefined;
  /** Whether to send it without the token: to enrol. */
  readonly anonymous?: boolean;
  /** How long the fleet may be silent, in milliseconds. */
  readonly patience: number;
  readonly signal: AbortSignal;
}

export interface FleetAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** The parsed JSON; undefined for an empty body. */
  readonly body: unknown;
}

export class FleetConnection {
  readonly url: string;
  readonly #target: RequestOptions;
  readonly #send: typeof http.request;
  readonly #agent: Agent;
  readonly #isSecure: boolean;
  readonly #connectWithin: number;
  /** The connections over which requests can be sent. */
  readonly #ready = new WeakSet<Socket>();
  readonly #tokenPath: string | undefined;
  readonly #machineKey: KeyObject | undefined;
  /** How far the fleet's clock is ahead, in milliseconds, as far as that matters. */
  #ahead = 0;
  readonly #bandwidth: BandwidthLimit | undefined;

  /** @throws RecorderError `config` for an URL, an address or a file that can't be used */
  constructor({
    url,
    tokenPath,
    machineKeyPath,
    caPath,
    certPath,
    keyPath,
    address,
    bandwidth,
    connectWithin = CONNECT_WITHIN,
  }: FleetOptions) {
    const lookup = address === undefined ? undefined : always(address);
    const { protocol, host, base } = fleetUrl(url, address);
    this.url = base.href.replace(/\/$/, '');
    this.#tokenPath = tokenPath;
    this.#machineKey = machineKeyPath === undefined ? undefined : machineKeyAt(machineKeyPath);
    this.#bandwidth = bandwidth;
    // An environment that turns the check off for the whole process must not give the token to whoever answers.
    const tls = { ca: read(caPath), cert: read(certPath), key: read(keyPath), rejectUnauthorized: true };
    const isSecure = protocol === 'https:';
    this.#isSecure = isSecure;
    this.#connectWithin = connectWithin;
    const one = isSecure ? https : http;
    this.#send = one.request;
    this.#agent = new one.Agent({ keepAlive: true, maxSockets: 8, timeout: KEEP_IDLE, ...(isSecure ? tls : {}) });
    this.#target = {
      protocol,
      host,
      port: base.port === '' ? undefined : Number(base.port),
      ...(lookup === undefined ? {} : { lookup }),
    };
  }

  /**
   * Sends a request and gives the answer when its status is a success.
   * @throws FleetRefused for another status; FleetNotReachable when no whole answer came; the reason of `signal`
   */
  async send(request: FleetRequest): Promise<FleetAnswer> {
    try {
      return await this.#ask(request);
    } catch (error) {
      if (!(error instanceof FleetRefused) || error.code !== 'signed_at_another_time') throw error;
      const { now } = error.body;
      if (typeof now !== 'number' || !Number.isSafeInteger(now)) throw error;
      // The clock of this machine may be wrong: the entries are to be shipped all the same.
      this.#ahead = now - Date.now();
      return this.#ask(request);
    }
  }

  async #ask(request: FleetRequest): Promise<FleetAnswer> {
    try {
      const response = await this.#open(request);
      const text = await textOf(response);
      const status = response.statusCode ?? 0;
      const { headers } = response;
      if (status >= 200 && status < 300) return { status, headers, body: text === '' ? undefined : JSON.parse(text) };
      throw new FleetRefused(request, status, headers, text);
    } catch (error) {
      if (request.signal.aborted) throw request.signal.reason;
      if (error instanceof FleetRefused || error instanceof RecorderError) throw error;
      const { code, message } = error as NodeJS.ErrnoException;
      throw new FleetNotReachable(`no answer from the fleet at ${this.url} (${code ?? message})`, { cause: error });
    }
  }

  #signature(method: string, target: string, body: Buffer | undefined): Readonly<Record<string, string>> {
    if (this.#machineKey === undefined) return {};
    const request = { method, target, time: Date.now() + this.#ahead, digest: digestOf(body) };
    return { [SIGNATURE_HEADER]: signRequest(request, this.#machineKey) };
  }

  /** Closes the idle connections. */
  close(): void {
    this.#agent.destroy();
  }

  async #open(request: FleetRequest): Promise<IncomingMessage> {
    const { method, path, body, headers, anonymous = false, patience, signal } = request;
    const token = anonymous || this.#tokenPath === undefined ? undefined : await readToken(this.#tokenPath);
    const length = body?.length ?? (method === 'GET' ? undefined : 0);
    return new Promise((resolve, reject) => {
      const sent = this.#send(
        {
          ...this.#target,
          agent: this.#agent,
          method,
          path,
          signal,
          // The agent's would be that of an idle connection.
          timeout: patience,
          headers: {
            accept: 'application/json',
            ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
            ...(length === undefined ? {} : { 'content-length': length }),
            ...(anonymous ? {} : this.#signature(method, path, body)),
            ...headers,
          },
        },
        resolve,
      );
      // After the response a fault of the request is one of the response as well, which its reader meets.
      sent.on('error', reject);
      this.#limitConnecting(sent);
      sent.setTimeout(patience, () => void sent.destroy(new Error(`silent for ${patience} ms`)));
      limitAnswer(sent, patience * TIMES_PATIENCE);
      if (body === undefined || this.#bandwidth === undefined) sent.end(body);
      else void writeSlowly(sent, body, this.#bandwidth, signal).catch((error: Error) => sent.destroy(error));
    });
  }

  /** Ends a request for which no connection comes about in time, and says how far it came. */
  #limitConnecting(sent: ClientRequest): void {
    const within = this.#connectWithin;
    const { host, lookup } = this.#target;
    let missing = isIP(String(host)) === 0 && lookup === undefined ? 'no answer of a resolver' : 'no connection';
    const timer = setTimeout(() => sent.destroy(new Error(`${missing} in ${within} ms`)), within);
    const done = (): void => clearTimeout(timer);
    sent.once('close', done).once('socket', (socket) => {
      if (this.#ready.has(socket)) return done();
      socket.once('lookup', () => (missing = 'no connection'));
      socket.once('connect', () => (missing = 'no TLS handshake'));
      socket.once(this.#isSecure ? 'secureConnect' : 'connect', () => {
        this.#ready.add(socket);
        done();
      });
    });
  }
}

/** Ends a request whose answer is not whole in time: headers, and then the body. */
function limitAnswer(sent: ClientRequest, within: number): void {
  let timer: NodeJS.Timeout | undefined;
  const end = (): void => {
    const late = new Error(`the answer is not whole after ${within} ms`);
    // The reader of the body meets what ends the body.
    if (response === undefined) sent.destroy(late);
    else response.destroy(late);
  };
  let response: IncomingMessage | undefined;
  sent.once('finish', () => (timer = setTimeout(end, within)));
  sent.once('response', (message) => (response = message).once('end', () => clearTimeout(timer)));
  sent.once('close', () => clearTimeout(timer));
}

async function writeSlowly(
  sent: ClientRequest,
  body: Buffer,
  bandwidth: BandwidthLimit,
  signal: AbortSignal,
): Promise<void> {
  const length = Math.min(SLICE, Math.ceil(bandwidth.rate * SECONDS_A_SLICE));
  for (let at = 0; at < body.length; at += length) {
    const slice = body.subarray(at, at + length);
    await bandwidth.take(slice.length, signal);
    // The fleet has answered already, or the connection has ended.
    if (sent.destroyed) return;
    sent.write(slice);
  }
  sent.end();
}

function fleetUrl(text: string, address: string | undefined): { protocol: string; host: string; base: URL } {
  const base = URL.parse(text);
  const refuse = (why: string): never => {
    throw new RecorderError('config', `the URL of the fleet ${JSON.stringify(text)} ${why}`);
  };
  if (base === null || !/^https?:$/.test(base.protocol)) return refuse('is not https://host[:port]');
  if (base.pathname !== '/' || base.search !== '' || base.hash !== '' || base.username !== '')
    return refuse('has more than a host and a port');
  const host = base.hostname.replace(/^\[|\]$/g, '');
  if (base.protocol === 'http:' && !(isLoopback(host) && isLoopback(address ?? host)))
    return refuse('is not https: on the way to another machine everybody could read the token');
  return { protocol: base.protocol, host, base };
}

/** A resolver that knows one answer. */
function always(address: string): LookupFunction {
  const family = isIP(address);
  if (family === 0)
    throw new RecorderError('config', `the address of the fleet ${JSON.stringify(address)} is not an IP address`);
  return (_host, options, done) => {
    if (options.all) (done as unknown as (error: null, all: object[]) => void)(null, [{ address, family }]);
    else done(null, address, family);
  };
}

function read(path: string | undefined): Buffer | undefined {
  if (path === undefined) return undefined;
  try {
    return readFileSync(path);
  } catch (error) {
    throw unreadable(path, error);
  }
}

function machineKeyAt(path: string): KeyObject {
  const text = read(path)!;
  try {
    return createPrivateKey(text);
  } catch (cause) {
    throw new RecorderError('config', `${path} is no private key (PEM)`, { cause });
  }
}

async function readToken(path: string): Promise<string> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    throw unreadable(path, error);
  }
}

const unreadable = (path: string, cause: unknown): RecorderError =>
  new RecorderError('config', `${path} can't be read (${(cause as NodeJS.ErrnoException).code})`, { cause });

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > LONGEST_ANSWER) throw new Error('the answer is too long');
    chunks.push(chunk);
  }
  if (!response.complete) throw new Error('the answer is cut');
  return Buffer.concat(chunks).toString('utf8');
}
