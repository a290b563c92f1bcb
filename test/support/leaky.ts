/** A suite of Mocha that leaks, for the test of `leak-check.ts`. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { createServer } from 'node:net';

describe('leaky', () => {
  it('listens', () => once(createServer().listen(0, '127.0.0.1'), 'listening'));
  it('waits', () => {
    setInterval(() => {}, 60_000);
  });
  it('reads', () => {
    openSync(import.meta.filename, 'r');
  });
  it('runs', () => once(spawn('sleep', ['60'], { stdio: 'ignore' }), 'spawn'));
  it('has a timer that keeps nothing up', () => {
    setInterval(() => {}, 60_000).unref();
  });
});

describe('tidy', () => {
  it('cleans up', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    server.close();
  });
});
