import { setTimeout as after } from 'node:timers/promises';
import { expect } from 'chai';
import { ACTIONS, type ContainmentAction } from '../../../machines/vocabulary.ts';
import { postureTexts } from '../../../src/api/containment/respond-posture.ts';
import { ask, dial, serve, stopServing } from '../support/client.ts';
import { standIn } from '../support/dependencies.ts';

describe('the text of the posture', () => {
  afterEach(stopServing);

  it('is made once for each version, and again when it is proved', () => {
    const { posture } = standIn();
    let version = '1';
    let unproved: readonly ContainmentAction[] = ACTIONS;
    let made = 0;
    const read: typeof posture.read = (action) => {
      made++;
      return posture.read(action);
    };
    const textOf = postureTexts({ read, versionOf: () => version, unverified: () => unproved });
    const all = JSON.parse(textOf(ACTIONS, true)) as object;
    expect(Object.keys(all)).to.deep.equal([...ACTIONS]);
    expect(textOf(ACTIONS, true)).to.equal(JSON.stringify(all));
    expect(made).to.equal(ACTIONS.length);
    expect(JSON.parse(textOf(ACTIONS[0], true))).to.have.property('action', ACTIONS[0]);
    expect(made).to.equal(ACTIONS.length + 1);
    version = '2';
    textOf(ACTIONS, true);
    expect(made).to.equal(2 * ACTIONS.length + 1);
    unproved = ACTIONS.slice(1);
    textOf(ACTIONS, true);
    expect(made).to.equal(3 * ACTIONS.length + 1);
    textOf(ACTIONS, false);
    expect(made).to.equal(4 * ACTIONS.length + 1);
  });

  it('is not made for those that leave while they wait', async () => {
    const dependencies = standIn();
    let made = 0;
    const { posture } = dependencies;
    const server = await serve({
      ...dependencies,
      posture: {
        ...posture,
        versionOf: () => String(made),
        read: (action) => {
          made++;
          return posture.read(action);
        },
        change: (_actions, _version, _wait, signal) =>
          new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true })),
      },
    });
    const waiting = await Promise.all(Array.from({ length: 20 }, () => dial(server)));
    for (const socket of waiting) socket.write('GET /api/v1/containment?wait=60 HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await after(100);
    for (const socket of waiting) socket.destroy();
    await after(50);
    expect((await ask(server, '/livez')).status).to.equal(200);
    expect(made).to.equal(0);
  });
});
