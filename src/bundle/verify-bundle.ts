/**
 * Verifies an evidence bundle. It believes nothing that the bundle says about itself: each field against the manifest, the
 * manifest against a proof, each line against its hash and its place in the log.
 */
import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { isUtf8 } from 'node:buffer';
import * as z from 'zod/mini';
import { type Anchor, claimedAnchor, readAnchor } from '../anchor.ts';
import type { ChainHash } from '../audit/chain-hash.ts';
import { EntryFault, parseGenuine } from '../audit/entry.ts';
import { RecorderError } from '../errors.ts';
import { readVerifierKey, type Verifier } from '../signed-note.ts';
import {
  type Bundle,
  type Field,
  fieldHash,
  fingerprintOf,
  FORMAT,
  hashedManifest,
  lineName,
  type Manifest,
  PROOFS,
  signedText,
} from './format.ts';
import { leafHash, rootFrom, rootUpTo } from './merkle-tree.ts';

export interface BundleKeys {
  /** With the audit key. */
  readonly hash?: ChainHash | undefined;
  /** With earlier audit keys of the same log: a bundle that a fleet makes has lines from before a rotation, too. */
  readonly others?: readonly ChainHash[] | undefined;
  /** The public key that must have signed, PEM; else the one in the bundle is used. */
  readonly publicKey?: string | undefined;
  /**
   * The keys of the fleet that must have signed the anchor, and a bundle that a fleet has made. Without any, the anchor of a
   * recorder's bundle is not checked, and a fleet's bundle by the key in it; with an audit key alone that is not valid.
   */
  readonly fleet?: readonly Verifier[] | undefined;
}

/** The anchor of a bundle. */
export interface AnchorVerdict {
  readonly fleet: string;
  readonly machine: string;
  readonly seq: number;
  readonly time: string;
  readonly signature: 'verified' | 'not checked';
  /** `log`: all entries up to it are those that were signed; `entry`: those before it are archived. */
  readonly covers: 'log' | 'entry';
}

/** A fleet's bundle is proved by its signature; the audit key of the machine proves the lines in it. */
export type ProvedBy = 'audit key' | 'signature' | 'audit key (lines)';

export interface BundleVerdict {
  readonly valid: boolean;
  /** What is wrong, at most `MOST_FAULTS`. */
  readonly faults: readonly string[];
  /** What the bundle was checked by. */
  readonly proved_by: readonly ProvedBy[];
  /** SHA-256 of the public key (DER), lower-case hex, when it is signed. */
  readonly signer?: string;
  readonly manifest?: Manifest;
  /** Not there when it has none, or a wrong one. */
  readonly anchor?: AnchorVerdict;
  /** How many fields it holds, and the names of those that were left out. */
  readonly fields: number;
  readonly left_out: readonly string[];
}

const MOST_FAULTS = 20;

const HEX = /^[0-9a-f]{64}$/;
const hex = z.string().check(z.regex(HEX));
const count = z.int().check(z.minimum(0));

const included = z.strictObject({ seq: count, entry_hash: hex, path: z.array(hex) });

const bundleSchema = z.strictObject({
  format: z.literal(FORMAT),
  fields: z.record(z.string(), z.strictObject({ salt: hex, value: z.string() })),
  manifest: z.string(),
  manifest_hash: hex,
  signature: z.exactOptional(z.string()),
  public_key: z.exactOptional(z.string()),
});

const manifestSchema = z.strictObject({
  format: z.literal(FORMAT),
  made_at: z.string(),
  made_for: z.record(z.string(), z.union([z.string(), z.boolean()])),
  version: z.string(),
  proofs: z.array(z.enum(PROOFS)),
  signer: z.nullable(hex),
  signed_by: z.exactOptional(z.strictObject({ fleet: z.string(), key: z.string() })),
  machine: z.exactOptional(
    z.strictObject({
      name: z.string(),
      history: z.string(),
      standing: z.enum(['current', 'left']),
      diverged: z.nullable(z.strictObject({ from: z.string(), at_seq: count })),
      hashes: z.enum(['verified', 'unverified']),
      unverified_from: z.nullable(count),
    }),
  ),
  log: z.strictObject({
    id: z.nullable(z.string()),
    algorithm: z.enum(['hmac-sha256', 'sha256']),
    head: z.strictObject({ seq: count, entry_hash: hex }),
    anchor: z.nullable(z.strictObject({ note: z.string(), entry: included })),
    tree: z.strictObject({ first: count, size: count, root: hex }),
  }),
  incidents: z.array(
    z.strictObject({
      id: z.string(),
      version: count,
      entries: z.array(included),
      missing: z.exactOptional(z.strictObject({ entries: count, reason: z.string() })),
    }),
  ),
  fields: z.record(z.string(), hex),
});

/** Reads a bundle. @throws BundleFault when it is none */
export function readBundle(bytes: Uint8Array): Bundle {
  if (!isUtf8(bytes)) throw new BundleFault('it is not UTF-8');
  const text = Buffer.from(bytes).toString('utf8');
  return readExactly('it', text, bundleSchema, '\n') as Bundle;
}

export class BundleFault extends Error {
  override readonly name = 'BundleFault';
}

function readExactly(what: string, text: string, schema: z.ZodMiniType, end = ''): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new BundleFault(`${what} is not JSON`);
  }
  const result = schema.safeParse(value);
  if (!result.success) {
    const [issue] = result.error.issues;
    throw new BundleFault(`${what} has not the form of ${FORMAT}: ${issue?.path.join('.') || 'root'}`);
  }
  if (`${JSON.stringify(value)}${end}` !== text)
    throw new BundleFault(`${what} is not spelt as the recorder writes it`);
  return value;
}

/** Verifies a bundle. Throws nothing: what is wrong is in the verdict. */
export function verifyBundle(bytes: Uint8Array, keys: BundleKeys): BundleVerdict {
  try {
    return new Verifying(readBundle(bytes), keys).verdict();
  } catch (error) {
    if (!(error instanceof BundleFault)) throw error;
    return { valid: false, faults: [error.message], proved_by: [], fields: 0, left_out: [] };
  }
}

class Verifying {
  readonly #bundle: Bundle;
  readonly #manifest: Manifest;
  readonly #keys: BundleKeys;
  readonly #faults: string[] = [];
  readonly #provedBy: ProvedBy[] = [];
  /** With each key that may have written a line; none: their hashes are not checked. */
  readonly #hashes: readonly ChainHash[];
  /** The key of the fleet that has made the bundle; undefined where a recorder has, or where it is none. */
  readonly #fleet: Verifier | undefined;
  #lines = 0;
  #signer: string | undefined;

  constructor(bundle: Bundle, keys: BundleKeys) {
    this.#bundle = bundle;
    this.#keys = keys;
    this.#manifest = readExactly('its manifest', bundle.manifest, manifestSchema) as Manifest;
    const { hash, others = [] } = keys;
    this.#hashes = hash === undefined ? others : [hash, ...others];
    this.#fleet = this.#readFleet();
  }

  verdict(): BundleVerdict {
    this.#checkFields();
    this.#checkAuditKey();
    this.#checkSignature();
    for (const incident of this.#manifest.incidents) this.#checkIncident(incident);
    const anchor = this.#checkAnchor();
    if (this.#isOfFleet && this.#hashes.length > 0 && this.#lines > 0 && this.#faults.length === 0)
      this.#provedBy.push('audit key (lines)');
    if (this.#provedBy.length === 0 && this.#faults.length === 0) this.#fault(this.#unproved());
    const { fields } = this.#bundle;
    return {
      valid: this.#faults.length === 0,
      faults: this.#faults,
      proved_by: this.#provedBy,
      ...(this.#signer === undefined ? {} : { signer: this.#signer }),
      manifest: this.#manifest,
      ...(anchor === undefined ? {} : { anchor }),
      fields: Object.keys(fields).length,
      left_out: Object.keys(this.#manifest.fields).filter((name) => !Object.hasOwn(fields, name)),
    };
  }

  get #isOfFleet(): boolean {
    return this.#manifest.signed_by !== undefined || this.#manifest.machine !== undefined;
  }

  /** The key of the fleet that says that it has made the bundle. */
  #readFleet(): Verifier | undefined {
    const { signed_by: signer, machine, proofs } = this.#manifest;
    if (!this.#isOfFleet) return undefined;
    if (signer === undefined || machine === undefined || proofs.join() !== 'signature') {
      this.#fault('its manifest does not say which fleet signs, and of which machine it is');
      return undefined;
    }
    if ((machine.hashes === 'verified') !== (machine.unverified_from === null))
      this.#fault('its manifest contradicts itself about the hashes of the log');
    try {
      const verifier = readVerifierKey(signer.key);
      if (verifier.name === signer.fleet) return verifier;
    } catch (error) {
      if (!(error instanceof RecorderError)) throw error;
    }
    this.#fault('its manifest has no key of the fleet that signs');
    return undefined;
  }

  #fault(message: string): void {
    if (this.#faults.length < MOST_FAULTS) this.#faults.push(message);
  }

  #unproved(): string {
    return this.#manifest.proofs.includes('audit-key')
      ? 'it is not signed, and the audit key is not given: nothing shows who made it'
      : 'it carries no proof: its log had no key, and it is not signed, so nothing shows who made it';
  }

  #checkFields(): void {
    for (const [name, field] of Object.entries<Field>(this.#bundle.fields)) {
      const expected = Object.hasOwn(this.#manifest.fields, name) ? this.#manifest.fields[name] : undefined;
      if (expected === undefined) this.#fault(`field ${name} is not in the manifest`);
      else if (fieldHash(name, field) !== expected) this.#fault(`field ${name} was changed`);
    }
  }

  #checkAuditKey(): void {
    const { manifest, manifest_hash: said } = this.#bundle;
    const { algorithm } = this.#manifest.log;
    if (algorithm === 'sha256' || this.#isOfFleet) {
      const computed = createHash('sha256').update(hashedManifest(manifest)).digest('hex');
      if (computed !== said) this.#fault('the manifest was changed, or its hash');
      if (algorithm === 'sha256' && this.#hashes.some(({ keyed }) => keyed))
        this.#fault('an audit key is given, and the log of the bundle has none');
      return;
    }
    if (!this.#manifest.proofs.includes('audit-key'))
      this.#fault('the manifest does not name the audit key as its proof');
    if (this.#hashes.length === 0) return;
    if (this.#hashes.every((hash) => hash.digest(hashedManifest(manifest)) !== said)) {
      this.#fault('the manifest was changed, or its hash, or the bundle was made with another audit key');
    } else this.#provedBy.push('audit key');
  }

  #checkSignature(): void {
    const { signature, public_key: embedded } = this.#bundle;
    const isNamed = this.#manifest.proofs.includes('signature');
    if (isNamed !== (this.#manifest.signer !== null)) this.#fault('its manifest does not say who signs');
    if (
      isNamed !== (signature !== undefined && embedded !== undefined) ||
      (!isNamed && (signature ?? embedded) !== undefined)
    ) {
      this.#fault(isNamed ? 'its signature is missing' : 'it has a signature that its manifest does not name');
      return;
    }
    if (signature === undefined || embedded === undefined) {
      if (this.#keys.publicKey !== undefined) this.#fault('it is not signed');
      return;
    }
    const key = publicKeyIn(embedded);
    const expected = this.#keys.publicKey === undefined ? key : publicKeyIn(this.#keys.publicKey);
    if (key === undefined || expected === undefined) {
      this.#fault('its public key, or the one that is given, is no Ed25519 key in PEM');
      return;
    }
    // One signature has one spelling, and so has the key.
    const bytes = Buffer.from(signature, 'base64');
    const isExact = bytes.toString('base64') === signature && pemOf(key) === embedded;
    this.#signer = fingerprintOf(derOf(key));
    if (this.#signer !== this.#manifest.signer) this.#fault('it is signed with another key than its manifest names');
    else if (this.#isOfSomeFleet)
      this.#fault('a fleet has made it: give the key of the fleet that must have signed it, besides the audit key');
    else if (!derOf(key).equals(derOf(expected)) || !this.#isKeyOfFleet(key))
      this.#fault('it is signed with another key than the one that is given');
    else if (!isExact || !verify(null, Buffer.from(signedText(this.#bundle)), expected, bytes))
      this.#fault('the signature does not hold');
    else this.#provedBy.push('signature');
  }

  /** Whether it is a fleet's, and an audit key is given, but no fleet: anyone may sign lines of a recorder as a fleet. */
  get #isOfSomeFleet(): boolean {
    const { fleet: given = [], publicKey } = this.#keys;
    return this.#isOfFleet && this.#hashes.length > 0 && given.length === 0 && publicKey === undefined;
  }

  /** Whether a bundle of a fleet is signed by that fleet, and it is one of those that are given. */
  #isKeyOfFleet(key: KeyObject): boolean {
    if (!this.#isOfFleet) return true;
    const verifier = this.#fleet;
    const { fleet: given = [] } = this.#keys;
    if (verifier === undefined || !derOf(verifier.publicKey).equals(derOf(key))) return false;
    return given.length === 0 || given.some(({ name, id }) => name === verifier.name && id === verifier.id);
  }

  #checkIncident({ id, version, entries, missing }: Manifest['incidents'][number]): void {
    const { tree, head } = this.#manifest.log;
    if (tree.first + tree.size - 1 !== head.seq) this.#fault('the tree does not end with the head of the log');
    if (entries.length + (missing?.entries ?? 0) !== version)
      this.#fault(
        `${id} has ${version} entries, and the bundle accounts for ${entries.length + (missing?.entries ?? 0)}`,
      );
    let before = 0;
    for (const { seq, entry_hash: hash, path } of entries) {
      if (seq <= before || seq > head.seq) this.#fault(`entry ${seq} of ${id} is not in its order`);
      before = seq;
      const leaf = leafHash(Buffer.from(hash, 'hex'));
      const root = rootFrom(
        leaf,
        seq - tree.first,
        tree.size,
        path.map((one) => Buffer.from(one, 'hex')),
      );
      if (root === undefined || Buffer.from(root).toString('hex') !== tree.root) {
        this.#fault(`entry ${seq} is not in its place in the log`);
      }
      const line = this.#bundle.fields[lineName(seq)]?.value;
      if (line !== undefined) this.#checkLine(id, seq, hash, line);
      else if (!Object.hasOwn(this.#manifest.fields, lineName(seq)))
        this.#fault(`the line of entry ${seq} is not there`);
    }
  }

  /** The anchor, when nothing is wrong with it. */
  #checkAnchor(): AnchorVerdict | undefined {
    const { anchor: bundled, id, tree } = this.#manifest.log;
    const { fleet: given = [] } = this.#keys;
    const keys = given.length === 0 && this.#fleet !== undefined ? [this.#fleet] : given;
    if (bundled === null) {
      // A fleet that makes a bundle signs how far the log goes with it.
      if (keys.length > 0 && !this.#isOfFleet) this.#fault('it has no anchor');
      return undefined;
    }
    const { note, entry } = bundled;
    let anchor: Anchor;
    try {
      anchor = keys.length > 0 ? readAnchor(note, keys) : claimedAnchor(note);
    } catch (error) {
      if (!(error instanceof RecorderError)) throw error;
      this.#fault(`its anchor: ${error.message}`);
      return undefined;
    }
    const { fleet, machine, seq, time } = anchor;
    const covers = tree.first === 1 ? 'log' : 'entry';
    const at = seq - tree.first;
    const leaf = leafHash(Buffer.from(entry.entry_hash, 'hex'));
    const path = entry.path.map((one) => Buffer.from(one, 'hex'));
    const root = rootFrom(leaf, at, tree.size, path);
    if (anchor.log !== id || entry.seq !== seq || entry.entry_hash !== anchor.hash) {
      this.#fault('its anchor is not of this log');
    } else if (this.#isOfFleet && (fleet !== this.#fleet?.name || machine !== this.#manifest.machine?.name)) {
      this.#fault(`its anchor is one of ${machine} by ${fleet}`);
    } else if (root === undefined || Buffer.from(root).toString('hex') !== tree.root) {
      this.#fault(`entry ${seq}, which is anchored, is not in its place in the log`);
    } else if (covers === 'log' && Buffer.from(rootUpTo(leaf, at, tree.size, path)).toString('hex') !== anchor.root) {
      this.#fault(`the entries up to ${seq} are others than were anchored`);
    } else {
      return { fleet, machine, seq, time, signature: keys.length > 0 ? 'verified' : 'not checked', covers };
    }
    return undefined;
  }

  #checkLine(id: string, seq: number, hash: string, line: string): void {
    let entry: unknown;
    try {
      entry = this.#hashes.length === 0 ? JSON.parse(line) : genuine(line, this.#hashes);
      this.#lines += 1;
    } catch (error) {
      const why = error instanceof EntryFault ? error.message : 'no JSON';
      this.#fault(`the line of entry ${seq} does not verify: ${why}`);
      return;
    }
    // Without the key it may be any JSON.
    const { data, entry_hash: own } = membersOf(entry);
    const { seq: said, incident } = membersOf(data);
    if (own !== hash || said !== seq || incident !== id)
      this.#fault(`the line of entry ${seq} is not that entry of ${id}`);
  }
}

/** A line that was written with one of the keys. @throws EntryFault */
function genuine(line: string, [hash, ...others]: readonly ChainHash[]): unknown {
  try {
    return parseGenuine(line, hash!);
  } catch (error) {
    if (!(error instanceof EntryFault) || others.length === 0) throw error;
    return genuine(line, others);
  }
}

const membersOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};

const pemOf = (key: KeyObject): string => String(key.export({ type: 'spki', format: 'pem' }));
const derOf = (key: KeyObject): Buffer => key.export({ type: 'spki', format: 'der' });

function publicKeyIn(pem: string): KeyObject | undefined {
  try {
    const key = createPublicKey(pem);
    return key.asymmetricKeyType === 'ed25519' ? key : undefined;
  } catch {
    return undefined;
  }
}
