/** The incident of the examples in the document. */

export const EXAMPLE_REPORT = {
  class: 'prompt_injection',
  source: 'tool-firewall',
  description: 'A fetched page tried to give the agent orders',
  evidence: { tool: 'web_fetch', score: 0.97 },
} as const;

export const EXAMPLE_INCIDENT = {
  id: 'INC-20261122-4f2a9c01d3e8',
  created_at: '2026-11-22T07:12:00.123Z',
  updated_at: '2026-11-22T07:12:00.123Z',
  class: 'prompt_injection',
  severity: 'high',
  state: 'contained',
  source: 'tool-firewall',
  description: 'A fetched page tried to give the agent orders',
  evidence: { tool: 'web_fetch', score: 0.97 },
  containment_actions: ['freeze_agent', 'log_alert'],
  containment_results: [{ action: 'log_alert', success: true, completed_at: '2026-11-22T07:12:00.123Z' }],
  contained_at: '2026-11-22T07:12:00.123Z',
  occurrences: 1,
  version: 2,
  hash: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
} as const;
