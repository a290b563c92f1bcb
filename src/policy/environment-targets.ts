/**
 * The targets that the appliance's unit names in environment variables, as targets of a policy. The policy file wins: an
 * action that it has a target for is sent there.
 *
 * Where a variable names only the token of a service, that service is at the appliance's own address. No service of the
 * appliance takes a request that undoes an action, so a person releases it; and its registry answers 404 when a model is
 * quarantined already.
 */
import { isAbsolute } from 'node:path';
import { BY_HAND, type ContainmentAction } from '../../machines/vocabulary.ts';
import { isSecure, parseTargetUrl, staysHere, type TargetUrl, URL_FORMS } from './target-url.ts';
import type { Target, Targets } from './targets.ts';

/** The variables, as they are set: undefined where one is not. */
export type TargetVariables = Readonly<Partial<Record<(typeof TARGET_VARIABLES)[number], string>>>;

export const TARGET_VARIABLES = [
  'AGENT_SOCKET',
  'AGENT_CONTAINMENT_TOKEN_PATH',
  'AIRLOCK_URL',
  'AIRLOCK_CONTAINMENT_TOKEN_PATH',
  'REGISTRY_URL',
  'REGISTRY_CONTAINMENT_TOKEN_PATH',
  'VAULT_RELOCK_REQUEST_DIR',
  'VAULT_RELOCK_RESULT_DIR',
] as const;

/** The services that take requests: the variables of each, its address on the appliance, and what is sent there. */
const SERVICES = [
  {
    action: 'freeze_agent',
    variable: 'AGENT_SOCKET',
    token: 'AGENT_CONTAINMENT_TOKEN_PATH',
    standard: '/run/secure-ai/agent/agent.sock',
    path: '/api/v1/freeze',
    word: 'freeze',
    doneWhen: [],
  },
  {
    action: 'disable_airlock',
    variable: 'AIRLOCK_URL',
    token: 'AIRLOCK_CONTAINMENT_TOKEN_PATH',
    standard: 'http://127.0.0.1:8490',
    path: '/api/v1/disable',
    word: 'disable',
    doneWhen: [],
  },
  {
    action: 'quarantine_model',
    variable: 'REGISTRY_URL',
    token: 'REGISTRY_CONTAINMENT_TOKEN_PATH',
    standard: 'http://127.0.0.1:8470',
    path: '/api/v1/quarantine',
    word: 'quarantine',
    doneWhen: [404],
  },
] as const satisfies readonly { readonly action: ContainmentAction; readonly [key: string]: unknown }[];

/**
 * Makes targets of the variables. Paths in them are absolute already.
 * @param allowNonLoopback whether targets may be on other machines
 * @param fault receives the name of a variable and what is wrong with it; then the result is not used
 */
export function environmentTargets(
  variables: TargetVariables,
  allowNonLoopback: boolean,
  fault: (name: string, what: string) => void,
): Targets {
  const targets: { -readonly [Action in ContainmentAction]?: Target } = {};
  for (const { action, variable, token, standard, path, word, doneWhen } of SERVICES) {
    const [address, token_path] = [variables[variable], variables[token]];
    if (address === undefined && token_path === undefined) continue;
    // That it is no absolute path is a fault already.
    if (variable === 'AGENT_SOCKET' && address !== undefined && !isAbsolute(address)) continue;
    const url = urlOf(address ?? standard, path);
    const faultOfUrl =
      url === undefined ? `must be ${FORMS[variable]}, not ${quoted(address)}` : reach(url, allowNonLoopback);
    if (faultOfUrl !== undefined) fault(variable, faultOfUrl);
    if (url === undefined) continue;
    targets[action] = {
      engage: { url, action: word },
      release: BY_HAND,
      ...(token_path !== undefined && { token_path }),
      ...(doneWhen.length > 0 && { done_when: doneWhen }),
    };
  }
  const { VAULT_RELOCK_REQUEST_DIR: requests, VAULT_RELOCK_RESULT_DIR: results } = variables;
  if (requests !== undefined && results !== undefined) {
    targets.force_vault_relock = { broker: { requests, results, action: 'relock' }, release: BY_HAND };
  } else if (requests !== undefined || results !== undefined) {
    const [there, lacking] = ['VAULT_RELOCK_REQUEST_DIR', 'VAULT_RELOCK_RESULT_DIR'];
    const [name, needs] = requests === undefined ? [lacking, there] : [there, lacking];
    fault(name, `needs ${needs}: a broker has a directory for requests and one for results`);
  }
  return targets;
}

const ORIGIN = 'http://127.0.0.1:port, the address of a service without a path';
const FORMS = {
  AGENT_SOCKET: 'the absolute path of a unix socket, of at most 107 bytes and without ":"',
  AIRLOCK_URL: ORIGIN,
  REGISTRY_URL: ORIGIN,
} as const;

/** The URL of a request to a service: `address` is the path of a socket, or an origin, with or without a slash at its end. */
function urlOf(address: string, path: string): TargetUrl | undefined {
  if (address.startsWith('/')) return parseTargetUrl(`unix:${address}:${path}`);
  const origin = parseTargetUrl(address);
  return origin?.kind === 'tcp' && origin.path === '/' ? parseTargetUrl(address.replace(/\/?$/, path)) : undefined;
}

/** What is wrong with where a URL leads; undefined when nothing is. */
function reach(url: TargetUrl, allowNonLoopback: boolean): string | undefined {
  if (allowNonLoopback || (staysHere(url) && !isSecure(url))) return undefined;
  return staysHere(url)
    ? `must be ${URL_FORMS}: https is for services on other machines`
    : `is not on this machine (127.0.0.0/8, [::1], localhost), but ${quoted(url.text)}; ` +
        'set ALLOW_NON_LOOPBACK=1 if containment is meant to leave it';
}

const quoted = (text = ''): string => JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
