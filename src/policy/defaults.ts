/**
 * The built-in rules: the appliance's containment policy, the same table as `policy/incident-containment.yaml`.
 *
 * They are in force when there is no policy file, and for classes that the file leaves out.
 */
import type { ContainmentAction, Rule, Severity } from '../../machines/vocabulary.ts';
import type { Rules } from './policy.ts';

const contain = (default_severity: Severity, ...actions: readonly ContainmentAction[]): Rule => ({
  auto_contain: true,
  actions,
  default_severity,
});

const leaveOpen = (default_severity: Severity, ...actions: readonly ContainmentAction[]): Rule => ({
  auto_contain: false,
  actions,
  default_severity,
});

export const BUILT_IN_RULES: Rules = {
  attestation_failure: contain('critical', 'freeze_agent', 'disable_airlock', 'force_vault_relock'),
  policy_bypass_attempt: contain('high', 'freeze_agent', 'log_alert'),
  manifest_mismatch: contain('high', 'quarantine_model', 'freeze_agent'),
  forbidden_airlock_request: leaveOpen('medium', 'log_alert'),
  prompt_injection: contain('high', 'freeze_agent', 'log_alert'),
  tool_call_burst: contain('medium', 'freeze_agent'),
  model_behavior_anomaly: contain('high', 'quarantine_model', 'log_alert'),
  integrity_violation: contain('critical', 'freeze_agent', 'disable_airlock', 'force_vault_relock'),
  unauthorized_access: contain('critical', 'freeze_agent', 'force_vault_relock', 'log_alert'),
};
