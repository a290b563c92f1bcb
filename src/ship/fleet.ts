/** What a machine asks of its fleet, and sends it. */
import { promisify } from 'node:util';
import { constants, gzip } from 'node:zlib';
import { MINUTE, SECOND } from '../clock.ts';
import type { Batch } from './entry-feed.ts';
import { FleetRefused } from './errors.ts';
import type { FleetConnection } from './fleet-connection.ts';

const compress = promisify(gzip);
/** Lines of JSON shrink well at the cheapest levels already. */
const LEVEL = constants.Z_BEST_SPEED + 1;

/** How long the fleet may be silent, in milliseconds. A batch may wait for its database. */
const PATIENCE = MINUTE;

/** How far the fleet has a log. */
export interface Held {
  /** The sequence number of the last entry that it has durably; 0 for none. */
  readonly through: number;
  /** The hash of that entry. */
  readonly hash: string | undefined;
  readonly diverged: unknown;
}

/** The fleet's answer to a batch. */
export interface Stored {
  readonly through: number;
  readonly hash: string | undefined;
  /** A signed note with the head of what the fleet has. */
  readonly anchor: string | undefined;
  /** There when these entries have left what the fleet holds. */
  readonly diverged: unknown;
  /** How long to wait before the next batch, in milliseconds. */
  readonly wait: number;
  /** How many bytes were sent. */
  readonly sent: number;
}

/** What the shipper says of the log with each batch. */
export interface LogExtent {
  /** The sequence number of the first entry that is still in the local log. */
  readonly first: number;
  /** That of its last entry. */
  readonly entries: number;
  /**
   * How far the fleet had the log, as it said before the log was looked at. When the log ends before that, it was cut.
   * Undefined when it was not asked.
   */
  readonly heard: number | undefined;
}

/** What the fleet expects instead of a batch that it refused with 409. */
export interface Expected {
  readonly code: string;
  readonly log: string | undefined;
  readonly from: number | undefined;
  readonly prev_hash: string | undefined;
}

export interface WaitingCommand {
  readonly id: string;
  /** The signed note. */
  readonly command: string;
}

export interface MachineStatus {
  readonly version: string;
  readonly log: string | null;
  readonly entries: number;
  readonly policy?: { readonly digest: unknown; readonly source: unknown; readonly text?: string };
  readonly health: Readonly<Record<string, unknown>>;
  /** RFC 3339. */
  readonly clock: string;
}

export class Fleet {
  readonly #connection: FleetConnection;
  readonly #machine: string;

  constructor(connection: FleetConnection, machine: string) {
    this.#connection = connection;
    this.#machine = `/api/v1/machines/${encodeURIComponent(machine)}`;
  }

  /** Undefined when the fleet does not know the log. @throws FleetRefused, FleetNotReachable */
  async held(log: string, signal: AbortSignal): Promise<Held | undefined> {
    try {
      const path = `${this.#machine}/logs/${encodeURIComponent(log)}`;
      const { body } = await this.#connection.send({ method: 'GET', path, patience: PATIENCE, signal });
      const { through, hash, diverged } = objectOf(body);
      return { through: requireSeq(through), hash: textOrNone(hash), diverged };
    } catch (error) {
      if (error instanceof FleetRefused && error.status === 404 && error.code !== 'unknown_machine') return undefined;
      throw error;
    }
  }

  /**
   * Sends lines of a log.
   * @throws FleetRefused, which is 409 with what the fleet expects, FleetNotReachable
   */
  async store(log: string, batch: Batch, extent: LogExtent, signal: AbortSignal): Promise<Stored> {
    const { first, entries, heard } = extent;
    const body = await compress(Buffer.concat(batch.lines, batch.bytes), { level: LEVEL });
    const answer = await this.#connection.send({
      method: 'PUT',
      path: `${this.#machine}/logs/${encodeURIComponent(log)}/entries?from=${batch.from}`,
      headers: {
        'content-type': 'application/x-ndjson',
        'content-encoding': 'gzip',
        'log-first': String(first),
        'log-entries': String(Math.max(entries, batch.last)),
        ...(heard === undefined ? {} : { 'fleet-through': String(heard) }),
      },
      body,
      patience: PATIENCE,
      signal,
    });
    const { through, hash, anchor, diverged, retry_after_ms: wait } = objectOf(answer.body);
    return {
      through: requireSeq(through),
      hash: textOrNone(hash),
      anchor: textOrNone(anchor),
      diverged,
      wait: typeof wait === 'number' && wait > 0 ? Math.min(wait, MINUTE) : 0,
      sent: body.length,
    };
  }

  /** @returns whether the fleet wants the text of the policy @throws FleetRefused, FleetNotReachable */
  async status(status: MachineStatus, signal: AbortSignal): Promise<boolean> {
    const { body } = await this.#sendJson('PUT', `${this.#machine}/status`, status, signal);
    return (body as { readonly policy_wanted?: unknown } | undefined)?.policy_wanted === true;
  }

  /**
   * The commands that wait for this machine, the oldest first.
   * @param wait how long the fleet may wait for one, in seconds
   * @throws FleetRefused, FleetNotReachable
   */
  async commands(wait: number, signal: AbortSignal): Promise<readonly WaitingCommand[]> {
    const path = `${this.#machine}/commands?wait=${wait}`;
    const patience = PATIENCE + wait * SECOND;
    const { body } = await this.#connection.send({ method: 'GET', path, patience, signal });
    if (!Array.isArray(body)) throw new TypeError('the fleet’s answer is no list of commands');
    return (body as readonly WaitingCommand[]).filter(
      (one) => typeof one?.id === 'string' && typeof one.command === 'string',
    );
  }

  /** Reports what came of a command. @throws FleetRefused, FleetNotReachable */
  async result(id: string, result: { readonly status: number; readonly body: unknown }, signal: AbortSignal) {
    await this.#sendJson('POST', `${this.#machine}/commands/${encodeURIComponent(id)}/result`, result, signal);
  }

  #sendJson(method: 'PUT' | 'POST', path: string, value: object, signal: AbortSignal) {
    const body = Buffer.from(JSON.stringify(value));
    const headers = { 'content-type': 'application/json' };
    return this.#connection.send({ method, path, headers, body, patience: PATIENCE, signal });
  }
}

/** What the fleet expects, from a refusal with 409; undefined for other refusals. */
export function expectedBy(error: unknown): Expected | undefined {
  if (!(error instanceof FleetRefused) || error.status !== 409) return undefined;
  const expected = (error.body.expected ?? {}) as Readonly<Record<string, unknown>>;
  const { log, from, prev_hash } = expected;
  return {
    code: error.code ?? 'refused',
    log: hashOrNone(log),
    from: typeof from === 'number' && Number.isSafeInteger(from) && from > 0 ? from : undefined,
    prev_hash: hashOrNone(prev_hash),
  };
}

const objectOf = (body: unknown): Readonly<Record<string, unknown>> =>
  typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {};

function requireSeq(value: unknown): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw new TypeError('the fleet’s answer does not say how far it has the log');
}

const textOrNone = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined;

const hashOrNone = (value: unknown): string | undefined =>
  typeof value === 'string' && /^[0-9a-f]{64}$/.test(value) ? value : undefined;
