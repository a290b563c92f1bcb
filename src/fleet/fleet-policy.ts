/**
 * The policy of the fleet: what counts as a campaign.
 *
 *     version: 1
 *     campaigns:
 *       - name: model
 *         classes: [manifest_mismatch, integrity_violation]
 *         same: [evidence.model_hash]
 *         machines: 3
 *         within: 24h
 *
 * The first rule whose class fits and whose values are all there decides to which campaign an incident may belong, so it
 * is never in two. Without a file, the rules are those in `DEFAULT_CAMPAIGNS`.
 */
import { readFileSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import * as z from 'zod/mini';
import { CLASSES, type IncidentClass } from '../../machines/vocabulary.ts';
import { DAY, HOUR } from '../clock.ts';
import { RecorderError } from '../errors.ts';
import { placeOf, shown } from '../policy/fault-messages.ts';
import { type FileFault, refusalOf } from '../policy/file-faults.ts';
import { closed, evenIfItemsAreFaulty, oneOf } from '../policy/strict-schemas.ts';
import { duration, wholeNumber } from '../policy/target-schema.ts';
import { readYaml } from '../policy/yaml.ts';

export interface CampaignRule {
  readonly name: string;
  readonly classes: readonly IncidentClass[];
  /** Where the values are that the incidents have in common: as `repeat` of a recorder's policy, and `evidence` for all. */
  readonly same: readonly string[];
  /** On how many machines they make a campaign. */
  readonly machines: number;
  /** Within how many milliseconds; and how long after its last incident a campaign goes on. */
  readonly within: number;
}

export interface FleetPolicy {
  readonly campaigns: readonly CampaignRule[];
}

const LARGEST_FILE = 256 * 1024;
const MOST_RULES = 64;
const MOST_PATHS = 8;

const refusedPolicy = refusalOf('invalid_policy', 'fleet policy refused');

const PATHS = 'source, description, evidence or evidence. and a path of keys, such as evidence.model_hash';
const pathFault = ({ input }: { readonly input?: unknown }): string => `must be ${PATHS}, found ${shown(input)}`;
const isPath = (text: string): boolean =>
  text.length <= 256 && /^(?:source|description|evidence(?:\.[^.\s]+)*)$/.test(text);

const NAME = /^[A-Za-z0-9][\w-]{0,63}$/;
const nameFault = ({ input }: { readonly input?: unknown }): string =>
  `must be a word of letters, digits, "_" and "-", found ${shown(input)}`;

const classes = z.union([z.literal('any'), z.array(oneOf('class', CLASSES)).check(z.minLength(1))], {
  error: ({ input }) => `must be any, or a list of classes, found ${shown(input)}`,
});

const rule = closed('key', {
  name: z.string({ error: nameFault }).check(z.refine((text) => NAME.test(text), { error: nameFault })),
  classes: z._default(classes, 'any'),
  same: z
    .array(z.string({ error: pathFault }).check(z.refine(isPath, { error: pathFault })), {
      error: ({ input }) => `must be a list of ${PATHS}, found ${shown(input)}`,
    })
    .check(
      z.minLength(1, { ...evenIfItemsAreFaulty, error: `must name at least one value: ${PATHS}` }),
      z.maxLength(MOST_PATHS, { ...evenIfItemsAreFaulty, error: `may name at most ${MOST_PATHS} values` }),
    ),
  machines: wholeNumber(2, 1_000_000),
  within: duration('1s', '30d'),
});

const file = closed('key', {
  version: z.literal(1, { error: ({ input }) => `must be 1, found ${shown(input)}` }),
  campaigns: z
    .array(rule, { error: ({ input }) => `must be a list of rules, or [] for none, found ${shown(input)}` })
    .check(
      z.maxLength(MOST_RULES, { ...evenIfItemsAreFaulty, error: `may have at most ${MOST_RULES} rules` }),
      z.superRefine((rules, context) => {
        const names = rules.map((one) => one?.name);
        for (const [index, name] of names.entries()) {
          if (names.indexOf(name) === index) continue;
          context.addIssue({
            code: 'custom',
            path: [index, 'name'],
            message: `${shown(name)} is the name of a rule before`,
          });
        }
      }, evenIfItemsAreFaulty),
    ),
});

/** What models, hosts and programs are known by in evidence, the surest first. */
const KNOWN_BY: readonly (readonly [name: string, fields: readonly string[], machines: number, within: number])[] = [
  ['model', ['model_hash', 'model_sha256', 'model_digest', 'model.hash', 'model.sha256'], 2, DAY],
  [
    'hash',
    ['sha256', 'hash', 'digest', 'file_hash', 'file.sha256', 'file.hash', 'actual_hash', 'observed_hash'],
    2,
    DAY,
  ],
  ['address', ['ip', 'remote_ip', 'source_ip', 'src_ip', 'dst_ip', 'client_ip', 'address', 'network.ip'], 2, DAY],
  ['domain', ['domain', 'host', 'hostname', 'destination', 'url', 'network.domain'], 2, DAY],
  ['file', ['path', 'file', 'file.path', 'binary'], 2, HOUR],
  ['model-name', ['model', 'model_name', 'model_id'], 2, HOUR],
  ['tool', ['tool', 'tool_name', 'tool.name'], 3, HOUR],
];

/** Of each value that is known, and last the whole evidence. */
export const DEFAULT_CAMPAIGNS: readonly CampaignRule[] = [
  ...KNOWN_BY.flatMap(([name, fields, machines, within]) =>
    fields.map((field, place) => ({
      name: place === 0 ? name : `${name}-${field.replaceAll('.', '-')}`,
      classes: CLASSES,
      same: [`evidence.${field}`],
      machines,
      within,
    })),
  ),
  { name: 'evidence', classes: CLASSES, same: ['evidence'], machines: 2, within: HOUR },
];

/**
 * Parses the text of the fleet's policy.
 * @throws RecorderError `invalid_policy` with every fault
 */
export function parseFleetPolicy(text: string, name: string): FleetPolicy {
  const { value, lineOf, faults } = readYaml(text);
  const found: FileFault[] = faults.map((fault) => ({ file: name, ...fault }));
  if (value === undefined && found.length === 0)
    throw refusedPolicy([
      { file: name, line: 1, message: 'the file is empty; the least is "version: 1", "campaigns: []"' },
    ]);
  if (value !== undefined) {
    const parsed = file.safeParse(value);
    if (parsed.success && found.length === 0) {
      const campaigns = (
        parsed.data as unknown as {
          campaigns: readonly (Omit<CampaignRule, 'classes'> & { classes: 'any' | CampaignRule['classes'] })[];
        }
      ).campaigns;
      return {
        campaigns: campaigns.map((one) => ({ ...one, classes: one.classes === 'any' ? CLASSES : one.classes })),
      };
    }
    for (const { path, message } of parsed.error?.issues ?? [])
      found.push({ file: name, line: lineOf(path), message: `${placeOf(path)}: ${message}` });
  }
  throw refusedPolicy(found);
}

/** Reads the fleet's policy. @param path undefined for the default @throws RecorderError `invalid_policy`, `config` */
export function readFleetPolicy(path: string | undefined): FleetPolicy {
  if (path === undefined) return { campaigns: DEFAULT_CAMPAIGNS };
  let text: string;
  try {
    if (statSync(path).size > LARGEST_FILE) throw new RangeError(`it is larger than ${LARGEST_FILE} bytes`);
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    const { message } = cause as Error;
    throw new RecorderError('config', `can't read the policy of the fleet ${path}: ${message}; set FLEET_POLICY_PATH`, {
      cause,
    });
  }
  return parseFleetPolicy(text, basename(path));
}
