/**
 * The access file: who may do what.
 *
 * It names principals, each with a token and roles, and what they are bound to. Nothing is given by leaving something
 * out: a reporter without sources, or an implementer without actions, is a fault; `any` says that all are meant.
 */
import { hash } from 'node:crypto';
import * as z from 'zod/mini';
import { isMachineName } from '../anchor.ts';
import { readVerifierKey } from '../signed-note.ts';
import { ACTIONS, CLASSES, ROLES, type Role } from '../../machines/vocabulary.ts';
import { SERVICE_TOKEN } from '../domain/caller.ts';
import { faultOfSource } from '../domain/source-name.ts';
import { canonicalForm } from '../json/canonical-form.ts';
import type { JsonValue } from '../json/exact-json.ts';
import { placeOf, shown } from '../policy/fault-messages.ts';
import { type FileFault, refusalOf } from '../policy/file-faults.ts';
import { absolutePath, closed, evenIfFaulty, evenIfItemsAreFaulty, oneOf } from '../policy/strict-schemas.ts';
import { whenUsed } from '../when-used.ts';
import { readYaml } from '../policy/yaml.ts';

/** Each request is compared with the token of each. */
const MOST_PRINCIPALS = 256;
const MOST_SOURCES = 256;

/** What an access file gives to one principal. */
export interface Grant {
  readonly roles: readonly Role[];
  readonly sources?: readonly string[] | 'any';
  readonly classes?: readonly (typeof CLASSES)[number][] | 'any';
  readonly actions?: readonly (typeof ACTIONS)[number][] | 'any';
}

/** What whoever acts from the fleet may do here. */
export interface FleetGrant {
  /** The name of this machine in the fleet. */
  readonly machine: string;
  readonly roles: readonly Role[];
  /** The actions that may be engaged and released from there; all when not given. */
  readonly actions?: readonly (typeof ACTIONS)[number][] | 'any';
}

/** Where the token of a principal is, or its SHA-256 in lower-case hex. */
export type TokenPlace = { readonly token_path: string } | { readonly token_sha256: string };

export interface AccessContent {
  readonly version: 1;
  /** What whoever has the service token may do; nothing when not given. */
  readonly service_token?: Grant;
  readonly principals: Readonly<Record<string, Grant & TokenPlace>>;
  /** The public key of the fleet that keeps a copy of the log: `NAME+ID+BASE64`. */
  readonly fleet_key?: string;
  /** What may be done from the fleet; nothing when not given. */
  readonly fleet?: FleetGrant;
  /** Identifies what the file says, however it is written: lower-case hex SHA-256. */
  readonly digest: string;
}

/** The error that refuses an access file. */
export const refusedAccess = refusalOf('invalid_access', 'access file refused');

const ANY = 'any';

/** A list without repetitions, or `any`. */
const listOf = <Item extends z.ZodMiniType<string>>(what: string, item: Item, most: number) => {
  const expected = `must be a list of ${what}, or any`;
  const error = ({ input }: { readonly input?: unknown }): string => `${expected}, found ${shown(input)}`;
  const list = z.array(item, { error }).check(
    z.minLength(1, {
      ...evenIfItemsAreFaulty,
      error: `${expected}; a list of none allows nothing: leave the role out`,
    }),
    z.maxLength(most, { ...evenIfItemsAreFaulty, error: `must have at most ${most} ${what}` }),
    z.refine((all) => new Set(all).size === all.length, 'names one of them twice'),
  );
  return z.exactOptional(z.union([z.literal(ANY), list], { error }));
};

const source = whenUsed(() =>
  z
    .string({ error: ({ input }) => `must be the name of a source, found ${shown(input)}` })
    .check(
      z.refine((name) => faultOfSource(name) === undefined, { error: ({ input }) => faultOfSource(String(input)) }),
    ),
);

const roles = whenUsed(() =>
  z
    .array(oneOf('role', ROLES), {
      error: ({ input }) => `must be a list of roles (${ROLES.join(', ')}), found ${shown(input)}`,
    })
    .check(
      z.minLength(1, { ...evenIfItemsAreFaulty, error: `names no role; allowed: ${ROLES.join(', ')}` }),
      z.refine((all) => new Set(all).size === all.length, 'names a role twice'),
    ),
);

const grant = () => ({
  roles,
  sources: listOf('sources', source, MOST_SOURCES),
  classes: listOf('classes', oneOf('class', CLASSES), CLASSES.length),
  actions: listOf('actions', oneOf('action', ACTIONS), ACTIONS.length),
});

/** What a role is bound to: with the role they must be given, without it they mean nothing. */
const BOUNDS = [
  ['sources', 'reporter'],
  ['classes', 'reporter'],
  ['actions', 'implementer'],
] as const satisfies readonly (readonly [keyof Grant, Role])[];

const isBound = z.superRefine((given: Partial<Grant>, context: z.core.$RefinementCtx) => {
  const has = Array.isArray(given.roles) ? given.roles : [];
  for (const [bound, role] of BOUNDS) {
    const isGiven = given[bound] !== undefined;
    if (isGiven === has.includes(role)) continue;
    const message = isGiven
      ? `is for the role ${role}, which is not among the roles`
      : `${bound} is missing: the role ${role} needs a list of ${bound}, or any`;
    context.issues.push({ code: 'custom', path: isGiven ? [bound] : [], message, input: given });
  }
}, evenIfFaulty);

const sha256 = whenUsed(() =>
  z
    .string({ error: ({ input }) => `must be the SHA-256 of a token, found ${shown(input)}` })
    .check(z.regex(/^[\da-f]{64}$/, 'must be the SHA-256 of a token: 64 lower-case hex digits')),
);

const principal = whenUsed(() =>
  closed('key', {
    ...grant(),
    token_path: z.exactOptional(absolutePath),
    token_sha256: z.exactOptional(sha256),
  }).check(
    isBound,
    z.refine((given) => (given.token_path === undefined) !== (given.token_sha256 === undefined), {
      ...evenIfFaulty,
      error: 'needs a token: token_path, or token_sha256, and not both',
    }),
  ),
);

const FLEET_KEY_WANTED = 'must be the public key of the fleet (incident-recorder fleet pubkey): NAME+ID+BASE64';

const fleetKey = whenUsed(() =>
  z
    .string({ error: ({ input }) => `${FLEET_KEY_WANTED}, found ${shown(input)}` })
    .check(z.refine(isVerifierKey, { error: FLEET_KEY_WANTED })),
);

function isVerifierKey(text: string): boolean {
  try {
    readVerifierKey(text);
    return true;
  } catch {
    return false;
  }
}

const MACHINE_WANTED =
  'must be the name of this machine in the fleet: 1 to 128 letters, digits, ".", "_" or "-", and a letter or digit first';

const fleet = whenUsed(() =>
  closed('key', {
    machine: z
      .string({ error: ({ input }) => `${MACHINE_WANTED}, found ${shown(input)}` })
      .check(z.refine(isMachineName, { error: MACHINE_WANTED })),
    roles,
    actions: grant().actions,
  }),
);

/** The name of a principal. The service token's own is not free. */
const NAME = new RegExp(String.raw`^(?!${SERVICE_TOKEN}$)[A-Za-z\d][\w.@-]{0,63}$`);

const name = whenUsed(() =>
  z
    .string()
    .check(z.regex(NAME, `must be named by 1 to 64 letters, digits, ".", "_", "@" or "-", and not ${SERVICE_TOKEN}`)),
);

/** The whole file. */
export const AccessFile = whenUsed(() =>
  closed('key', {
    version: z.literal(1, {
      error: ({ input }) => (input === undefined ? 'is missing; write version: 1' : `must be 1, found ${shown(input)}`),
    }),
    service_token: z.exactOptional(closed('key', grant()).check(isBound)),
    principals: z.prefault(
      z.pipe(
        z.transform((value) => value ?? {}),
        z.record(name, principal, {
          error: (issue) =>
            issue.code === 'invalid_key'
              ? issue.issues.map(({ message }) => message).join('; ')
              : `must be a mapping of principals, found ${shown(issue.input)}`,
        }),
      ),
      {},
    ),
    fleet_key: z.exactOptional(fleetKey),
    fleet: z.exactOptional(fleet),
  }).check(
    z.refine((given) => given.fleet === undefined || given.fleet_key !== undefined, {
      ...evenIfFaulty,
      path: ['fleet'],
      error: 'needs fleet_key: without it nobody knows what comes from the fleet',
    }),
  ),
);

/**
 * Parses the text of an access file.
 * @param file its name, for the faults
 * @throws RecorderError `invalid_access` with every fault in the text
 */
export function parseAccess(text: string, file: string): AccessContent {
  const { value, lineOf, faults } = readYaml(text);
  if ((value === undefined || value === null) && faults.length === 0) {
    const message = 'the file is empty; the least that it says is "version: 1", and then nobody may do anything';
    throw refusedAccess([{ file, line: 1, message }]);
  }
  const found: FileFault[] = faults.map((fault) => ({ file, ...fault }));
  const fault = (place: readonly PropertyKey[], message: string): void => {
    found.push({ file, line: lineOf(place), message: `${placeOf(place, 'the file')}: ${message}` });
  };
  const parsed = value === undefined ? undefined : AccessFile.safeParse(value);
  for (const issue of (parsed?.error?.issues ?? []).flatMap(withinList)) fault(issue.path, issue.message);
  if (parsed?.success === true) {
    const content = parsed.data as unknown as Omit<AccessContent, 'digest'>;
    const all = Object.entries(content.principals);
    if (all.length > MOST_PRINCIPALS)
      fault(['principals'], `has ${all.length}; at most ${MOST_PRINCIPALS} are allowed`);
    for (const [first, second, key] of sameTokens(all)) {
      fault(['principals', second, key], `is the token of ${first}: each principal needs a token of its own`);
    }
    if (found.length === 0) {
      return { ...content, digest: hash('sha256', canonicalForm(content as unknown as JsonValue)) };
    }
  }
  throw refusedAccess(found);
}

/** What is wrong within a list, where `any` or a list is expected: zod itself says only that it is neither. */
function withinList(issue: z.core.$ZodIssue): readonly Pick<z.core.$ZodIssue, 'path' | 'message'>[] {
  const list = issue.code === 'invalid_union' ? (issue.errors.at(-1) ?? []) : [];
  const isNoList = list[0]?.code === 'invalid_type' && list[0].path.length === 0;
  if (list.length === 0 || isNoList) return [issue];
  return list.map(({ path, message }) => ({ path: [...issue.path, ...path], message }));
}

/** The pairs of principals of which the file itself says that they have the same token. */
function sameTokens(
  all: readonly (readonly [string, TokenPlace])[],
): readonly (readonly [string, string, 'token_path' | 'token_sha256'])[] {
  const first = new Map<string, string>();
  return all.flatMap(([principalName, place]) => {
    const [[key, token]] = Object.entries(place).filter(([member]) => member.startsWith('token_')) as [
      ['token_path' | 'token_sha256', string],
    ];
    const other = first.get(token);
    first.set(token, other ?? principalName);
    return other === undefined ? [] : [[other, principalName, key] as const];
  });
}
