/**
 * Signed notes (C2SP signed-note), with Ed25519: text that one or more named keys have signed.
 *
 * A note is a text that ends with a line feed, an empty line, and one line `— NAME BASE64` for each signature. BASE64
 * stands for the four bytes of the key's id and the signature of the text. A key's id is the beginning of
 * SHA-256(NAME, line feed, 0x01, public key). Keys are written as `golang.org/x/mod/sumdb/note` writes them: the public
 * one as `NAME+ID+BASE64`, the secret one as `PRIVATE+KEY+NAME+ID+BASE64`.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import { RecorderError } from './errors.ts';

/** The number of the algorithm in keys and key ids. */
const ED25519 = Buffer.of(1);
const KEY_BYTES = 32;
const ID_BYTES = 4;
/** What stands before the 32 bytes of a key in DER (RFC 8410). */
const PRIVATE_DER = Buffer.from('302e020100300506032b657004220420', 'hex');
const PUBLIC_DER = Buffer.from('302a300506032b6570032100', 'hex');

/** A note with more signatures is refused. */
const MOST_SIGNATURES = 100;
/** The longest note that is looked at, in UTF-16 units. */
const LONGEST_NOTE = 1024 * 1024;
/** The longest name of a key, in UTF-16 units. */
const LONGEST_NAME = 255;

/** Verifies what one key has signed. */
export interface Verifier {
  readonly name: string;
  /** The id of the key: 8 digits of lower-case hex. */
  readonly id: string;
  readonly publicKey: KeyObject;
}

/** Signs with one key. */
export interface Signer extends Verifier {
  readonly privateKey: KeyObject;
}

/** A note that was opened. */
export interface OpenedNote {
  /** What is signed, with the line feed at its end. */
  readonly text: string;
  /** The names of the keys, of those asked for, that have signed it. */
  readonly signedBy: readonly string[];
}

/** A name has no white space, no plus sign and no control character, and is whole Unicode. */
export const isKeyName = (name: string): boolean =>
  name.length <= LONGEST_NAME && /^[^\s+\p{Cc}]+$/u.test(name) && name.isWellFormed();

/**
 * Makes a new key.
 * @param name of the key
 * @throws RecorderError `invalid_request` for a name that no key can have
 */
export function newSigner(name: string): Signer {
  const { privateKey } = generateKeyPairSync('ed25519');
  return signerWith(name, privateKey);
}

/**
 * Reads a secret key, `PRIVATE+KEY+NAME+ID+BASE64`.
 * @throws RecorderError `invalid_request`; the message does not show the key
 */
export function readSignerKey(text: string): Signer {
  const [, name, id, key] = /^PRIVATE\+KEY\+([^+]*)\+([0-9a-f]{8})\+(.*)$/s.exec(text) ?? [];
  const seed = key === undefined ? undefined : keyIn(key);
  if (name === undefined || seed === undefined) throw refused('not a secret key: PRIVATE+KEY+NAME+ID+BASE64');
  const privateKey = createPrivateKey({ key: Buffer.concat([PRIVATE_DER, seed]), format: 'der', type: 'pkcs8' });
  const signer = signerWith(name, privateKey);
  if (signer.id !== id) throw refused(`the id of the secret key is ${id}, but must be ${signer.id}`);
  return signer;
}

/** The secret key as `readSignerKey` reads it. */
export function signerKeyOf({ name, id, privateKey }: Signer): string {
  const seed = privateKey.export({ type: 'pkcs8', format: 'der' }).subarray(PRIVATE_DER.length);
  return `PRIVATE+KEY+${name}+${id}+${Buffer.concat([ED25519, seed]).toString('base64')}`;
}

/**
 * Reads a public key, `NAME+ID+BASE64`.
 * @throws RecorderError `invalid_request`
 */
export function readVerifierKey(text: string): Verifier {
  const [, name, id, key] = /^([^+]*)\+([0-9a-f]{8})\+(.*)$/s.exec(text) ?? [];
  const bytes = key === undefined ? undefined : keyIn(key);
  if (name === undefined || bytes === undefined)
    throw refused('not the public key of an Ed25519 signer: NAME+ID+BASE64');
  const publicKey = createPublicKey({ key: Buffer.concat([PUBLIC_DER, bytes]), format: 'der', type: 'spki' });
  const verifier = verifierWith(name, publicKey);
  if (verifier.id !== id) throw refused(`the id of the public key is ${id}, but must be ${verifier.id}`);
  return verifier;
}

/** The public key as `readVerifierKey` reads it. */
export const verifierKeyOf = ({ name, id, publicKey }: Verifier): string =>
  `${name}+${id}+${Buffer.concat([ED25519, bytesOf(publicKey)]).toString('base64')}`;

/**
 * Signs a text.
 * @param text ends with a line feed; without control characters
 * @returns the note, with one signature
 * @throws RecorderError `invalid_request` for a text that no note can hold
 */
export function signNote(text: string, { name, id, privateKey }: Signer): string {
  if (!isNoteText(text)) throw refused('the text of a note ends with a line feed and has no control characters');
  const signature = Buffer.concat([Buffer.from(id, 'hex'), sign(null, Buffer.from(text), privateKey)]);
  return `${text}\n${DASH}${name} ${signature.toString('base64')}\n`;
}

/**
 * Verifies a note. Signatures of keys that are not among `verifiers` are ignored.
 * @throws RecorderError `invalid_request` when it is no note, when a signature of one of the keys is wrong, and when none
 *   of the keys has signed it
 */
export function openNote(note: string, verifiers: readonly Verifier[]): OpenedNote {
  const { text, signatures } = partsOf(note);
  const bytes = Buffer.from(text);
  const signedBy = new Set<string>();
  const seen = new Set<Verifier>();
  for (const { name, id, signature } of signatures) {
    const verifier = verifiers.find((each) => each.name === name && each.id === id);
    if (verifier === undefined || seen.has(verifier)) continue;
    seen.add(verifier);
    if (!verify(null, bytes, verifier.publicKey, signature)) throw refused(`the signature of ${name}+${id} is wrong`);
    signedBy.add(name);
  }
  if (signedBy.size > 0) return { text, signedBy: [...signedBy] };
  const wanted = verifiers.map(({ name, id }) => `${name}+${id}`).join(', ');
  throw refused(`the note has no signature of ${wanted === '' ? 'a known key' : wanted}`);
}

interface Signature {
  readonly name: string;
  readonly id: string;
  readonly signature: Buffer;
}

const DASH = '\u2014 ';

/** @throws RecorderError `invalid_request` when it is no note */
function partsOf(note: string): { readonly text: string; readonly signatures: readonly Signature[] } {
  const at = note.lastIndexOf('\n\n');
  if (note.length > LONGEST_NOTE || at === -1 || !isNoteText(note)) throw notANote();
  const lines = note.slice(at + 2, -1).split('\n');
  if (lines.length > MOST_SIGNATURES) throw notANote();
  return { text: note.slice(0, at + 1), signatures: lines.map(signatureIn) };
}

function signatureIn(line: string): Signature {
  const [name = '', base64 = '', ...more] = line.startsWith(DASH) ? line.slice(DASH.length).split(' ') : [];
  const bytes = strictBase64(base64);
  if (!isKeyName(name) || bytes === undefined || bytes.length <= ID_BYTES || more.length > 0) throw notANote();
  return { name, id: bytes.toString('hex', 0, ID_BYTES), signature: bytes.subarray(ID_BYTES) };
}

/** Whether a text can stand in a note: whole Unicode that ends with a line feed, without other control characters. */
const isNoteText = (text: string): boolean =>
  // eslint-disable-next-line no-control-regex -- The form of notes forbids them.
  text.endsWith('\n') && text.isWellFormed() && !/[\u0000-\u0009\u000b-\u001f]/.test(text);

function signerWith(name: string, privateKey: KeyObject): Signer {
  return { ...verifierWith(name, createPublicKey(privateKey)), privateKey };
}

function verifierWith(name: string, publicKey: KeyObject): Verifier {
  if (!isKeyName(name)) throw refused('the name of a key must not be empty, and has no white space and no plus sign');
  const hash = createHash('sha256').update(`${name}\n`).update(ED25519).update(bytesOf(publicKey));
  return { name, id: hash.digest('hex').slice(0, 2 * ID_BYTES), publicKey };
}

/** The 32 bytes of a public key. */
const bytesOf = (publicKey: KeyObject): Buffer =>
  publicKey.export({ type: 'spki', format: 'der' }).subarray(PUBLIC_DER.length);

/** The 32 bytes of an Ed25519 key; undefined when the text is something else. */
function keyIn(base64: string): Buffer | undefined {
  const bytes = strictBase64(base64);
  return bytes?.length === 1 + KEY_BYTES && bytes[0] === ED25519[0] ? bytes.subarray(1) : undefined;
}

/** The bytes; undefined unless the text is just how base64 writes them. */
function strictBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}

const refused = (what: string): RecorderError => new RecorderError('invalid_request', what);

const notANote = (): RecorderError =>
  refused('not a signed note: a text, an empty line, and a line "\u2014 NAME BASE64" for each signature');
