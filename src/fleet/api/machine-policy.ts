/**
 * The policies that machines have sent: the document that a recorder shows of its own, as JSON. A newer recorder's may say
 * more, so the fleet looks for what it knows, and takes the rest as it is.
 */
import type { IncidentClass } from '../../../machines/vocabulary.ts';
import { readYaml } from '../../policy/yaml.ts';
import type { Targets } from '../../policy/targets.ts';

/** What the fleet reads in the policy of a machine. */
export interface MachinePolicy {
  /** Where directives go; of a document only whether there is an address counts. */
  readonly targets: Targets;
  readonly runbooks: Readonly<Partial<Record<IncidentClass, string>>>;
}

const NOTHING: MachinePolicy = { targets: {}, runbooks: {} };
/** How many policies are kept: most machines have the same one, and to read it takes long. */
const MOST_KEPT = 64;

/** By their texts, the one that was used last at the end. */
export class MachinePolicies {
  readonly #kept = new Map<string, MachinePolicy>();

  /** @param text as the machine has sent it; null where it has sent none */
  read(text: string | null): MachinePolicy {
    if (text === null) return NOTHING;
    const policy = this.#kept.get(text) ?? read(text);
    this.#kept.delete(text);
    this.#kept.set(text, policy);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > MOST_KEPT && oldest !== undefined) this.#kept.delete(oldest);
    return policy;
  }
}

function read(text: string): MachinePolicy {
  const { value } = readYaml(text);
  const { rules, targets } = objectOf(value);
  const runbooks = Object.entries(objectOf(rules)).flatMap(([name, rule]) => {
    const { runbook } = objectOf(rule);
    return typeof runbook === 'string' ? [[name, runbook]] : [];
  });
  return { targets: objectOf(targets), runbooks: Object.fromEntries(runbooks) as MachinePolicy['runbooks'] };
}

const objectOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
