/** What follows from the tables in `machines/` and the compiler can't check. Each test names what is missing. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { COMMAND_EVENTS, COMMAND_TABLE, commandOfEvent, COMMANDS, eventOfCommand } from '../../machines/commands.ts';
import { incidentMachine, RECOVERY_EVENTS, SNOOZE_EVENTS } from '../../machines/incident.ts';
import { ACTIONS, CLASSES, SEVERITIES, STATES, UNATTENDED_STATES } from '../../machines/vocabulary.ts';
import { SUBCOMMANDS } from '../../src/cli/subcommands.ts';
import { ENTRY_EVENTS } from '../../src/domain/entries.ts';
import { ROOT } from '../support/running-service.ts';

const textOf = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

const repeated = (names: readonly string[]): readonly string[] =>
  names.filter((name, index) => names.indexOf(name) !== index);

/** Those of the names that a text lacks. */
const missingIn = (text: string, names: readonly string[], patternOf: (name: string) => string): readonly string[] =>
  names.filter((name) => !new RegExp(patternOf(name), 'm').test(text));

const rows = COMMANDS.map((name) => COMMAND_TABLE[name]);

describe('the table of commands', () => {
  it('and the statechart have the same commands', () => {
    const others: readonly string[] = ['recur', 'delivery', 'release', ...SNOOZE_EVENTS, ...RECOVERY_EVENTS];
    const events = incidentMachine.events.filter((event) => !others.includes(event));
    expect(events).to.have.members(COMMANDS);
  });

  it('leads to every state but the first', () => {
    const targets = COMMANDS.map((type) =>
      STATES.filter((state) =>
        Object.values(incidentMachine.states).some((from) =>
          from.transitions.get(type)?.some(({ target }) => target?.[0]?.key === state),
        ),
      ),
    );
    expect(targets.flat(), 'a state that no command leads to').to.include.members(STATES.slice(1));
    // The fields of an incident and the counts of archived incidents are named by the state: `contained_at`.
    expect(rows.map(({ done }) => done)).to.have.members(STATES.slice(1));
  });

  it('has no key, subcommand or participle twice', () => {
    expect(repeated(rows.map(({ key }) => key))).to.deep.equal([]);
    expect(repeated(SUBCOMMANDS.map(({ name }) => name))).to.deep.equal([]);
    expect(repeated(rows.map(({ done }) => done))).to.deep.equal([]);
  });

  it('gives each command an event of the log, and finds the command by it', () => {
    expect(ENTRY_EVENTS).to.include.members(COMMAND_EVENTS);
    for (const name of COMMANDS) expect(commandOfEvent(eventOfCommand(name))).to.equal(name);
    expect(commandOfEvent('incident.reported')).to.equal(undefined);
  });

  it('gives each command a subcommand, a page of the manual and a path of the API', async () => {
    const names = rows.map(({ subcommand }) => subcommand);
    expect(SUBCOMMANDS.map(({ name }) => name)).to.include.members(names);
    const page = textOf('systemd/incident-recorder.1');
    expect(
      missingIn(page, names, (name) => String.raw`^\.SS .*\b${name} `),
      'npm run man',
    ).to.deep.equal([]);
    // It asks the statechart about every command: loaded here, so that the tests above come first.
    const { openApiDocument } = await import('../../src/api/openapi/document.ts');
    const paths = Object.keys(openApiDocument().paths ?? {});
    expect(paths).to.include.members(COMMANDS.map((name) => `/api/v1/incidents/${name}`));
  });
});

describe('the console’s style sheet', () => {
  const sheet = textOf('src/console/styles/1-tokens.css');

  it('has a colour for every state and severity, for light and dark', () => {
    const names = [...STATES, ...SEVERITIES];
    expect(missingIn(sheet, names, (name) => `^ {2}--${name}: light-dark\\(`)).to.deep.equal([]);
  });

  it('registers the colours that the charts read', () => {
    const names = [...SEVERITIES, 'accent', 'muted', 'line'];
    expect(missingIn(sheet, names, (name) => `^@property --${name} `)).to.deep.equal([]);
  });
});

describe('the policy', () => {
  it('that is shipped explains every action and has a rule for every class', () => {
    const policy = textOf('policy/incident-containment.yaml');
    expect(missingIn(policy, ACTIONS, (name) => `^#.*\\b${name}\\b`)).to.deep.equal([]);
    expect(missingIn(policy, CLASSES, (name) => `^ {2}${name}:$`)).to.deep.equal([]);
  });

  it('has JSON Schemas that know every class, action, severity and event', () => {
    const policy = textOf('policy/incident-containment.schema.json');
    const report = textOf('policy/report.schema.json');
    const quoted = (name: string): string => `"${name}"`;
    const forPolicy = [...CLASSES, ...ACTIONS, ...SEVERITIES, ...COMMAND_EVENTS];
    expect(missingIn(policy, forPolicy, quoted), 'npm run schemas').to.deep.equal([]);
    expect(missingIn(report, [...CLASSES, ...SEVERITIES], quoted), 'npm run schemas').to.deep.equal([]);
  });
});

describe('the alert rules', () => {
  const rules = textOf('systemd/incident-recorder.rules.yaml');
  const selected = (label: string): readonly string[] =>
    [...rules.matchAll(new RegExp(`[{, ]${label}=~?"([^"]*)"`, 'g'))].flatMap(([, names = '']) => names.split('|'));

  it('select states and severities that there are', () => {
    expect(SEVERITIES).to.include.members(selected('severity'));
    expect([...STATES, 'damaged']).to.include.members(selected('state'));
  });

  it('watch the states of incidents that nobody has taken on', () => {
    expect(selected('state')).to.include.members([...UNATTENDED_STATES]);
  });
});
