import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { expect } from 'chai';
import { runningServices, ServiceHome } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { spawnCommand } from './support/command-line.ts';

describe('incident-recorder watch', () => {
  const directory = temporaryDirectories();
  const start = runningServices();
  const watching: ChildProcess[] = [];

  afterEach(async () => {
    for (const child of watching.splice(0)) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await once(child, 'close');
    }
  });

  const setUp = () => {
    const home = new ServiceHome(directory());
    const url = `unix:${join(home.directory, 'socket')}`;
    const watch = (...args: string[]) => {
      const child = spawnCommand(['watch', '--url', url, ...args]);
      watching.push(child);
      return { said: linesOf(child.stdout), messages: linesOf(child.stderr) };
    };
    return { home, run: () => start(home, { env: { BIND_ADDR: url } }), watch };
  };

  /** Collects lines; `until` waits for one. */
  const linesOf = (stream: Readable) => {
    const lines: string[] = [];
    const reader = createInterface({ input: stream }).on('line', (line) => lines.push(line));
    return {
      lines,
      until: async (isIt: (line: string) => boolean) => {
        while (!lines.some(isIt)) await once(reader, 'line');
      },
    };
  };

  const seqOf = (line: string): number => (JSON.parse(line) as { data: { seq: number } }).data.seq;

  it('shows the whole log, and what is recorded from then on', async () => {
    const { run, watch } = setUp();
    const service = await run();
    await service.report({ description: 'before \u001b[2J' });
    const { said } = watch('--after', '0');
    await said.until((line) => line.includes(String.raw`before \x1b[2J`));
    expect(said.lines[0]).to.match(/^\S+Z +1 {2}service\.started/);
    const { json } = await service.report({ description: 'later' });
    await said.until((line) => line.includes('later'));
    expect(said.lines.join('\n')).to.include(`incident.reported       ${json.id}  contained  high · prompt_injection`);
  });

  it('goes on exactly where it was when the recorder was killed and comes back', async () => {
    const { run, watch } = setUp();
    let service = await run();
    const { said, messages } = watch('--json', '--after', '0');
    for (const description of ['one', 'two']) await service.report({ description });
    await said.until((line) => line.includes('two'));
    await service.end('SIGKILL');
    await messages.until((line) => line.includes('trying again'));
    service = await run();
    await service.report({ description: 'three' });
    await said.until((line) => line.includes('three'));
    await messages.until((line) => line === 'connected again');
    const numbers = said.lines.map(seqOf);
    expect(numbers).to.deep.equal(numbers.map((_, index) => index + 1));
  });

  it('says that it is another log, and shows that from its beginning', async () => {
    const { home, run, watch } = setUp();
    let service = await run();
    const { said, messages } = watch('--json', '--after', '0');
    for (const description of ['one', 'two']) await service.report({ description });
    await said.until((line) => line.includes('two'));
    await service.end('SIGTERM');
    for (const name of readdirSync(home.directory)) {
      if (name.startsWith('audit.')) rmSync(join(home.directory, name));
    }
    const before = said.lines.length;
    service = await run();
    for (const description of ['three', 'four', 'five']) await service.report({ description });
    await said.until((line) => line.includes('five'));
    expect(messages.lines.join('\n')).to.include('another log').and.to.include('beginning with entry 1');
    const numbers = said.lines.slice(before).map(seqOf);
    expect(numbers.slice(numbers.indexOf(1))).to.deep.equal(
      numbers.slice(numbers.indexOf(1)).map((_, index) => index + 1),
    );
  });

  it('begins now, and shows what is asked for', async () => {
    const { run, watch } = setUp();
    const service = await run();
    await service.report({ description: 'before' });
    const all = watch('--json');
    const some = watch('--json', '--class', 'tool_call_burst');
    // That they have begun shows in what they get; until then there is more of it.
    const timer = setInterval(() => void service.report({ description: 'now', class: 'tool_call_burst' }), 200);
    await Promise.all([all.said.until(() => true), some.said.until(() => true)]);
    clearInterval(timer);
    await service.report({ description: 'another' });
    await service.report({ description: 'last', class: 'tool_call_burst' });
    await Promise.all([all, some].map(({ said }) => said.until((line) => line.includes('"last"'))));
    expect(all.said.lines.join('\n')).to.include('another').and.not.include('before');
    expect(some.said.lines.join('\n')).not.to.include('another');
  });
});
