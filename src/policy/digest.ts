import { createHash } from 'node:crypto';
import { CLASSES } from '../../machines/vocabulary.ts';
import { canonicalForm } from '../json/canonical-form.ts';
import type { JsonValue } from '../json/exact-json.ts';
import type { PolicyContent } from './policy.ts';

/**
 * Identifies what a policy decides: lower-case hex SHA-256 over the canonical form of its rules, and of its targets and
 * webhooks if it has any. Policies that decide the same have the same digest, whether built in or from a file, and
 * however the file is written.
 */
export function digestPolicy({ rules, targets, notify }: Omit<PolicyContent, 'version'>): string {
  const decided = {
    ...Object.fromEntries(CLASSES.map((name) => [name, { ...rules[name] }])),
    ...(Object.keys(targets).length === 0 ? {} : { targets }),
    ...(notify.length === 0 ? {} : { notify }),
  };
  return createHash('sha256')
    .update(canonicalForm(decided as unknown as JsonValue))
    .digest('hex');
}
