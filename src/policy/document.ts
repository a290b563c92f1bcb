import type { Policy, PolicyContent } from './policy.ts';

/** A policy as everybody may see it: what it decides and where it comes from, without paths of secrets. */
export interface PolicyDocument extends PolicyContent {
  readonly source: Policy['source'];
  readonly path?: string;
  /** Names the rules: see `digestRules`. */
  readonly digest: string;
  /** RFC 3339 in UTC with milliseconds. */
  readonly loaded_at: string;
}

export const policyDocument = ({ version, source, path, digest, loaded_at, rules }: Policy): PolicyDocument => ({
  version,
  source,
  ...(path === undefined ? {} : { path }),
  digest,
  loaded_at,
  rules,
});
