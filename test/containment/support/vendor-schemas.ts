/**
 * What the vendors have published of the requests that they take, as JSON Schemas of our own. Everything that we do not send
 * is left out, and refused: a field that is spelt wrong is found.
 */
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect } from 'chai';

/** Limits from Slack's reference of Block Kit: blocks 50, header 150, text of a section 3,000, elements of a context 10. */
const plainText = (most: number): object => ({
  type: 'object',
  required: ['type', 'text'],
  additionalProperties: false,
  properties: {
    type: { const: 'plain_text' },
    text: { type: 'string', minLength: 1, maxLength: most },
    emoji: { type: 'boolean' },
  },
});

const mrkdwn = {
  type: 'object',
  required: ['type', 'text'],
  additionalProperties: false,
  properties: {
    type: { const: 'mrkdwn' },
    text: { type: 'string', minLength: 1, maxLength: 3000 },
    verbatim: { type: 'boolean' },
  },
};

const block = (type: string, properties: object): object => ({
  type: 'object',
  required: ['type', ...Object.keys(properties)],
  additionalProperties: false,
  properties: { type: { const: type }, ...properties },
});

const SLACK = {
  type: 'object',
  required: ['text'],
  additionalProperties: false,
  properties: {
    text: { type: 'string', minLength: 1, maxLength: 4000 },
    blocks: {
      type: 'array',
      maxItems: 50,
      items: {
        anyOf: [
          block('header', { text: plainText(150) }),
          block('section', { text: { anyOf: [plainText(3000), mrkdwn] } }),
          block('context', { elements: { type: 'array', minItems: 1, maxItems: 10, items: mrkdwn } }),
        ],
      },
    },
  },
};

/** As Slack's own server counts it, a message whose blocks have more than some 13,000 characters is refused. */
const LONGEST_BLOCKS = 12_000;

/** PagerDuty's reference/events-v2/openapiv3.json, and the lengths that its documentation of the Events API v2 gives. */
const PAGERDUTY = {
  type: 'object',
  required: ['routing_key', 'event_action', 'dedup_key'],
  additionalProperties: false,
  properties: {
    routing_key: { type: 'string', minLength: 32, maxLength: 32 },
    event_action: { enum: ['trigger', 'acknowledge', 'resolve'] },
    dedup_key: { type: 'string', minLength: 1, maxLength: 255 },
    client: { type: 'string' },
    client_url: { type: 'string', pattern: '^https?://' },
    links: {
      type: 'array',
      items: {
        type: 'object',
        required: ['href'],
        additionalProperties: false,
        properties: { href: { type: 'string', pattern: '^https?://' }, text: { type: 'string' } },
      },
    },
    payload: {
      type: 'object',
      required: ['summary', 'severity', 'source'],
      additionalProperties: false,
      properties: {
        summary: { type: 'string', minLength: 1, maxLength: 1024 },
        severity: { enum: ['critical', 'error', 'warning', 'info'] },
        source: { type: 'string', minLength: 1 },
        timestamp: { type: 'string', pattern: String.raw`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$` },
        component: { type: 'string' },
        group: { type: 'string' },
        class: { type: 'string' },
        custom_details: { type: 'object' },
      },
    },
  },
  if: { properties: { event_action: { const: 'trigger' } } },
  // oxlint-disable-next-line unicorn/no-thenable -- a keyword of JSON Schema
  then: { required: ['payload'] },
};

/** `postableAlerts` of Alertmanager's api/v2/openapi.yaml. */
const labels = { type: 'object', additionalProperties: { type: 'string' } };
const time = { type: 'string', pattern: String.raw`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$` };
const ALERTMANAGER = {
  type: 'array',
  items: {
    type: 'object',
    required: ['labels'],
    additionalProperties: false,
    properties: {
      labels: { ...labels, required: ['alertname'], propertyNames: { pattern: '^[a-zA-Z_][a-zA-Z0-9_]*$' } },
      annotations: labels,
      startsAt: time,
      endsAt: time,
      generatorURL: { type: 'string', pattern: '^https?://' },
    },
  },
};

const ajv = new Ajv2020({ strict: false, allErrors: true });
const CHECKS = {
  slack: ajv.compile(SLACK),
  pagerduty: ajv.compile(PAGERDUTY),
  alertmanager: ajv.compile(ALERTMANAGER),
};

/** Fails when a body is none that the vendor takes. */
export function expectTaken(vendor: keyof typeof CHECKS, body: unknown): void {
  const check = CHECKS[vendor];
  expect(check(body), JSON.stringify(check.errors)).to.equal(true);
  const { blocks } = body as { readonly blocks?: unknown };
  if (blocks !== undefined) expect(JSON.stringify(blocks).length).to.be.below(LONGEST_BLOCKS);
}
