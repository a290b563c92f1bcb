import { expect } from 'chai';
import pino from 'pino';
import { requestLines } from '../src/process-output.ts';
import { RefusalLog } from '../src/refusal-log.ts';

describe('the lines of requests', () => {
  const linesAt = (level: string, write: (logger: pino.Logger, output: { write(line: string): void }) => void) => {
    const lines: string[] = [];
    const output = { write: (line: string) => void lines.push(line) };
    write(pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, output), output);
    return lines.map((line) => line.replace(/"time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"/, '"time":"now"'));
  };
  const FIELDS = {
    id: 'a"b\\c\n é',
    method: 'GET',
    path: '/api/v1/incidents',
    status: 200,
    ms: 1.25,
    bytes: undefined,
  };

  it("are like pino's own", () => {
    const lines = linesAt('info', (logger, output) => {
      logger.info(FIELDS, 'request');
      requestLines(logger, output)(FIELDS, true);
    });
    expect(lines[1]).to.equal(lines[0]);
    expect(lines[0]).to.match(/^\{"level":30,"time":"now","id":"a.*,"msg":"request"\}\n$/);
  });

  it('are left out when the log level is higher', () => {
    expect(linesAt('warn', (logger, output) => requestLines(logger, output)(FIELDS, true))).to.deep.equal([]);
  });

  it('of refusals, and of requests without the token, are limited by status, and say how many were left out', () => {
    let now = 0;
    const lines = linesAt('info', (logger, output) => {
      const write = requestLines(logger, output, { monotonic: () => now });
      for (let count = 0; count < 50; count++) write({ ...FIELDS, status: 404 }, true);
      write({ ...FIELDS, status: 409 }, true);
      for (let count = 0; count < 50; count++) write(FIELDS, true);
      for (let count = 0; count < 50; count++) write({ ...FIELDS, status: 304 }, false);
      now = 10_000;
      for (let count = 0; count < 5; count++) write({ ...FIELDS, status: 404 }, true);
    }).map((line) => JSON.parse(line));
    const withStatus = (status: number): number => lines.filter((line) => line.status === status).length;
    expect([404, 409, 200, 304].map(withStatus)).to.deep.equal([25, 1, 50, 20]);
    let leftOut: object | undefined;
    const refusals = new RefusalLog({ monotonic: () => 0 }, (given) => (leftOut = given));
    for (let count = 0; count < 50; count++) refusals.admits(403);
    refusals.close();
    expect(leftOut).to.deep.equal({ status: 403, left_out: 30 });
  });
});
