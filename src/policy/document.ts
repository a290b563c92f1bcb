import type { Burst, Policy, PolicyContent } from './policy.ts';
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
  readonly rules: PolicyContent['rules'];
  /** Addresses as the policy writes them; times in milliseconds. */
  readonly targets: Readonly<Record<string, object>>;
  readonly notify: readonly object[];
  /** In milliseconds. */
  readonly attention_after: number;
  readonly burst?: Burst;
  readonly report_bytes_per_day?: number;
}

/** The public document of a policy. */
export const policyDocument = (policy: Policy): PolicyDocument => {
  const { version, source, path, digest, loaded_at, rules, targets, notify } = policy;
  const { attention_after, burst, report_bytes_per_day } = policy;
  return {
    version,
    source,
    ...(path === undefined ? {} : { path }),
    digest,
    loaded_at,
    rules,
    targets: Object.fromEntries(
      Object.entries(targets).flatMap(([action, target]) => (target ? [[action, targetDocument(target)]] : [])),
    ),
    notify: notify.map(webhookDocument),
    attention_after,
    ...(burst === undefined ? {} : { burst }),
    ...(report_bytes_per_day === undefined ? {} : { report_bytes_per_day }),
  };
};

const targetDocument = ({ engage, release, broker, timeout, confirm_every, confirm }: Target): object => ({
  ...(engage && { engage: { ...engage, url: engage.url.text } }),
  ...(release && { release: { ...release, url: release.url.text } }),
  ...(broker && { broker }),
  ...(timeout !== undefined && { timeout }),
  ...(confirm_every !== undefined && { confirm_every }),
  ...(confirm !== undefined && { confirm }),
});

const webhookDocument = ({ url, events }: Webhook): object => ({ url: url.text, ...(events && { events }) });
