import type { Burst, Policy, PolicyContent } from './policy.ts';
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
  readonly rules: PolicyContent['rules'];
  /** Addresses as the policy writes them, or their origins; times in milliseconds. */
  readonly targets: Readonly<Record<string, object>>;
  readonly notify: readonly object[];
  /** In milliseconds. */
  readonly attention_after: number;
  /** In milliseconds. */
  readonly overdue_after: number;
  readonly burst?: Burst;
  readonly report_bytes_per_day?: number;
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
  const { attention_after, overdue_after, burst, report_bytes_per_day, archive_after } = policy;
  return {
    version,
    source,
    ...(path === undefined ? {} : { path }),
    digest,
    loaded_at,
    ...(addresses === 'origin' && hasAddresses(policy) ? { addresses } : {}),
    rules,
    targets: Object.fromEntries(
      Object.entries(targets).flatMap(([action, target]) => (target ? [[action, targetDocument(target, shown)]] : [])),
    ),
    notify: notify.map(({ url, prove, events }: Webhook) => ({
      url: shown(url),
      ...(prove !== undefined && { prove }),
      ...(events && { events }),
    })),
    attention_after,
    overdue_after,
    ...(burst === undefined ? {} : { burst }),
    ...(report_bytes_per_day === undefined ? {} : { report_bytes_per_day }),
    ...(archive_after === undefined ? {} : { archive_after }),
    parts,
  };
};

const hasAddresses = ({ targets, notify }: Policy): boolean => notify.length + Object.keys(targets).length > 0;

const targetDocument = (
  { engage, release, broker, prove, timeout, confirm_every, confirm, final }: Target,
  shown: (url: TargetUrl) => string,
): object => ({
  ...(engage && { engage: { ...engage, url: shown(engage.url) } }),
  ...(release && { release: { ...release, url: shown(release.url) } }),
  ...(broker && { broker }),
  ...(prove !== undefined && { prove }),
  ...(timeout !== undefined && { timeout }),
  ...(confirm_every !== undefined && { confirm_every }),
  ...(confirm !== undefined && { confirm }),
  ...(final !== undefined && { final }),
});
