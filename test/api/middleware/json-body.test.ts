import { expect } from 'chai';
import fc from 'fast-check';
import { type Answer, ask, command, dial, exchange, received, serve, stopServing } from '../support/client.ts';
import { standIn, TOKEN } from '../support/dependencies.ts';

const REPORT = '/api/v1/incidents/report';
const head = { class: 'prompt_injection', source: 'gateway', description: 'x' };

/** A report whose text is exactly this long. */
const reportOf = (bytes: number): string => {
  const shortest = JSON.stringify({ ...head, description: '' });
  return JSON.stringify({ ...head, description: 'x'.repeat(bytes - shortest.length) });
};

describe('the body of a command', () => {
  afterEach(stopServing);

  const refused = ({ status, body }: Answer): [number, string] => [status, body.error];

  it('is refused when it is no JSON object', async () => {
    const dependencies = standIn();
    const server = await serve(dependencies);
    const bodies = [
      '',
      ' ',
      '{',
      '{}x',
      '[]',
      '[{}]',
      'null',
      '"text"',
      '7',
      '{"a":1,}',
      "{'a':1}",
      '\ufeff{}',
      '{"a":"\n"}',
    ];
    for (const body of bodies)
      expect(refused(await command(server, REPORT, body)), body).to.deep.equal([400, 'invalid JSON']);
    const noUtf8 = Buffer.from('{"class":"\xff"}', 'latin1');
    expect(refused(await command(server, REPORT, noUtf8))).to.deep.equal([400, 'invalid JSON']);
    expect(dependencies.reports).to.deep.equal([]);
  });

  it('is refused, by the name of the place, where it could not be kept exactly', async () => {
    const server = await serve(standIn());
    const evidence = (text: string) =>
      command(server, REPORT, `${JSON.stringify(head).slice(0, -1)},"evidence":${text}}`);
    const deep = '{"a":'.repeat(33) + '1' + '}'.repeat(33);
    expect(refused(await evidence('{"a":1,"a":2}'))).to.deep.equal([400, 'evidence.a: duplicate key']);
    for (const text of ['{"__proto__":{}}', '{"n":1e400}', '{"n":12345678901234567890}', '{"s":"\\ud800"}', deep]) {
      const [status, error] = refused(await evidence(text));
      expect(status, text).to.equal(400);
      expect(error, text).to.match(/^evidence\b.*: ./);
    }
    expect(refused(await command(server, REPORT, '{"class":"a","class":"b"}'))).to.deep.equal([
      400,
      'class: duplicate key',
    ]);
  });

  it('arrives exactly as it was sent', async () => {
    const dependencies = standIn();
    const server = await serve(dependencies);
    const isAllowed = (sent: object): boolean => !JSON.stringify(sent).includes('__proto__');
    const evidence = fc.dictionary(fc.string({ unit: 'grapheme' }), fc.jsonValue()).filter(isAllowed);
    await fc.assert(
      fc.asyncProperty(evidence, async (sent) => {
        const text = JSON.stringify({ ...head, evidence: sent });
        expect((await command(server, REPORT, text)).status).to.equal(201);
        expect(JSON.stringify(dependencies.reports.at(-1)?.report)).to.equal(text);
      }),
      { numRuns: 50 },
    );
  });

  it('keeps every character that is not ASCII', async () => {
    const dependencies = standIn();
    const server = await serve(dependencies);
    // One to four bytes each, the ends of their ranges, and what is not a character but valid UTF-8.
    const description = 'a \u007f \u0080 ÿ é ߿ \u0800 ￿ \u2028 \ufeff 𐀀 😀 \u{10ffff}';
    for (const text of [
      JSON.stringify({ ...head, description }),
      ` \t\r\n${JSON.stringify({ ...head, description })}`,
    ]) {
      expect((await command(server, REPORT, text)).status).to.equal(201);
      expect(dependencies.reports.at(-1)?.report.description).to.equal(description);
    }
  });

  it('keeps a character whose bytes arrive in two chunks', async () => {
    const dependencies = standIn();
    const server = await serve(dependencies);
    const bytes = Buffer.from(JSON.stringify({ ...head, description: '😀é' }));
    const middle = bytes.indexOf(Buffer.from('😀')) + 2;
    const socket = await dial(server);
    socket.write(
      `POST ${REPORT} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer ${TOKEN}\r\n` +
        `Content-Length: ${bytes.length}\r\n\r\n`,
    );
    socket.write(bytes.subarray(0, middle));
    await new Promise(setImmediate);
    socket.write(bytes.subarray(middle));
    expect(await received(socket)).to.match(/^HTTP\/1.1 201 /);
    expect(dependencies.reports.at(-1)?.report.description).to.equal('😀é');
  });

  it('is refused when its bytes are no UTF-8, wherever they are', async () => {
    const dependencies = standIn();
    const server = await serve(dependencies);
    const [before, after] = JSON.stringify({ ...head, description: '|' }).split('|') as [string, string];
    const sequences = {
      'a byte on its own': [0xff],
      'a continuation without a start': [0x80],
      'a start without its continuation': [0xc3],
      'an overlong slash': [0xc0, 0xaf],
      'a surrogate': [0xed, 0xa0, 0x80],
      'beyond the last code point': [0xf4, 0x90, 0x80, 0x80],
      'latin-1': [0xe9],
    };
    for (const [name, bytes] of Object.entries(sequences)) {
      const inside = Buffer.concat([Buffer.from(before), Buffer.from(bytes), Buffer.from(after)]);
      expect(refused(await command(server, REPORT, inside)), name).to.deep.equal([400, 'invalid JSON']);
      const atTheEnd = Buffer.concat([Buffer.from(JSON.stringify(head)), Buffer.from(bytes)]);
      expect(refused(await command(server, REPORT, atTheEnd)), name).to.deep.equal([400, 'invalid JSON']);
    }
    const utf16 = Buffer.from(JSON.stringify(head), 'utf16le');
    expect(refused(await command(server, REPORT, utf16))).to.deep.equal([400, 'invalid JSON']);
    expect(dependencies.reports).to.deep.equal([]);
  });

  it('is read once, after its grammar is known to be JSON', async () => {
    const server = await serve(standIn());
    // What comes first in the text does not matter: what is no JSON at all is refused as that.
    for (const body of ['{"a":1,"a":2', '"\\ud800"', '12345678901234567890', '-', ' ']) {
      expect(refused(await command(server, REPORT, body)), body).to.deep.equal([400, 'invalid JSON']);
    }
    expect(refused(await command(server, REPORT, '[{"a":1,"a":2}]'))).to.deep.equal([400, '[0].a: duplicate key']);
  });

  it('is refused when there is none at all', async () => {
    const server = await serve(standIn());
    for (const headers of [{}, { 'Content-Type': 'application/json' }]) {
      const answer = await ask(server, REPORT, {
        method: 'POST',
        headers: { Authorization: `Bearer ${TOKEN}`, ...headers },
      });
      expect(refused(answer)).to.deep.equal([400, 'invalid JSON']);
    }
    const bare = `POST ${REPORT} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer ${TOKEN}\r\n\r\n`;
    expect(await exchange(server, bare)).to.match(/^HTTP\/1.1 400 .*"error":"invalid JSON"/s);
  });

  const LONGEST = 256 * 1024;
  const tooLong = [413, 'body longer than 256 KiB'];

  it('may have 256 KiB and not a byte more', async () => {
    const server = await serve(standIn());
    for (const usual of [64 * 1024, 64 * 1024 + 1, LONGEST]) {
      expect((await command(server, REPORT, reportOf(usual))).status, String(usual)).to.equal(201);
    }
    expect(refused(await command(server, REPORT, reportOf(LONGEST + 1)))).to.deep.equal(tooLong);
    // Bytes count, not characters.
    const short = reportOf(LONGEST - 4);
    expect((await command(server, REPORT, short.replace('xx', '😀'))).status).to.equal(201);
    expect(refused(await command(server, REPORT, short.replace('xxx', '😀😀')))).to.deep.equal(tooLong);
  });

  const inChunks = (server: Awaited<ReturnType<typeof serve>>, text: string) => {
    const body = text.match(/.{1,9000}/g) ?? [];
    return ask(server, REPORT, { method: 'POST', headers: { Authorization: `Bearer ${TOKEN}` }, body });
  };

  it('is held to that in chunks too', async () => {
    const server = await serve(standIn());
    expect((await inChunks(server, reportOf(LONGEST))).status).to.equal(201);
    expect(refused(await inChunks(server, reportOf(LONGEST + 1)))).to.deep.equal(tooLong);
    expect(refused(await inChunks(server, reportOf(900_000)))).to.deep.equal(tooLong);
  });

  it('may have no more than is configured', async () => {
    for (const [maxBodyBytes, message] of [
      [128 * 1024, 'body longer than 128 KiB'],
      [10_000, 'body longer than 10000 bytes'],
    ] as const) {
      const server = await serve(standIn({ maxBodyBytes }));
      expect((await command(server, REPORT, reportOf(maxBodyBytes))).status).to.equal(201);
      expect((await inChunks(server, reportOf(maxBodyBytes))).status).to.equal(201);
      expect(refused(await command(server, REPORT, reportOf(maxBodyBytes + 1)))).to.deep.equal([413, message]);
      expect(refused(await inChunks(server, reportOf(maxBodyBytes + 1)))).to.deep.equal([413, message]);
      await stopServing();
    }
  });

  it('arrives with few large ones at the same time, which hold up no other', async () => {
    const server = await serve(standIn());
    const start = `POST ${REPORT} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${TOKEN}\r\n`;
    const slow = await Promise.all(Array.from({ length: 8 }, () => dial(server)));
    for (const [number, socket] of slow.entries()) {
      const length = number % 2 === 0 ? 'Content-Length: 200000' : 'Transfer-Encoding: chunked';
      socket.write(`${start}${length}\r\n\r\n${number % 2 === 0 ? '{' : '1\r\n{\r\n'}`);
    }
    const now = [503, 'too many bodies at once; try again'];
    let refusal = await command(server, REPORT, reportOf(100_000));
    while (refusal.status !== 503) refusal = await command(server, REPORT, reportOf(100_000));
    expect(refused(refusal)).to.deep.equal(now);
    expect(refused(await inChunks(server, reportOf(100_000)))).to.deep.equal(now);
    expect((await command(server, REPORT, reportOf(64 * 1024))).status).to.equal(201);
    expect((await inChunks(server, reportOf(64 * 1024))).status).to.equal(201);
    for (const socket of slow) socket.destroy();
    while ((await command(server, REPORT, reportOf(100_000))).status !== 201);
  });

  it('leaves the connection fit for the next request when it is too long', async () => {
    const server = await serve(standIn());
    const socket = await dial(server);
    const start = `POST ${REPORT} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${TOKEN}\r\n`;
    const size = 400_000;
    socket.write(`${start}Content-Length: ${size}\r\n\r\n${'x'.repeat(size)}`);
    socket.write(`${start}Transfer-Encoding: chunked\r\n\r\n${size.toString(16)}\r\n${'x'.repeat(size)}\r\n0\r\n\r\n`);
    socket.write('GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
    const statuses = (await received(socket)).match(/HTTP\/1.1 \d+/g);
    expect(statuses).to.deep.equal(['HTTP/1.1 413', 'HTTP/1.1 413', 'HTTP/1.1 200']);
  });

  it('is refused while a mebibyte of others is under way, and taken again after that', async () => {
    const dependencies = standIn();
    let answer: () => void = () => {};
    const answered = new Promise<void>((resolve) => (answer = resolve));
    const { report } = dependencies.recorder;
    const server = await serve({
      ...dependencies,
      recorder: { ...dependencies.recorder, report: async (...given) => answered.then(() => report(...given)) },
    });
    const large = reportOf(64 * 1024);
    const first = Array.from({ length: 16 }, () => command(server, REPORT, large));
    const small = reportOf(200);
    let refusal = await command(server, '/api/v1/incidents/contain', small);
    while (refusal.status !== 503) refusal = await command(server, '/api/v1/incidents/contain', small);
    expect(refused(refusal)).to.deep.equal([503, 'too many bodies at once; try again']);
    expect(refusal.headers['retry-after']).to.match(/^\d+$/);
    answer();
    for (const { status } of await Promise.all(first)) expect(status).to.equal(201);
    expect((await command(server, REPORT, large)).status).to.equal(201);
  });

  it('is cut after the time of a request when it never ends', async () => {
    const server = await serve(standIn(), { requestTimeout: 100, headersTimeout: 100, sweepInterval: 20 });
    const socket = await dial(server);
    const start = `POST ${REPORT} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n`;
    const chunk = `4000\r\n${'x'.repeat(0x4000)}\r\n`;
    const flood = () => {
      while (!socket.destroyed && socket.write(chunk));
    };
    socket.on('drain', flood);
    socket.write(start);
    flood();
    expect(await received(socket)).to.match(/^HTTP\/1.1 403 /);
  });

  it('must be JSON by its type, in UTF-8 and not compressed', async () => {
    const server = await serve(standIn());
    const text = JSON.stringify(head);
    const status = async (headers: Record<string, string>) => (await command(server, REPORT, text, headers)).status;
    for (const type of [
      'application/json',
      'Application/JSON',
      'application/json; charset=UTF-8',
      'application/json;charset="utf-8";v=1',
      'application/json;',
      'application/json; =; odd parameters',
      ' application/json ',
    ]) {
      expect(await status({ 'Content-Type': type }), type).to.equal(201);
    }
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'application/jsonp',
      'application/json; charset=latin1',
      '*/*',
    ]) {
      expect(await status({ 'Content-Type': type }), type).to.equal(415);
    }
    expect(await status({ 'Content-Encoding': 'identity' })).to.equal(201);
    expect(await status({ 'Content-Encoding': 'IDENTITY' })).to.equal(201);
    for (const coding of ['gzip', 'deflate', 'br', 'identity, gzip', 'x', '']) {
      expect(await status({ 'Content-Encoding': coding }), coding).to.equal(415);
    }
    expect(await status({})).to.equal(201);
  });

  it('may be broken off: nothing is recorded, and nothing is an error of ours', async () => {
    const dependencies = standIn();
    const server = await serve(dependencies);
    const socket = await dial(server);
    socket.end(
      `POST ${REPORT} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${TOKEN}\r\nContent-Length: 100\r\n\r\n{`,
    );
    await received(socket);
    await stopServing();
    expect(dependencies.reports).to.deep.equal([]);
    expect(dependencies.lines.filter(({ level }) => level === 'error')).to.deep.equal([]);
  });
});
