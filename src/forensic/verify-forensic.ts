/**
 * Verifies a forensic export, of a recorder or of a fleet. It believes nothing that the export says about itself: every byte
 * of it against its payload, that against the proof, and the lines of the log against each other.
 */
import { createHash, createHmac, timingSafeEqual, verify } from 'node:crypto';
import { isUtf8 } from 'node:buffer';
import { type Anchor, readAnchor } from '../anchor.ts';
import type { ChainHash } from '../audit/chain-hash.ts';
import { EntryFault, parseGenuine } from '../audit/entry.ts';
import { RecorderError } from '../errors.ts';
import { readVerifierKey, type Verifier } from '../signed-note.ts';
import { FLEET_SERVICE, signedOfExport } from './signed-export.ts';

export interface ForensicKeys {
  /** The key of the recorder's forensic exports. */
  readonly key?: Uint8Array | undefined;
  /**
   * The keys of the fleet that must have signed. Without any key at all, a fleet's export is checked by the key in it; with
   * another key, which anyone's signature would step round, it is not valid.
   */
  readonly fleet?: readonly Verifier[] | undefined;
  /** With the audit keys that the lines were written with, the newest first. */
  readonly hashes?: readonly ChainHash[] | undefined;
}

export interface ForensicVerdict {
  readonly valid: boolean;
  readonly faults: readonly string[];
  readonly proved_by: readonly ('forensic key' | 'signature' | 'audit key (lines)')[];
  /** What it says of its service, machine and log; not there where it can't be read. */
  readonly system_state?: Readonly<Record<string, string>>;
  readonly incidents: number;
  readonly audit_entries: number;
}

const MOST_FAULTS = 20;
const MEMBERS = [
  'exported_at',
  'incidents',
  'audit_entries',
  'system_state',
  'policy_digest',
  'canonical_payload',
  'bundle_hash',
  'signature',
];

interface Export {
  readonly incidents: readonly unknown[];
  readonly audit_entries: readonly string[];
  readonly system_state: Readonly<Record<string, string>>;
  readonly canonical_payload: string;
  readonly bundle_hash: string;
  readonly signature: string;
}

/** Verifies an export. Throws nothing: what is wrong is in the verdict. */
export function verifyForensic(bytes: Uint8Array, keys: ForensicKeys): ForensicVerdict {
  const read = readExport(bytes);
  if (typeof read === 'string') return { valid: false, faults: [read], proved_by: [], incidents: 0, audit_entries: 0 };
  const faults: string[] = [];
  const provedBy: ForensicVerdict['proved_by'][number][] = [];
  const fault = (what: string | undefined): void => {
    if (what !== undefined && faults.length < MOST_FAULTS) faults.push(what);
  };
  const { system_state: state, audit_entries: lines } = read;
  const isOfFleet = state.service === FLEET_SERVICE;
  const unproved = isOfFleet ? faultOfSignature(read, keys) : faultOfKey(read, keys);
  fault(unproved);
  if (unproved === undefined) provedBy.push(isOfFleet ? 'signature' : 'forensic key');
  const { hashes = [] } = keys;
  const before = faults.length;
  for (const one of faultsOfLines(lines, hashes)) fault(one);
  if (isOfFleet) fault(faultOfHead(state, lines));
  if (hashes.length > 0 && lines.length > 0 && faults.length === before) provedBy.push('audit key (lines)');
  return {
    valid: faults.length === 0,
    faults,
    proved_by: provedBy,
    system_state: state,
    incidents: read.incidents.length,
    audit_entries: lines.length,
  };
}

/** An export, or why it is none. */
function readExport(bytes: Uint8Array): Export | string {
  if (!isUtf8(bytes)) return 'it is not UTF-8';
  const text = Buffer.from(bytes).toString('utf8');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return 'it is not JSON';
  }
  if (!isExport(value)) return 'it has not the form of a forensic export';
  const payload = Buffer.from(value.canonical_payload, 'base64');
  const hash = createHash('sha256').update(payload).digest('hex');
  const end = `,"canonical_payload":"${payload.toString('base64')}","bundle_hash":"${hash}","signature":"${value.signature}"}`;
  // Both copies of the payload are the same bytes, and nothing else is in the file.
  if (payload.at(-1) !== 0x7d || text !== `${payload.toString('utf8').slice(0, -1)}${end}`)
    return 'it was changed: its members are not its payload, or its hash is another one';
  return value;
}

function isExport(value: unknown): value is Export {
  if (typeof value !== 'object' || value === null || Object.keys(value).join() !== MEMBERS.join()) return false;
  const { incidents, audit_entries, system_state, canonical_payload, bundle_hash, signature } = value as Export;
  return (
    Array.isArray(incidents) &&
    Array.isArray(audit_entries) &&
    audit_entries.every((line) => typeof line === 'string') &&
    typeof system_state === 'object' &&
    system_state !== null &&
    Object.values(system_state).every((one) => typeof one === 'string') &&
    [canonical_payload, bundle_hash, signature].every((one) => typeof one === 'string') &&
    /^[0-9a-f]+$/.test(signature)
  );
}

function faultOfKey({ bundle_hash: hash, signature }: Export, { key, fleet = [] }: ForensicKeys): string | undefined {
  if (fleet.length > 0) return 'a recorder has made it, and no fleet';
  if (key === undefined) return 'a recorder has made it: give the key of its forensic exports';
  const expected = createHmac('sha256', key).update(Buffer.from(hash, 'hex')).digest();
  const given = Buffer.from(signature, 'hex');
  const holds = given.length === expected.length && timingSafeEqual(given, expected);
  return holds ? undefined : 'the signature does not hold, or another key has signed';
}

function faultOfSignature(
  { bundle_hash: hash, signature, system_state: state }: Export,
  { key, hashes = [], fleet = [] }: ForensicKeys,
): string | undefined {
  // Anyone may write a name of a fleet and a key into an export.
  if (fleet.length === 0 && (key !== undefined || hashes.length > 0))
    return 'a fleet has made it: give the key of the fleet that must have signed it';
  let verifier: Verifier;
  try {
    verifier = readVerifierKey(state.fleet_key ?? '');
  } catch {
    return 'it has no key of the fleet that signs';
  }
  if (state.signed_by !== `fleet ${verifier.name}`) return 'it does not say which fleet signs';
  if (fleet.length > 0 && !fleet.some(({ name, id }) => name === verifier.name && id === verifier.id))
    return 'it is signed with another key than the one that is given';
  if (!verify(null, signedOfExport(hash), verifier.publicKey, Buffer.from(signature, 'hex')))
    return 'the signature does not hold';
  return state.log_anchor === '' ? undefined : faultOfAnchor(state, verifier);
}

/** The anchor is one of the fleet, of this machine and this log, and not behind its end. */
function faultOfAnchor(state: Readonly<Record<string, string>>, verifier: Verifier): string | undefined {
  let anchor: Anchor;
  try {
    anchor = readAnchor(state.log_anchor ?? '', [verifier]);
  } catch (error) {
    if (!(error instanceof RecorderError)) throw error;
    return `its anchor: ${error.message}`;
  }
  const { machine, log, seq } = anchor;
  return machine === state.machine && log === state.log_id && seq <= Number(state.log_entries)
    ? undefined
    : 'its anchor is not of this log';
}

function* faultsOfLines(lines: readonly string[], hashes: readonly ChainHash[]): Generator<string> {
  let before: { readonly seq: number; readonly hash: string } | undefined;
  for (const line of lines) {
    const { data, prev_hash, entry_hash } = entryIn(line) ?? {};
    const seq = data?.seq;
    if (typeof seq !== 'number' || typeof entry_hash !== 'string') {
      yield 'a line of the log is no entry';
      return;
    }
    if (before !== undefined && (seq !== before.seq + 1 || prev_hash !== before.hash))
      yield `entry ${seq} does not follow the line before it`;
    before = { seq, hash: entry_hash };
    const why = hashes.length === 0 ? undefined : faultOfLine(line, hashes);
    if (why !== undefined) yield `the line of entry ${seq} does not verify: ${why}`;
  }
}

function faultOfHead(state: Readonly<Record<string, string>>, lines: readonly string[]): string | undefined {
  const { data, entry_hash } = entryIn(lines.at(-1) ?? '') ?? {};
  const isHead = String(data?.seq) === state.log_entries && entry_hash === state.log_last_hash;
  return lines.length === 0 || isHead ? undefined : 'its last line is not the last entry that it names';
}

interface SomeEntry {
  readonly data?: { readonly seq?: unknown };
  readonly prev_hash?: unknown;
  readonly entry_hash?: unknown;
}

function entryIn(line: string): SomeEntry | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Why a line was written with none of the keys. */
function faultOfLine(line: string, [hash, ...others]: readonly ChainHash[]): string | undefined {
  try {
    parseGenuine(line, hash!);
    return undefined;
  } catch (error) {
    if (!(error instanceof EntryFault)) throw error;
    return others.length === 0 ? error.message : faultOfLine(line, others);
  }
}
