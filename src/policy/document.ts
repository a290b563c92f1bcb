import { BY_HAND, CLASSES, type IncidentClass, type Rule } from '../../machines/vocabulary.ts';
import type { Escalation } from '../domain/escalation.ts';
import type { Burst, Expectation, Policy } from './policy.ts';
import { originOf, type TargetUrl } from './target-url.ts';
import type { Target, Webhook } from './targets.ts';

/** A policy as everybody may see it: what it decides and where it comes from, without the paths of tokens. */
export interface PolicyDocument {
  readonly version: 1;
  readonly source: Policy['source'];
  readonly path?: string;
  /** Identifies what the policy decides: see `digestPolicy`. */
  readonly digest: string;
  /** RFC 3339 in UTC with milliseconds. */
  readonly loaded_at: string;
  /** There when addresses are cut to their origins. */
  readonly addresses?: 'origin';
  readonly rules: Readonly<Record<IncidentClass, Rule & { readonly runbook?: string }>>;
  /** Addresses as the policy writes them, or their origins; times in milliseconds. */
  readonly targets: Readonly<Record<string, object>>;
  readonly notify: readonly object[];
  /** In milliseconds. */
  readonly attention_after: number;
  /** In milliseconds. */
  readonly overdue_after: number;
  readonly burst?: Burst;
  /** `within` in milliseconds. */
  readonly escalate?: readonly Escalation[];
  readonly report_bytes_per_day?: number;
  /** The guards, with times in milliseconds. */
  readonly expect?: readonly Expectation[];
  /** In milliseconds. */
  readonly archive_after?: number;
  /** What it has, by name: see `partsOf`. */
  readonly parts: readonly string[];
}

/**
 * The document of a policy.
 * @param addresses `whole` as the policy writes them, for who may know them; `origin` for anybody
 */
export const policyDocument = (policy: Policy, addresses: 'whole' | 'origin' = 'whole'): PolicyDocument => {
  const shown = addresses === 'whole' ? ({ text }: TargetUrl): string => text : originOf;
  const { version, source, path, digest, loaded_at, rules, targets, notify, parts } = policy;
  const { attention_after, overdue_after, burst, escalate = [], report_bytes_per_day, archive_after } = policy;
  const { expect, runbooks = {}, from_environment: given = [] } = policy;
  return {
    version,
    source,
    ...(path === undefined ? {} : { path }),
    digest,
    loaded_at,
    ...(addresses === 'origin' && hasAddresses(policy) ? { addresses } : {}),
    rules: Object.fromEntries(
      CLASSES.map((name) => {
        const runbook = runbooks[name];
        return [name, runbook === undefined ? rules[name] : { ...rules[name], runbook }];
      }),
    ) as PolicyDocument['rules'],
    targets: Object.fromEntries(
      Object.entries(targets).flatMap(([action, target]) =>
        target
          ? [[action, { ...targetDocument(target, shown), ...(given.some((one) => one === action) && FROM) }]]
          : [],
      ),
    ),
    notify: notify.map((webhook) => webhookDocument(webhook, shown)),
    attention_after,
    overdue_after,
    ...(burst === undefined ? {} : { burst }),
    ...(escalate.length === 0 ? {} : { escalate }),
    ...(report_bytes_per_day === undefined ? {} : { report_bytes_per_day }),
    ...(expect === undefined ? {} : { expect }),
    ...(archive_after === undefined ? {} : { archive_after }),
    parts,
  };
};

const hasAddresses = ({ targets, notify }: Policy): boolean => notify.length + Object.keys(targets).length > 0;

/** Says that a target is not in the file: variables of the environment name it. */
const FROM = { from: 'environment' } as const;

/** A webhook without the paths of its files. */
const webhookDocument = (
  {
    url,
    token_path: _token,
    secret_path: _secret,
    ca_path: _ca,
    url_path: _path,
    routing_key_path: _key,
    ...rest
  }: Webhook,
  shown: (url: TargetUrl) => string,
): object => ({
  url: shown(url),
  ...Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined)),
});

const targetDocument = (
  { engage, release, broker, prove, timeout, confirm_every, confirm, final, done_when, drill }: Target,
  shown: (url: TargetUrl) => string,
): object => ({
  ...(engage && { engage: { ...engage, url: shown(engage.url) } }),
  ...(release && { release: release === BY_HAND ? release : { ...release, url: shown(release.url) } }),
  ...(broker && { broker }),
  ...(prove !== undefined && { prove }),
  ...(timeout !== undefined && { timeout }),
  ...(confirm_every !== undefined && { confirm_every }),
  ...(confirm !== undefined && { confirm }),
  ...(final !== undefined && { final }),
  ...(done_when !== undefined && { done_when }),
  ...(drill !== undefined && { drill }),
});
