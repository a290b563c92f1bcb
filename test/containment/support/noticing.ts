/** A record with one webhook that gets notices, a receiver that it is sent to, and a clock that stands still. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { expect } from 'chai';
import { SECOND } from '../../../src/clock.ts';
import { Notifier } from '../../../src/containment/notifier.ts';
import type { IncidentReads } from '../../../src/containment/webhook-receiver.ts';
import type { Entry } from '../../../src/domain/entries.ts';
import { nameOf, parseTargetUrl } from '../../../src/policy/target-url.ts';
import type { Webhook } from '../../../src/policy/targets.ts';
import { eventually } from '../../support/eventually.ts';
import { Recording } from '../../support/recording.ts';
import { type Received, Target } from '../../support/target.ts';

export const ROUTING_KEY = '0123456789abcdef0123456789abcdef';

export class Noticing {
  recording!: Recording;
  notifier!: Notifier;
  webhook!: Webhook;
  readonly target: Target;
  isSilenced: IncidentReads['isSilenced'] = () => false;
  #home: string;

  private constructor(home: string, target: Target) {
    this.#home = home;
    this.target = target;
  }

  static async open(home: string, settings: Partial<Webhook>): Promise<Noticing> {
    const noticing = new Noticing(home, await Target.listen());
    const key = join(home, 'routing-key');
    writeFileSync(key, `${ROUTING_KEY}\n`, { mode: 0o600 });
    noticing.webhook = {
      url: parseTargetUrl(noticing.target.url('/'))!,
      ...(settings.format === 'pagerduty' ? { routing_key_path: key } : {}),
      ...settings,
    };
    await noticing.#begin();
    return noticing;
  }

  async #begin(milliseconds?: number): Promise<void> {
    this.recording = await Recording.open(this.#home);
    if (milliseconds !== undefined) this.recording.clock.milliseconds = milliseconds;
    const { log, projections, clock } = this.recording;
    this.notifier = new Notifier({
      log,
      current: () => projections.current(),
      shown: projections.webhooks,
      notify: () => [this.webhook],
      isSilenced: (incident, at) => this.isSilenced(incident, at),
      clock,
      onFault: (error) => expect.fail(String(error)),
    });
    await this.notifier.follow();
    await eventually(() => projections.current().takenBy(nameOf(this.webhook.url))?.seq !== undefined);
  }

  /** What a crash leaves is on disk: goes on with that, in another directory, as long after it as is given. */
  async crash(home: string, after = 0): Promise<void> {
    const written = readFileSync(Recording.logIn(this.#home));
    const { milliseconds } = this.recording.clock;
    await this.#end();
    this.#home = home;
    writeFileSync(Recording.logIn(home), written);
    await this.#begin(milliseconds + after);
    await this.turns();
  }

  /** Reports an incident and gives its identifier. */
  async report(given: object = {}): Promise<string> {
    const report = { class: 'prompt_injection', source: 'web-gateway', description: 'ignore all', ...given } as const;
    const { incident } = await this.recording.recorder.report(report);
    await this.turns();
    return incident.id;
  }

  async perform(command: 'acknowledge' | 'resolve', id: string): Promise<void> {
    await this.recording.recorder.perform(command, { id });
    await this.turns();
  }

  /** Lets so much time pass, a second at a time. */
  async pass(milliseconds: number, step = SECOND): Promise<void> {
    const { clock } = this.recording;
    const end = clock.milliseconds + milliseconds;
    while (clock.milliseconds < end) {
      clock.milliseconds = Math.min(end, clock.milliseconds + step);
      this.notifier.wake();
      for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    }
    await this.turns();
  }

  /** Lets time pass, so many milliseconds at a time, until it is so. */
  async passUntil(isSo: () => boolean, step = SECOND): Promise<void> {
    for (let round = 0; !isSo() && round < 1000; round++) {
      this.recording.clock.milliseconds += step;
      this.notifier.wake();
      await setTimeout(5);
    }
    expect(isSo(), 'it is so in the end').to.equal(true);
  }

  /** Lets the notifier do what is due now: requests and files take their time. */
  async turns(): Promise<void> {
    for (let round = 0; round < 10; round++) {
      this.notifier.wake();
      await setTimeout(4);
    }
  }

  /** Waits until it is so, at the time that the clock shows. */
  async until(isSo: () => boolean): Promise<void> {
    for (let round = 0; !isSo() && round < 500; round++) await this.turns();
    expect(isSo(), 'it is so in the end').to.equal(true);
  }

  async receives(count: number): Promise<readonly Received[]> {
    for (let round = 0; this.target.received.length < count && round < 100; round++) await this.turns();
    expect(this.target.received).to.have.length(count);
    // What a message says is settled when it was answered and recorded.
    await this.turns();
    return this.target.received;
  }

  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into bodies of every shape
  get bodies(): readonly any[] {
    return this.target.received.map(({ body }) => body);
  }

  get status() {
    return this.notifier.status[0]!;
  }

  get entries(): readonly Entry[] {
    const text = readFileSync(Recording.logIn(this.#home), 'utf8');
    return text
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Entry);
  }

  async #end(): Promise<void> {
    await this.notifier.stop();
    await this.recording.close();
  }

  async close(): Promise<void> {
    await this.#end();
    await this.target.close();
  }
}
