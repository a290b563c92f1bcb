import { createHash } from 'node:crypto';
import { CLASSES } from '../../machines/vocabulary.ts';
import { canonicalForm } from '../json/canonical-form.ts';
import type { Rules } from './policy.ts';

/**
 * Names a set of rules: lower-case hex SHA-256 over their canonical form. The same rules give the same digest, whether
 * they are built in or from a file, and however that file is laid out.
 */
export const digestRules = (rules: Rules): string =>
  createHash('sha256')
    .update(canonicalForm(Object.fromEntries(CLASSES.map((name) => [name, { ...rules[name] }]))))
    .digest('hex');
