import { expect } from 'chai';
import pino from 'pino';
import { requestLines } from '../src/process-output.ts';

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

  it('are as pino writes them', () => {
    const lines = linesAt('info', (logger, output) => {
      logger.info(FIELDS, 'request');
      requestLines(logger, output)(FIELDS);
    });
    expect(lines[1]).to.equal(lines[0]);
    expect(lines[0]).to.match(/^\{"level":30,"time":"now","id":"a.*,"msg":"request"\}\n$/);
  });

  it('are left out at a higher log level', () => {
    expect(linesAt('warn', (logger, output) => requestLines(logger, output)(FIELDS))).to.deep.equal([]);
  });
});
