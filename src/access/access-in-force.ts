/**
 * Who may do what now: the access file in force, and its replacement.
 *
 * - `open`: there is no access file, and there never was one. Whoever has the service token has every role.
 * - `file`: a file is in force. The service token has only the roles that it gives.
 * - `unknown`: there is no file, and the log is still being read: whether there was one is not known. The service token is
 *   good for reports and what carries containment out, and for nothing that a person does.
 * - `missing`: there is no file, but the log says that there was one. Nobody has a role.
 *
 * A reloaded file comes into force when its `access.loaded` entry is on disk. A faulty or missing one never does.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { AuditLog } from '../audit/log.ts';
import { type Clock, timestamp } from '../clock.ts';
import { type Caller, SERVICE_TOKEN } from '../domain/caller.ts';
import type { DraftOf } from '../domain/entries.ts';
import { RecorderError } from '../errors.ts';
import { proofKeyIdOf } from '../proof.ts';
import { readVerifierKey } from '../signed-note.ts';
import { type AccessContent, type Grant, parseAccess, refusedAccess } from './access-file.ts';
import { readClosedFile } from './closed-file.ts';
import { EVERY_ROLE, type FleetTrust, type Principal, type Principals } from './principal.ts';
import { TokenFile } from './token-file.ts';

/** Far larger than any access file, in bytes. */
const LARGEST_FILE = 256 * 1024;

/** What `ACCESS_PATH` is to be where a log that had an access file goes on without one. */
const NO_ACCESS_FILE = 'none';

export interface AccessConfig {
  /** The access file, or `none`. */
  readonly accessPath: string;
  /** The file with the service token. */
  readonly tokenPath: string;
  /** Directories above this one are trusted. */
  readonly trustedBelow: string;
}

/** A principal, and the SHA-256 of its token. */
interface Holder {
  readonly principal: Principal;
  readonly file?: TokenFile;
  /** @param isFresh whether to look at the token's file now, and not only from time to time */
  readonly key: (isFresh?: boolean) => Buffer | undefined;
}

/** An access file that was read, with what it gives. */
interface Loaded {
  readonly content: AccessContent;
  readonly loaded_at: string;
  readonly holders: readonly Holder[];
  readonly service: { readonly principal: Principal; readonly token: TokenFile } | undefined;
  readonly fleet: FleetTrust | undefined;
}

/** While it is not known whether there was an access file. */
const AT_FIRST: Principal = {
  ...EVERY_ROLE,
  roles: ['reader', 'reporter', 'implementer'],
  refusal: new RecorderError('starting', 'the log is being read: whether there was an access file is not known yet'),
};

export class AccessInForce implements Principals {
  readonly #config: AccessConfig;
  readonly #clock: Clock;
  /** The service token while there is no access file. */
  readonly #token: TokenFile | undefined;
  #loaded: Loaded | undefined;
  #state: 'open' | 'file' | 'unknown' | 'missing';
  /** Why the last reload was refused, when it was. */
  #refused = false;

  /**
   * Reads the access file, and the service token where somebody may use it.
   * @throws RecorderError `invalid_access` for a file that is faulty or that others can write, `config` for an unusable
   *   service token
   */
  constructor(config: AccessConfig, clock: Clock) {
    this.#config = config;
    this.#clock = clock;
    this.#loaded = this.#load();
    this.#state = this.#loaded === undefined ? 'open' : 'file';
    if (this.#loaded === undefined) {
      this.#token = TokenFile.open(config.tokenPath, 'service token', clock, config.trustedBelow);
    }
  }

  /** Whether a file is in force. */
  get hasFile(): boolean {
    return this.#loaded !== undefined;
  }

  /** Whether the configuration says that there is to be none. */
  get isOverridden(): boolean {
    return this.#config.accessPath === NO_ACCESS_FILE;
  }

  /** The fleet that keeps a copy of the log; undefined where the access file names none. */
  get fleet(): FleetTrust | undefined {
    return this.#loaded?.fleet;
  }

  principalOf(token: string | undefined): Principal | undefined {
    if (token === undefined) return undefined;
    if (this.#loaded === undefined) {
      if (this.#token?.matches(token) !== true) return undefined;
      if (this.#state === 'missing') {
        return { ...EVERY_ROLE, roles: [], refusal: new RecorderError('forbidden', this.#missing()) };
      }
      return this.#state === 'unknown' ? AT_FIRST : EVERY_ROLE;
    }
    const { service } = this.#loaded;
    const isService = service?.token.matches(token) === true;
    const presented = isService ? service.token.key : createHash('sha256').update(token, 'latin1').digest();
    if (presented === undefined) return undefined;
    let found = this.#holdersOf(presented);
    if (isService) return found.length === 0 ? service.principal : undefined;
    // A file may hold a new token since it was looked at.
    if (found.length === 0) found = this.#holdersOf(presented, true);
    return found.length === 1 ? found[0] : undefined;
  }

  /**
   * The principals whose token has this SHA-256: none, one, or several where a file was replaced by that of another. Then
   * nobody knows who it is, and it is nobody's.
   */
  #holdersOf(digest: Buffer, isFresh = false): readonly Principal[] {
    const found: Principal[] = [];
    // All are compared: how long it takes says nothing about which one it is.
    for (const { principal, key } of this.#loaded?.holders ?? []) {
      const expected = key(isFresh);
      if (expected !== undefined && timingSafeEqual(expected, digest)) found.push(principal);
    }
    return found;
  }

  proofKey(id: string): Buffer | undefined {
    const token = this.#loaded === undefined ? this.#token : this.#loaded.service?.token;
    const own = token?.proofKey(id);
    if (own !== undefined || this.#loaded === undefined) return own;
    const { holders } = this.#loaded;
    const known = (isFresh: boolean): Buffer | undefined =>
      holders.map(({ key }) => key(isFresh)).find((key) => key !== undefined && proofKeyIdOf(key) === id);
    return known(false) ?? known(true);
  }

  /** Why nobody, or nobody with the service token, is let in; undefined while all is well. */
  fault(): string | undefined {
    if (this.#state === 'missing') return this.#missing();
    return this.#loaded === undefined ? this.#token?.fault() : this.#loaded.service?.token.fault();
  }

  /** What an operator should know although the recorder works. */
  get warnings(): readonly string[] {
    const { accessPath } = this.#config;
    if (this.#loaded === undefined) {
      const what = this.isOverridden ? 'ACCESS_PATH=none' : `no access file at ${accessPath}`;
      return [`${what}: whoever has the service token has every role, and is whoever they say`];
    }
    return [
      ...(this.#refused
        ? [
            `${accessPath} was missing or faulty at the last reload: what was loaded at ${this.#loaded.loaded_at} stays in force`,
          ]
        : []),
      ...this.#loaded.holders.flatMap(({ file }) => file?.fault() ?? []),
      ...sharedTokens(this.#loaded.holders, this.#loaded.service?.token.key).map(
        ({ name, other }) => `${other} and ${name} have the same token: nobody is admitted with it`,
      ),
    ];
  }

  /** What `/health` shows of it. */
  get summary(): object {
    if (this.#loaded === undefined) return { source: 'none' };
    const { content, loaded_at, fleet } = this.#loaded;
    const { accessPath: path } = this.#config;
    return {
      source: 'file',
      path,
      digest: content.digest,
      loaded_at,
      principals: Object.keys(content.principals).length,
      ...(fleet === undefined ? {} : { fleet: fleet.verifier.name }),
    };
  }

  /** The entry that says what is in force; undefined when there is neither a file nor an override. */
  entry(caller?: Caller): DraftOf<'access.loaded'> | undefined {
    if (this.#loaded !== undefined) return entryOf(this.#loaded, caller);
    if (!this.isOverridden) return undefined;
    return { timestamp: timestamp(this.#clock.now()), event: 'access.loaded', data: { source: 'none' } };
  }

  /**
   * Compares with the log whether there may be no file.
   * @param hadFile whether the log holds an `access.loaded` of a file; undefined while that is not known
   * @returns whether the recorder may serve without one
   */
  compare(hadFile: boolean | undefined): boolean {
    if (this.#loaded !== undefined || this.isOverridden) return true;
    this.#state = hadFile === undefined ? 'unknown' : hadFile ? 'missing' : 'open';
    return this.#state !== 'missing';
  }

  /** @throws RecorderError `config` where there is no file and the log says that there was one */
  requireFile(): void {
    if (this.#state === 'missing') throw new RecorderError('config', this.#missing());
  }

  /** Reads the files of tokens again, even those that look unchanged. */
  rereadTokens(): void {
    this.#token?.reload();
    this.#loaded?.service?.token.reload();
    for (const { file } of this.#loaded?.holders ?? []) file?.reload();
  }

  /**
   * Reads the access file again, and puts nothing into force yet.
   * @returns puts it into force, once its entry is on disk; rejects with what `append` throws, and then it is not
   * @throws RecorderError `invalid_access`; what is in force stays
   */
  prepareReload(log: Pick<AuditLog, 'append'>): (caller?: Caller) => Promise<object> {
    this.#refused = this.hasFile;
    const next = this.#load();
    if (next === undefined) {
      if (!this.hasFile) return () => Promise.resolve(this.summary);
      throw refusedAccess([
        { file: this.#config.accessPath, line: 1, message: 'the file is not there; what is in force stays' },
      ]);
    }
    this.#refused = false;
    return async (caller) => {
      await log.append([entryOf(next, caller, this.#loaded?.content.digest)]);
      this.#loaded = next;
      this.#state = 'file';
      return this.summary;
    };
  }

  #missing(): string {
    const { accessPath } = this.#config;
    return (
      `no access file at ${accessPath}, and the audit log says that there was one: put it back; ` +
      'ACCESS_PATH=none gives whoever has the service token every role instead, which is recorded'
    );
  }

  #load(): Loaded | undefined {
    if (this.isOverridden) return undefined;
    const { accessPath: path, tokenPath, trustedBelow } = this.#config;
    const text = readAccessFile(path, trustedBelow);
    if (text === undefined) return undefined;
    const content = parseAccess(text, path);
    const open = (name: string, place: string): TokenFile => {
      try {
        return TokenFile.open(place, name, this.#clock, trustedBelow);
      } catch (error) {
        if (!(error instanceof RecorderError)) throw error;
        throw refusedAccess([{ file: path, line: lineOf(text, place), message: error.message }], error);
      }
    };
    const service =
      content.service_token === undefined
        ? undefined
        : {
            principal: { ...principalOf(SERVICE_TOKEN, content.service_token), shared: true as const },
            token: open('service token', tokenPath),
          };
    const holders = Object.entries(content.principals).map(([name, given]): Holder => {
      const principal = principalOf(name, given);
      if ('token_sha256' in given) {
        const key = Buffer.from(given.token_sha256, 'hex');
        return { principal, key: () => key };
      }
      const file = open(`token of ${name}`, given.token_path);
      return { principal, file, key: (isFresh) => (isFresh === true ? file.freshKey : file.key) };
    });
    requireDistinct(path, text, content, holders, service?.token.key);
    return { content, loaded_at: timestamp(this.#clock.now()), holders, service, fleet: fleetOf(content) };
  }
}

function fleetOf({ fleet_key, fleet }: AccessContent): FleetTrust | undefined {
  if (fleet_key === undefined) return undefined;
  const verifier = readVerifierKey(fleet_key);
  if (fleet === undefined) return { verifier, roles: [] };
  const { machine, roles, actions } = fleet;
  return { verifier, machine, roles, actions: actions === 'any' ? undefined : actions };
}

const principalOf = (name: string, { roles, sources, classes, actions }: Grant): Principal => ({
  name,
  roles,
  sources: sources === 'any' ? undefined : sources,
  classes: classes === 'any' ? undefined : classes,
  actions: actions === 'any' ? undefined : actions,
});

const entryOf = (
  { content, loaded_at }: Loaded,
  caller: Caller | undefined,
  previous?: string,
): DraftOf<'access.loaded'> => {
  const { digest, service_token, principals, fleet_key, fleet } = content;
  const rolesOf = Object.entries(principals).map(([name, { roles }]) => [name, roles] as const);
  return {
    timestamp: loaded_at,
    event: 'access.loaded',
    data: {
      source: 'file',
      digest,
      ...(previous === undefined ? {} : { previous_digest: previous }),
      service_token: service_token?.roles ?? [],
      principals: Object.fromEntries(rolesOf),
      ...(fleet_key === undefined ? {} : { fleet_key, fleet: fleet?.roles ?? [] }),
      ...caller,
    },
  };
};

/** The text of the file; undefined when it is not there. @throws RecorderError `invalid_access` */
function readAccessFile(path: string, trustedBelow: string): string | undefined {
  try {
    // The hash of a token proves the recorder to whoever has the token, so it must not be read by all.
    return readClosedFile(path, trustedBelow, LARGEST_FILE).content.toString();
  } catch (error) {
    if (!(error instanceof RecorderError)) throw error;
    if ((error.cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT') return undefined;
    throw refusedAccess([{ file: path, line: 1, message: error.message }], error);
  }
}

/** The principals whose token another one has, too, with the name of that one. */
function sharedTokens(
  holders: readonly Holder[],
  serviceKey: Buffer | undefined,
): readonly { readonly name: string; readonly other: string }[] {
  const first = new Map<string, string>();
  if (serviceKey !== undefined) first.set(serviceKey.toString('hex'), SERVICE_TOKEN);
  return holders.flatMap(({ principal: { name }, key }) => {
    const token = key()?.toString('hex');
    if (token === undefined) return [];
    const other = first.get(token);
    first.set(token, other ?? name);
    return other === undefined ? [] : [{ name, other }];
  });
}

/** @throws RecorderError `invalid_access` where two principals have the same token */
function requireDistinct(
  path: string,
  text: string,
  { principals }: AccessContent,
  holders: readonly Holder[],
  serviceKey: Buffer | undefined,
): void {
  const faults = sharedTokens(holders, serviceKey).map(({ name, other }) => {
    const [, place = ''] = Object.entries(principals[name] ?? {}).find(([member]) => member.startsWith('token_')) ?? [];
    const message = `principals.${name}: has the token of ${other}: each principal needs a token of its own`;
    return { file: path, line: lineOf(text, String(place)), message };
  });
  if (faults.length > 0) throw refusedAccess(faults);
}

/** The line in which a text stands first. */
const lineOf = (text: string, searched: string): number => {
  const at = text.indexOf(searched);
  return at === -1 ? 1 : text.slice(0, at).split('\n').length;
};
