import type { PolicyContent, PolicyFault } from './policy.ts';
import { refusedPolicy } from './policy.ts';
import { PolicyFile } from './schema.ts';
import { placeOf } from './wording.ts';
import { readYaml } from './yaml.ts';

/**
 * What a policy file's text decides, completed from the built-in rules.
 *
 * Throws RecorderError `invalid_policy` with every fault in the text; `file` is the name that the faults carry.
 */
export const parsePolicy = (text: string, file: string): PolicyContent => {
  const { value, lineOf, faults } = readYaml(text);
  if ((value === undefined || value === null) && faults.length === 0)
    throw refusedPolicy([
      { file, line: 1, message: 'the file is empty; the least that a policy says is "version: 1"' },
    ]);

  const found: PolicyFault[] = faults.map((fault) => ({ file, ...fault }));
  if (value !== undefined) {
    const parsed = PolicyFile.safeParse(value);
    if (parsed.success && found.length === 0) return parsed.data;
    for (const { path, message } of parsed.error?.issues ?? [])
      found.push({ file, line: lineOf(path), message: `${placeOf(path)}: ${message}` });
  }
  throw refusedPolicy(found);
};
