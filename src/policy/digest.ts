import { createHash } from 'node:crypto';
import { CLASSES } from '../../machines/vocabulary.ts';
import { canonicalForm } from '../json/canonical-form.ts';
import type { JsonValue } from '../json/exact-json.ts';
import { DEFAULT_ATTENTION_AFTER, DEFAULT_OVERDUE_AFTER, type PolicyContent } from './policy.ts';

/**
 * Identifies what a policy decides: lower-case hex SHA-256 over the canonical form of its rules, and of everything else
 * in which it differs from the built-in policy. Policies that decide the same have the same digest, whether built in or from a file, and
 * however the file is written.
 */
export function digestPolicy(content: Omit<PolicyContent, 'version'>): string {
  const {
    rules,
    targets,
    notify,
    attention_after,
    overdue_after,
    burst,
    escalate = [],
    report_bytes_per_day,
    archive_after,
    expect,
    runbooks,
  } = content;
  const decided = {
    ...Object.fromEntries(CLASSES.map((name) => [name, { ...rules[name] }])),
    ...(Object.keys(targets).length === 0 ? {} : { targets }),
    ...(notify.length === 0 ? {} : { notify }),
    ...(attention_after === DEFAULT_ATTENTION_AFTER ? {} : { attention_after }),
    ...(overdue_after === DEFAULT_OVERDUE_AFTER ? {} : { overdue_after }),
    ...(burst === undefined ? {} : { burst }),
    ...(escalate.length === 0 ? {} : { escalate }),
    ...(report_bytes_per_day === undefined ? {} : { report_bytes_per_day }),
    ...(expect === undefined ? {} : { expect }),
    ...(runbooks === undefined ? {} : { runbooks }),
    ...(archive_after === undefined ? {} : { archive_after }),
  };
  return createHash('sha256')
    .update(canonicalForm(decided as unknown as JsonValue))
    .digest('hex');
}
