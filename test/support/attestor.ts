/**
 * The appliance's attestor, as a real HTTP server: strict about method, path, token and body, and it signs its bundles
 * as the real one does (in Go, with members sorted, and `<`, `>`, `&` escaped).
 */
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

type Json = string | number | boolean | null | readonly Json[] | Bundle;
export interface Bundle {
  readonly [key: string]: Json | undefined;
}

export const ATTESTOR_TOKEN = '5e'.repeat(32);
/** The key of its signatures, in hexadecimal. */
export const ATTESTATION_KEY = 'a7'.repeat(32);

/** A bundle that holds, without its signature. */
export const trustedBundle = (nonce: string, timestamp = new Date().toISOString()): Bundle => ({
  timestamp,
  state: 'attested',
  assurance_mode: 'hardware',
  evidence_verified: true,
  request_nonce: nonce,
  boot_measurements: {
    secure_boot_enabled: true,
    pcr_values: { 0: `0x${'0'.repeat(64)}`, 2: `0x${'2'.repeat(64)}`, 4: `0x${'4'.repeat(64)}` },
    measured_at: timestamp,
  },
  deployment_digest: `sha256:${'d'.repeat(64)}`,
  deployment_verified: true,
  release_source_commit: 'c'.repeat(40),
  release_baseline_verified: true,
  service_digests: { registry: '1'.repeat(64), airlock: '2'.repeat(64) },
  policy_digest: 'b'.repeat(64),
  registry_manifest_hash: 'unavailable',
  kernel_cmdline: 'BOOT_IMAGE=(hd0,gpt2)/ostree/vmlinuz root=UUID=1 quiet dyndbg="file a.c +p" x=<&>',
  kernel_lockdown: 'none [integrity] confidentiality',
  tpm_available: true,
  tpm_measurements_verified: true,
  tpm_quote_verified: true,
  tpm_ak_public_key_sha256: 'e'.repeat(64),
  tpm_quote_pcr_selection: 'sha256:0,2,4,7',
});

/** As Go does it: by the bytes of the keys in UTF-8. */
const sortedText = (value: Json): string => {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${(value as readonly Json[]).map(sortedText).join(',')}]`;
  const members = Object.entries(value as Bundle)
    .filter(([, member]) => member !== undefined)
    .toSorted(([one], [other]) => Buffer.compare(Buffer.from(one), Buffer.from(other)));
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${sortedText(member!)}`).join(',')}}`;
};

/** The text that a Go program makes of a bundle and signs. */
export const goText = (bundle: Bundle): string =>
  sortedText({ ...bundle, bundle_hmac: '' }).replaceAll(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

/** The signature of a text, in hexadecimal. */
export const signatureOf = (text: string, key = ATTESTATION_KEY): string =>
  createHmac('sha256', Buffer.from(key, 'hex')).update(text).digest('hex');

export const signed = (bundle: Bundle, key = ATTESTATION_KEY): Bundle => ({
  ...bundle,
  bundle_hmac: signatureOf(goText(bundle), key),
});

/** What the attestor does with a request that it takes. */
export type Attesting = (response: ServerResponse, nonce: string) => void;

const json = { 'content-type': 'application/json' };

/** Answers with a signed bundle, with some fields changed; undefined leaves a field out. */
export const attesting =
  (changes: Bundle = {}, key = ATTESTATION_KEY): Attesting =>
  (response, nonce) =>
    response.writeHead(200, json).end(`${JSON.stringify(signed({ ...trustedBundle(nonce), ...changes }, key))}\n`);

export class StandInAttestor {
  /** The nonces of the requests that it has taken. */
  readonly nonces: string[] = [];
  /** Why it has refused requests. */
  readonly refusals: string[] = [];
  /** What it does with the next requests, in their order; the last is done with all further ones. */
  behaviours: Attesting[];
  readonly token: string;
  readonly #server: Server;

  private constructor(behaviours: Attesting[], token: string) {
    this.behaviours = behaviours.length === 0 ? [attesting()] : behaviours;
    this.token = token;
    this.#server = createServer((request, response) => void this.#take(request, response));
  }

  static async listen(behaviours: Attesting[] = [], token = ATTESTOR_TOKEN, port = 0): Promise<StandInAttestor> {
    const attestor = new StandInAttestor(behaviours, token);
    attestor.#server.listen(port, '127.0.0.1');
    await once(attestor.#server, 'listening');
    return attestor;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** What `RUNTIME_ATTESTOR_URL` is set to. */
  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = '';
    for await (const part of request.setEncoding('utf8') as AsyncIterable<string>) body += part;
    const refuse = (status: number, error: string): void => {
      this.refusals.push(error);
      response.writeHead(status, json).end(`${JSON.stringify({ error })}\n`);
    };
    if (request.url !== '/api/v1/refresh') return refuse(404, `not found: ${request.url}`);
    if (request.method !== 'POST') return refuse(405, 'method not allowed');
    if (request.headers.authorization !== `Bearer ${this.token}`) return refuse(403, 'forbidden');
    if (request.headers['content-type'] !== 'application/json') return refuse(415, 'not JSON');
    const nonce = /^\{"request_nonce":"([\da-f]{64})"\}$/.exec(body)?.[1];
    if (nonce === undefined) return refuse(400, 'invalid refresh request');
    this.nonces.push(nonce);
    const behaviour = this.behaviours.length > 1 ? this.behaviours.shift() : this.behaviours[0];
    behaviour?.(response, nonce);
  }
}

/** Gives a function that starts attestors, which are closed after the test (called inside `describe`). */
export function listeningAttestors(): typeof StandInAttestor.listen {
  const listening: StandInAttestor[] = [];
  afterEach(async () => {
    await Promise.all(listening.splice(0).map((attestor) => attestor.close()));
  });
  return async (...args) => {
    const attestor = await StandInAttestor.listen(...args);
    listening.push(attestor);
    return attestor;
  };
}
