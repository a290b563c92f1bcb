/**
 * How a machine joins: `fleet enrol NAME` prints a one-time secret, and the machine shows it once, with the SHA-256 of the
 * token that it has made. From then on that token is the machine's. To rotate is to enrol again; the token before is good
 * until the new one is there.
 */
import { createHash, randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import { isMachineName } from '../anchor.ts';
import { DAY } from '../clock.ts';
import { RecorderError } from '../errors.ts';
import { type Signer, verifierKeyOf } from '../signed-note.ts';
import { isLabel } from './access.ts';
import type { FleetDatabase } from './database.ts';
import type { Seal } from './sealed.ts';

const SECRET_BYTES = 32;
/** How long a one-time secret is good, in milliseconds. */
const GOOD_FOR = 7 * DAY;
const MOST_LABELS = 32;
const SHA256 = /^[0-9a-f]{64}$/;
const LONGEST_PUBLIC_KEY = 1024;
/** In bytes: those of the recorder's audit key. */
const [SHORTEST_AUDIT_KEY, LONGEST_AUDIT_KEY] = [32, 4096];

export interface EnrolmentOptions {
  readonly db: FleetDatabase;
  readonly signer: Signer;
  readonly seal: Seal;
}

/** What a machine sends to be enrolled. */
export interface EnrolRequest {
  readonly machine: string;
  readonly secret: string;
  readonly token_sha256: string;
  readonly public_key: string;
  /** Base64 of the key of its audit chain, where the fleet is to verify every hash. */
  readonly audit_key?: string | undefined;
}

/** What the machine learns. */
export interface Enrolled {
  readonly machine: string;
  readonly fleet: string;
  readonly fleet_key: string;
}

export class Enrolment {
  readonly #db: FleetDatabase;
  readonly #signer: Signer;
  readonly #seal: Seal;

  constructor({ db, signer, seal }: EnrolmentOptions) {
    this.#db = db;
    this.#signer = signer;
    this.#seal = seal;
  }

  /**
   * Admits a machine, with labels. One that was known before keeps the labels that it had where none are given.
   * @returns the one-time secret
   * @throws RecorderError `invalid_request` for a name or a label that none can have; `conflict` for one that is enrolled
   */
  async invite(machine: string, labels: Readonly<Record<string, string>>, who: string): Promise<string> {
    requireName(machine);
    requireLabels(labels);
    const known = await this.#machine(machine);
    if (known?.token_sha256 && known.revoked_at === null)
      throw new RecorderError('conflict', `${machine} is enrolled; to give it a new token: fleet rotate ${machine}`);
    const named = await this.#db
      .selectFrom('machines')
      .select('machine')
      .where('name', '=', machine)
      .executeTakeFirst();
    if (named !== undefined) throw new RecorderError('conflict', `${machine} is the name of ${named.machine}`);
    await this.#db
      .insertInto('machines')
      .values({ machine, labels: JSON.stringify(labels) })
      .onConflict((conflict) =>
        Object.keys(labels).length === 0
          ? conflict.column('machine').doNothing()
          : conflict.column('machine').doUpdateSet({ labels: JSON.stringify(labels) }),
      )
      .execute();
    return this.#secretFor(machine, 'enrol', who, { labels });
  }

  /**
   * Finds a machine by its own name, or by the one that it is shown with.
   * @returns its own name
   * @throws RecorderError `not_found`
   */
  async named(name: string): Promise<string> {
    const row = await this.#db
      .selectFrom('machines')
      .select('machine')
      .where((or) => or.or([or('machine', '=', name), or('name', '=', name)]))
      .orderBy((or) => or('machine', '=', name), 'desc')
      .executeTakeFirst();
    if (row === undefined) throw new RecorderError('not_found', `the fleet knows no machine ${name}`);
    return row.machine;
  }

  /**
   * Lets an enrolled machine get a new token.
   * @returns the one-time secret
   */
  async rotate(machine: string, who: string): Promise<string> {
    await this.#require(machine);
    return this.#secretFor(machine, 'rotate', who, {});
  }

  /** Takes a machine's token away. What it has sent stays. @throws RecorderError `not_found` */
  async revoke(machine: string, who: string): Promise<void> {
    await this.#require(machine);
    await this.#db.transaction().execute(async (tx) => {
      await sql`UPDATE machines SET revoked_at = clock_timestamp(), token_sha256 = NULL WHERE machine = ${machine}`.execute(
        tx,
      );
      await tx.deleteFrom('enrolments').where('machine', '=', machine).where('used_at', 'is', null).execute();
    });
    await this.#note(machine, 'revoke', who, {});
  }

  /**
   * Gives a machine another name to show. Its own stays what it is: anchors, addresses and every row carry it.
   * @throws RecorderError `not_found`, `conflict` when another machine has the name
   */
  async rename(machine: string, name: string, who: string): Promise<void> {
    await this.#require(machine);
    requireName(name);
    const taken = await this.#db
      .selectFrom('machines')
      .select('machine')
      .where((or) => or.or([or('machine', '=', name), or('name', '=', name)]))
      .where('machine', '<>', machine)
      .executeTakeFirst();
    if (taken !== undefined) throw new RecorderError('conflict', `${name} is the name of ${taken.machine}`);
    await this.#db
      .updateTable('machines')
      .set({ name: name === machine ? null : name })
      .where('machine', '=', machine)
      .execute();
    await this.#note(machine, 'rename', who, { name });
  }

  /**
   * Enrols the machine that shows a secret.
   * @throws RecorderError `forbidden` for a wrong secret, `gone` for one that was used or has expired, `invalid_request`
   */
  async enrol({ machine, secret, token_sha256, public_key, audit_key }: EnrolRequest): Promise<Enrolled> {
    requireName(machine);
    if (!SHA256.test(token_sha256)) throw new RecorderError('invalid_request', 'token_sha256 must be 64 digits of hex');
    if (public_key.length > LONGEST_PUBLIC_KEY || !/^[\x20-\x7e\n]+$/.test(public_key))
      throw new RecorderError('invalid_request', 'public_key must be text');
    const key = audit_key === undefined ? undefined : auditKeyIn(audit_key);
    await this.#db.transaction().execute(async (tx) => {
      const { rows } = await sql<{ audit_key_sealed: string | null }>`
        SELECT audit_key_sealed FROM machines WHERE machine = ${machine} FOR UPDATE`.execute(tx);
      const known = await tx
        .selectFrom('enrolments')
        .select(['used_at', sql<boolean>`expires_at < clock_timestamp()`.as('is_over')])
        .where('machine', '=', machine)
        .where('secret_sha256', '=', sha256(secret))
        .executeTakeFirst();
      if (known === undefined || rows[0] === undefined)
        throw new RecorderError('forbidden', 'forbidden: this is no secret for this machine');
      if (known.used_at !== null) throw new RecorderError('gone', 'this secret was used; ask for another one');
      if (known.is_over) throw new RecorderError('gone', 'this secret has expired; ask for another one');
      await sql`
        UPDATE enrolments SET used_at = clock_timestamp()
        WHERE machine = ${machine} AND secret_sha256 = ${sha256(secret)}`.execute(tx);
      // One that was printed before, and is perhaps in other hands, is not to give the machine another token.
      await tx.deleteFrom('enrolments').where('machine', '=', machine).where('used_at', 'is', null).execute();
      const sealed = rows[0].audit_key_sealed;
      const keys = key === undefined ? sealed : this.#seal.add(sealed, key);
      await sql`
        UPDATE machines SET enrolled_at = clock_timestamp(), revoked_at = NULL, token_sha256 = ${token_sha256},
          public_key = ${public_key}, signs_since = NULL, audit_key_sealed = ${keys}
        WHERE machine = ${machine}`.execute(tx);
      if (key !== undefined)
        await tx.updateTable('logs').set({ key_lost_from: null }).where('machine', '=', machine).execute();
    });
    await this.#note(machine, 'enrolled', machine, { audit_key: key !== undefined });
    return { machine, fleet: this.#signer.name, fleet_key: verifierKeyOf(this.#signer) };
  }

  async #secretFor(machine: string, what: string, who: string, detail: object): Promise<string> {
    const secret = randomBytes(SECRET_BYTES).toString('base64url');
    await sql`
      INSERT INTO enrolments (machine, secret_sha256, created_at, expires_at)
      VALUES (${machine}, ${sha256(secret)}, clock_timestamp(),
        clock_timestamp() + ${GOOD_FOR / 1000}::float8 * interval '1 second')`.execute(this.#db);
    await this.#note(machine, what, who, detail);
    return secret;
  }

  async #note(machine: string, what: string, who: string, detail: object): Promise<void> {
    const id = `${new Date().toISOString()}-${randomBytes(6).toString('hex')}`;
    await sql`
      INSERT INTO acts (machine, id, at, who, what, detail)
      VALUES (${machine}, ${id}, clock_timestamp(), ${who}, ${what}, ${JSON.stringify(detail)}::jsonb)`.execute(
      this.#db,
    );
  }

  #machine(machine: string) {
    return this.#db
      .selectFrom('machines')
      .select(['token_sha256', 'revoked_at'])
      .where('machine', '=', machine)
      .executeTakeFirst();
  }

  async #require(machine: string): Promise<void> {
    if ((await this.#machine(machine)) === undefined)
      throw new RecorderError('not_found', `the fleet knows no machine ${machine}`);
  }
}

function requireName(machine: string): void {
  if (isMachineName(machine)) return;
  const allowed = '1 to 128 letters, digits, ".", "_" or "-", and begin with a letter or a digit';
  throw new RecorderError('invalid_request', `the name of a machine must be ${allowed}`);
}

function requireLabels(labels: Readonly<Record<string, string>>): void {
  const all = Object.entries(labels);
  if (all.length > MOST_LABELS) throw new RecorderError('invalid_request', `at most ${MOST_LABELS} labels`);
  const allowed = '1 to 63 letters, digits, ".", "_", "/" or "-", and begin with a letter or a digit';
  for (const [name, value] of all) {
    if (isLabel(name) && isLabel(value)) continue;
    throw new RecorderError('invalid_request', `label ${name}=${value}: its name and its value must be ${allowed}`);
  }
}

function auditKeyIn(text: string): Buffer {
  const key = Buffer.from(text, 'base64');
  if (key.length >= SHORTEST_AUDIT_KEY && key.length <= LONGEST_AUDIT_KEY) return key;
  throw new RecorderError('invalid_request', 'audit_key must be base64 of 32 to 4,096 bytes');
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
