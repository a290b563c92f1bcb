/**
 * The form of an evidence bundle: README.md describes it for an independent program.
 *
 * A bundle is one line of JSON: texts and lists of them, so that every program writes it in the same way and no byte can
 * change unseen. Its `manifest`, a JSON text itself, has the hash of each field and is what is proved; a field may be left
 * out, and its hash stays.
 */
import { createHash } from 'node:crypto';
import type { Signed } from '../domain/caller.ts';
import type { Included, TreeHead } from './log-tree.ts';

export const FORMAT = 'incident-recorder-bundle/1';

/** The longest bundle that is made or looked at, in bytes. */
export const LONGEST_BUNDLE = 256 * 1024 * 1024;

/** What a bundle can be proved by: the audit key, and the signature. */
export const PROOFS = ['audit-key', 'signature'] as const;
export type Proof = (typeof PROOFS)[number];

export interface BundledIncident {
  readonly id: string;
  /** The version that the bundle shows. */
  readonly version: number;
  /** Its entries, by `seq`, and the place of each in the log. */
  readonly entries: readonly Included[];
  /** How many of its entries the bundle does not have, and why. */
  readonly missing?: { readonly entries: number; readonly reason: string };
}

export interface BundledAnchor {
  /** The signed note. */
  readonly note: string;
  /** The entry that it is of: its place in the log shows also that all entries before it are those that were signed. */
  readonly entry: Included;
}

/** The fleet that signs a bundle. */
export interface FleetSigner {
  readonly fleet: string;
  /** Its public key: NAME+ID+BASE64, as `fleet pubkey` gives it. */
  readonly key: string;
}

/** The machine of a bundle that a fleet has made: the fleet has its log from the machine, line by line. */
export interface BundledMachine {
  /** As the fleet and its anchors call it. */
  readonly name: string;
  /** The name of the history of its log that the incidents are from. */
  readonly history: string;
  /** `left` where the machine has gone on with another history: its log was rewritten, cut or begun again. */
  readonly standing: 'current' | 'left';
  /** The history that this one has left, and the first entry that differs there. */
  readonly diverged: { readonly from: string; readonly at_seq: number } | null;
  /** Whether the fleet has verified the hash of each entry of the history, or of some the links alone. */
  readonly hashes: 'verified' | 'unverified';
  /** From which entry on it has not; null where it has verified all. */
  readonly unverified_from: number | null;
}

export interface Manifest {
  readonly format: typeof FORMAT;
  /** RFC 3339. */
  readonly made_at: string;
  /** Who asked for it. */
  readonly made_for: Signed;
  readonly version: string;
  readonly proofs: readonly Proof[];
  /** SHA-256 of the key that signs (DER), lower-case hex: nobody can sign instead of it. Null where nobody signs. */
  readonly signer: string | null;
  /** The fleet, in a bundle that a fleet has made and signed; not there in one of a recorder. */
  readonly signed_by?: FleetSigner;
  readonly machine?: BundledMachine;
  readonly log: {
    readonly id: string | null;
    readonly algorithm: 'hmac-sha256' | 'sha256';
    readonly head: { readonly seq: number; readonly entry_hash: string };
    /** How far somebody else has signed the log; null where nobody has, or where that is archived. */
    readonly anchor: BundledAnchor | null;
    readonly tree: TreeHead;
  };
  readonly incidents: readonly BundledIncident[];
  /** The hash of each field by its name, lower-case hex. */
  readonly fields: Readonly<Record<string, string>>;
}

/** A field that the bundle holds. */
export interface Field {
  /** 32 bytes in lower-case hex. */
  readonly salt: string;
  readonly value: string;
}

export interface Bundle {
  readonly format: typeof FORMAT;
  readonly fields: Readonly<Record<string, Field>>;
  readonly manifest: string;
  /** `hashedManifest` under the audit key, or SHA-256 where the log has none; lower-case hex. */
  readonly manifest_hash: string;
  /** Ed25519 over `signedText`, base64, and the key that verifies it, PEM. */
  readonly signature?: string;
  readonly public_key?: string;
}

/** What the audit key proves. No entry of a log has this beginning. */
export const hashedManifest = (manifest: string): string => `${FORMAT}\n${manifest}`;

/** What the signature covers: all that the fields do not. */
export const signedText = ({ manifest, manifest_hash: hash }: Pick<Bundle, 'manifest' | 'manifest_hash'>): string =>
  `${manifest}\n${hash}`;

export const fieldHash = (name: string, { salt, value }: Field): string =>
  createHash('sha256').update(`${salt}\n${name}\n${value}`).digest('hex');

/** @param publicKey DER (SubjectPublicKeyInfo) */
export const fingerprintOf = (publicKey: Uint8Array): string => createHash('sha256').update(publicKey).digest('hex');

/** One part of a field's name: as in JSON Pointer (RFC 6901). */
const namePart = (part: string): string => part.replaceAll('~', '~0').replaceAll('/', '~1');

export const PAGE = 'page';
export const lineName = (seq: number): string => `entry/${seq}`;
export const chartName = (id: string): string => `statechart/${id}`;
export const memberName = (id: string, ...path: readonly string[]): string =>
  ['incident', id, ...path].map(namePart).join('/');
