/**
 * Who may do what at the fleet: the recorder's access file, in which each principal also has `machines`: `any`, or the
 * labels that a machine must have.
 *
 *     version: 1
 *     principals:
 *       ada:
 *         token_path: /etc/incident-fleet/ada.token
 *         roles: [reader, operator]
 *         machines: { site: berlin }
 *
 * Without a file, whoever has the shared token has every role, on every machine.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { statSync } from 'node:fs';
import { basename } from 'node:path';
import { parseAccess, refusedAccess } from '../access/access-file.ts';
import { readClosedFile } from '../access/closed-file.ts';
import { EVERY_ROLE, type Principal, type Principals } from '../access/principal.ts';
import { TokenFile } from '../access/token-file.ts';
import type { Clock } from '../clock.ts';
import type { FileFault } from '../policy/file-faults.ts';
import { readYaml } from '../policy/yaml.ts';

/** The machines that somebody sees: all, or those with all of these labels. */
export type MachineBounds = 'any' | Readonly<Record<string, string>>;

export interface FleetPrincipal extends Principal {
  readonly machines: MachineBounds;
}

/** Those who have tokens of the fleet; machines have others. */
export interface FleetPrincipals extends Principals {
  principalOf(token: string | undefined): FleetPrincipal | undefined;
}

const LARGEST_FILE = 256 * 1024;
/** A label's name, and its value. */
const LABEL = /^[A-Za-z0-9][\w./-]{0,62}$/;

export const isLabel = (text: unknown): text is string => typeof text === 'string' && LABEL.test(text);

/** Whether a machine with these labels is within bounds. */
export const isWithin = (labels: Readonly<Record<string, string>>, bounds: MachineBounds): boolean =>
  bounds === 'any' || Object.entries(bounds).every(([name, value]) => labels[name] === value);

interface Holder {
  readonly principal: FleetPrincipal;
  readonly key: () => Buffer | undefined;
}

export interface FleetAccessOptions {
  readonly accessPath: string | undefined;
  /** The token that has every role while there is no access file. */
  readonly tokenPath: string | undefined;
  /** Directories above this one are not checked. */
  readonly trustedBelow?: string;
}

export class FleetAccess implements FleetPrincipals {
  readonly #options: FleetAccessOptions;
  readonly #clock: Clock;
  #holders: readonly Holder[];

  /** @throws RecorderError `invalid_access`, `config` */
  constructor(options: FleetAccessOptions, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
    this.#holders = this.#load();
  }

  /** Reads the access file again. @throws RecorderError; then what was in force stays */
  reload(): void {
    this.#holders = this.#load();
  }

  principalOf(token: string | undefined): FleetPrincipal | undefined {
    if (token === undefined) return undefined;
    const digest = createHash('sha256').update(token, 'latin1').digest();
    const found: FleetPrincipal[] = [];
    // All are compared: how long it takes says nothing about which one it is.
    for (const { principal, key } of this.#holders) {
      const expected = key();
      if (expected !== undefined && timingSafeEqual(expected, digest)) found.push(principal);
    }
    return found.length === 1 ? found[0] : undefined;
  }

  /** The fleet has no proofs of the recorder's kind. */
  proofKey(): undefined {
    return undefined;
  }

  #load(): readonly Holder[] {
    const { accessPath, tokenPath, trustedBelow } = this.#options;
    if (accessPath === undefined) {
      if (tokenPath === undefined) return [];
      const file = TokenFile.open(tokenPath, 'fleet token', this.#clock, trustedBelow);
      return [{ principal: { ...EVERY_ROLE, machines: 'any' }, key: () => file.key }];
    }
    statSync(accessPath);
    const { content } = readClosedFile(accessPath, trustedBelow, LARGEST_FILE);
    const { principals, machines } = parseFleetAccess(content.toString('utf8'), basename(accessPath));
    return Object.entries(principals).map(([name, { roles, ...rest }]) => {
      const bounds = 'actions' in rest && rest.actions !== 'any' ? { actions: rest.actions } : {};
      const principal: FleetPrincipal = { name, roles, ...bounds, machines: machines[name] ?? {} };
      if ('token_sha256' in rest) {
        const key = Buffer.from(rest.token_sha256, 'hex');
        return { principal, key: () => key };
      }
      const file = TokenFile.open(rest.token_path, `token of ${name}`, this.#clock, trustedBelow);
      return { principal, key: () => file.key };
    });
  }
}

/**
 * Parses the text of the fleet's access file.
 * @throws RecorderError `invalid_access` with every fault
 */
export function parseFleetAccess(text: string, file: string) {
  const { value, lineOf } = readYaml(text);
  const machines: Record<string, MachineBounds> = {};
  const faults: FileFault[] = [];
  const all = isMapping(value) && isMapping(value.principals) ? value.principals : {};
  const rest: Record<string, unknown> = {};
  for (const [name, given] of Object.entries(all)) {
    if (!isMapping(given)) {
      rest[name] = given;
      continue;
    }
    const { machines: bounds, ...others } = given;
    rest[name] = others;
    const place = ['principals', name, ...(bounds === undefined ? [] : ['machines'])];
    const isLabels =
      isMapping(bounds) && Object.keys(bounds).length > 0 && Object.entries(bounds).flat().every(isLabel);
    if (bounds === 'any' || isLabels) machines[name] = bounds as MachineBounds;
    else {
      const message = `principals.${name}: machines is ${bounds === undefined ? 'missing' : 'wrong'}: any, or labels that a machine must have, as {site: berlin}`;
      faults.push({ file, line: lineOf(place), message });
    }
  }
  // Without its principals the text is the recorder's; where it is no mapping at all, that parser says so.
  const recorders = isMapping(value) ? JSON.stringify({ ...value, principals: rest }) : text;
  const content = parseAccess(recorders, file);
  if (faults.length > 0) throw refusedAccess(faults);
  return { ...content, machines };
}

const isMapping = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
