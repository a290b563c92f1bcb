/**
 * What an attestor answers, and whether it proves that this machine may be trusted again.
 *
 * The answer is a bundle: a JSON object, signed by `bundle_hmac`, the HMAC-SHA256 of the bundle's sorted compact JSON
 * with `bundle_hmac` set to `""`. Programs write such a text differently: Python escapes everything beyond ASCII, Go
 * escapes `<`, `>`, `&` and two line breaks, and floats differ too. Each of these texts names the same bundle and no
 * other one, so a signature over any of them proves it.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { SECOND, timestamp } from '../clock.ts';
import type { AttestationEvidence } from '../domain/attestation-evidence.ts';
import { canonicalForm, escaped } from '../json/canonical-form.ts';
import { ExactJsonError, type JsonValue, parseExact } from '../json/exact-json.ts';
import { sortedText } from '../json/sorted-text.ts';
import { excerptOf } from './excerpt.ts';

/** What is known of the request that a bundle answers. */
export interface AttestationRequest {
  /** The nonce that was sent. */
  readonly nonce: string;
  /** When it was sent and when the answer was there, in milliseconds since the epoch. */
  readonly requestedAt: number;
  readonly answeredAt: number;
  /** The key of `bundle_hmac`, decoded. */
  readonly key: Buffer;
}

/** What a bundle proves, or everything that is wrong with it. */
export type BundleVerdict =
  | { readonly kind: 'attested'; readonly evidence: AttestationEvidence }
  | { readonly kind: 'refused'; readonly faults: readonly string[] };

type Bundle = { readonly [key: string]: JsonValue };

/** What must be true, at the top of the bundle. */
const TRUE = [
  'evidence_verified',
  'tpm_available',
  'tpm_measurements_verified',
  'tpm_quote_verified',
  'deployment_verified',
  'release_baseline_verified',
] as const;

/** How far the attestor's clock may be ahead, in milliseconds. */
const MOST_AHEAD = 5 * SECOND;

/** 256 bits in hexadecimal. */
const DIGEST = /^[\da-f]{64}$/i;

/** How many of the attestor's own findings are passed on. */
const MOST_FINDINGS = 8;

/**
 * Judges the body of an attestor's answer.
 * @returns every fault, in words that hold nothing of key or signature
 */
export const judgeBundle = (body: Buffer, request: AttestationRequest): BundleVerdict => {
  let answer: ReturnType<typeof read>;
  try {
    answer = read(body);
  } catch (error) {
    if (!(error instanceof ExactJsonError)) throw error;
    const where = error.path === '' ? '' : ` at ${error.path}`;
    return { kind: 'refused', faults: [`the answer is no bundle: ${error.message}${where}`] };
  }
  const { bundle, forms } = answer;
  const signature = signatureFault(bundle['bundle_hmac'], forms, request.key);
  const faults = [
    ...(signature === undefined ? [] : [signature]),
    ...nonceFaults(bundle['request_nonce'], request.nonce),
    ...timeFaults(bundle['timestamp'], request),
    ...wordFaults(bundle, 'state', 'attested'),
    ...wordFaults(bundle, 'assurance_mode', 'hardware'),
    ...TRUE.flatMap((name) => truthFaults(bundle[name], name)),
    ...bootFaults(bundle['boot_measurements']),
    ...keyFaults(bundle['tpm_ak_public_key_sha256']),
  ];
  if (faults.length === 0) return { kind: 'attested', evidence: evidenceOf(bundle, request) };
  // Only what is signed is the attestor's word.
  return { kind: 'refused', faults: signature === undefined ? [...faults, ...findingsOf(bundle)] : faults };
};

/** Makes one of the texts that may have been signed. */
type SignedForm = () => string;

/** The bundle in an answer, and its texts, the appliance's first: others are made only when that is not signed. */
const read = (body: Buffer): { readonly bundle: Bundle; readonly forms: readonly SignedForm[] } => {
  const text = body.toString();
  if (!body.equals(Buffer.from(text))) throw new ExactJsonError('invalid UTF-8');
  const unsigned = sortedText(text, { replaced: { bundle_hmac: '' } });
  const bundle = JSON.parse(text) as JsonValue;
  if (!isObject(bundle)) throw new ExactJsonError('no JSON object');
  // With numbers as Python writes them, unless a double changes one: then that text is another bundle's.
  const canonical = (): string => (keepsNumbers(text) ? canonicalForm({ ...bundle, bundle_hmac: '' }) : unsigned);
  return { bundle, forms: [() => escapedByGo(unsigned), () => unsigned, () => escaped(unsigned), canonical] };
};

const isObject = (value: JsonValue | undefined): value is Bundle =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const keepsNumbers = (text: string): boolean => {
  try {
    parseExact(text);
    return true;
  } catch {
    return false;
  }
};

/** What Go's `encoding/json` escapes besides. None of these characters occurs outside of a string. */
const ESCAPED_BY_GO = ['<', '>', '&', '\u2028', '\u2029'].map(
  (character) => [character, `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`] as const,
);

const escapedByGo = (text: string): string =>
  ESCAPED_BY_GO.reduce((changed, [character, escape]) => changed.replaceAll(character, escape), text);

const signatureFault = (
  found: JsonValue | undefined,
  forms: readonly SignedForm[],
  key: Buffer,
): string | undefined => {
  const fault = digestFault(found, 'bundle_hmac');
  if (fault !== undefined) return fault;
  const presented = Buffer.from(found as string, 'hex');
  const holds = forms.some((form) => timingSafeEqual(createHmac('sha256', key).update(form()).digest(), presented));
  return holds ? undefined : 'bundle_hmac does not hold: the bundle is not signed with our key';
};

const nonceFaults = (found: JsonValue | undefined, sent: string): readonly string[] => {
  if (typeof found !== 'string') return [typeFault(found, 'request_nonce', 'text')];
  const [one, other] = [Buffer.from(found), Buffer.from(sent)];
  const isSame = one.length === other.length && timingSafeEqual(one, other);
  return isSame ? [] : ['request_nonce is not the one of this request'];
};

const timeFaults = (
  found: JsonValue | undefined,
  { requestedAt, answeredAt }: AttestationRequest,
): readonly string[] => {
  if (typeof found !== 'string') return [typeFault(found, 'timestamp', 'text')];
  const time = timeOf(found);
  if (time === undefined) return [`timestamp is no time of RFC 3339: ${shown(found)}`];
  if (time < requestedAt) return [`timestamp ${shown(found)} is before the request, ${timestamp(requestedAt)}`];
  if (time <= answeredAt + MOST_AHEAD) return [];
  return [`timestamp ${shown(found)} is more than 5 s ahead of this machine's clock, ${timestamp(answeredAt)}`];
};

/** RFC 3339 with up to nine digits of a second, as Go and Python write it. */
const TIME = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/;

/** In milliseconds since the epoch; what is less than one is rounded up. */
const timeOf = (text: string): number | undefined => {
  const [, day, second, fraction = '.', zone = ''] = TIME.exec(text) ?? [];
  if (day === undefined || !isDay(day)) return undefined;
  const nanoseconds = Number(fraction.slice(1).padEnd(9, '0'));
  const time = Date.parse(`${day}T${second}${zone}`);
  return Number.isNaN(time) ? undefined : time + Math.ceil(nanoseconds / 1e6);
};

/** `Date.parse` takes the 30th of February for the 2nd of March. */
const isDay = (day: string): boolean => {
  const time = Date.parse(`${day}T00:00:00Z`);
  return !Number.isNaN(time) && timestamp(time).startsWith(day);
};

const wordFaults = (bundle: Bundle, name: string, wanted: string): readonly string[] => {
  const found = bundle[name];
  if (typeof found !== 'string') return [typeFault(found, name, JSON.stringify(wanted))];
  return found === wanted ? [] : [`${name} is ${shown(found)}, not ${JSON.stringify(wanted)}`];
};

const bootFaults = (found: JsonValue | undefined): readonly string[] => {
  if (!isObject(found)) return [typeFault(found, 'boot_measurements', 'an object')];
  return truthFaults(found['secure_boot_enabled'], 'boot_measurements.secure_boot_enabled');
};

const truthFaults = (found: JsonValue | undefined, name: string): readonly string[] => {
  if (found === true) return [];
  return [found === false ? `${name} is false` : typeFault(found, name, 'true')];
};

const keyFaults = (found: JsonValue | undefined): readonly string[] => {
  const fault = digestFault(found, 'tpm_ak_public_key_sha256');
  return fault === undefined ? [] : [fault];
};

const digestFault = (found: JsonValue | undefined, name: string): string | undefined => {
  if (typeof found !== 'string') return typeFault(found, name, '64 hexadecimal digits');
  return DIGEST.test(found) ? undefined : `${name} is not 64 hexadecimal digits`;
};

const typeFault = (found: JsonValue | undefined, name: string, wanted: string): string =>
  found === undefined ? `${name} is missing` : `${name} is ${kindOf(found)}, not ${wanted}`;

const kindOf = (value: JsonValue): string => {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  return { string: 'text', number: 'a number', boolean: String(value), object: 'an object' }[typeof value as 'string'];
};

const LONGEST_SHOWN = 40;

/** The beginning of a text, in ASCII and between quotes. */
const shown = (text: string): string =>
  escaped(JSON.stringify(text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}...` : text));

/** What the attestor itself found wrong. */
const findingsOf = (bundle: Bundle): readonly string[] => {
  const found = bundle['failures'];
  const findings = Array.isArray(found) ? (found as readonly JsonValue[]) : [];
  return findings
    .filter((finding) => typeof finding === 'string')
    .slice(0, MOST_FINDINGS)
    .map((finding) => `the attestor says: ${excerptOf(finding)}`);
};

const evidenceOf = (bundle: Bundle, { nonce, requestedAt }: AttestationRequest): AttestationEvidence => ({
  requested_at: timestamp(requestedAt),
  timestamp: bundle['timestamp'] as string,
  state: 'attested',
  assurance_mode: 'hardware',
  evidence_verified: true,
  secure_boot_enabled: true,
  tpm_available: true,
  tpm_measurements_verified: true,
  tpm_quote_verified: true,
  deployment_verified: true,
  release_baseline_verified: true,
  ...digestOf(bundle, 'deployment_digest'),
  ...digestOf(bundle, 'policy_digest'),
  tpm_ak_public_key_sha256: bundle['tpm_ak_public_key_sha256'] as string,
  bundle_hmac: bundle['bundle_hmac'] as string,
  bundle_hmac_verified: true,
  request_nonce: nonce,
});

/** A digest in hexadecimal, with or without `sha256:`. Anything else is left out: the record keeps no text at will. */
const digestOf = <Name extends string>(bundle: Bundle, name: Name): { readonly [Key in Name]?: string } => {
  const found = bundle[name];
  if (typeof found !== 'string' || !/^(?:sha256:)?[\da-f]{32,64}$/.test(found)) return {};
  return { [name]: found } as { readonly [Key in Name]?: string };
};
