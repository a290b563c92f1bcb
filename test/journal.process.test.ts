import { expect } from 'chai';
import { runningServices, ServiceHome } from './support/running-service.ts';
import { temporaryDirectories } from './support/temporary-directory.ts';

describe('the journal of the service', () => {
  const start = runningServices();
  const directory = temporaryDirectories();

  it('is found by the words that the scripts of the appliance look for, in the message of a line', async () => {
    const service = await start(new ServiceHome(directory()));
    const evidence = { secret: 'SECRET-7f3a' };
    const { id } = (await service.report({ description: 'words-7f3a', evidence })).json;
    await service.post('/api/v1/containment/confirm', { action: 'freeze_agent', directive: 'engage' });
    await service.said('engaged for');
    const lines = service.output.map((line) => JSON.parse(line) as { level: number; time: string; msg: string });
    const messages = lines.map(({ msg }) => msg);
    const about = `${id} class=prompt_injection`;
    expect(messages).to.include(
      `containment: freeze_agent, log_alert asked for by ${about} severity=high state=contained`,
    );
    expect(messages).to.include(
      `ALERT: incident ${about} severity=high source=tool-firewall: containment asked for log_alert`,
    );
    expect(messages).to.include(`containment: freeze_agent engaged for ${about}`);
    for (const { level, time } of lines) {
      expect(level).to.be.a('number');
      expect(Date.parse(time)).to.be.above(0);
    }
    expect(service.output.join('\n')).to.not.match(/SECRET-7f3a|words-7f3a/);
    await service.end();
  });
});
