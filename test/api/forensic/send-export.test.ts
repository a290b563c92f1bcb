import { once } from 'node:events';
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { type SendingLimits, sendExport } from '../../../src/api/forensic/send-export.ts';

const PIECE = 'x'.repeat(1024 * 1024);
const PIECES = 40;

describe('an export on its way', () => {
  /** How far it was read when sending ended, and how that ended. */
  interface Sent {
    readonly pieces: number;
    readonly error: unknown;
  }

  const sending = async (
    read: (response: IncomingMessage) => Promise<unknown>,
    limits: SendingLimits = { stalled: 60_000, whole: 60_000 },
  ): Promise<Sent> => {
    let pieces = 0;
    const prepared = {
      async *read() {
        for (; pieces < PIECES; pieces++) yield PIECE;
      },
    };
    const sent = Promise.withResolvers<Sent>();
    const serve = (_request: IncomingMessage, response: ServerResponse): void => {
      sendExport(response, prepared, limits).then(
        () => sent.resolve({ pieces, error: undefined }),
        (error: unknown) => {
          response.destroy();
          sent.resolve({ pieces, error });
        },
      );
    };
    const server = createServer(serve).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const asked = request({ port: (server.address() as AddressInfo).port, agent: false }).end();
    const [response] = (await once(asked, 'response')) as [IncomingMessage];
    response.on('error', () => {});
    await read(response).catch(() => {});
    const ended = await sent.promise;
    response.destroy();
    server.close();
    return ended;
  };

  it('goes as fast as its client reads, to the end', async () => {
    let length = 0;
    const { pieces, error } = await sending(async (response) => {
      length = (await text(response)).length;
    });
    expect([pieces, error, length]).to.deep.equal([PIECES, undefined, PIECES * PIECE.length]);
  });

  it('ends when its client leaves', async () => {
    const { pieces, error } = await sending(async (response) => {
      await once(response, 'data');
      response.destroy();
    });
    expect(error).to.equal(undefined);
    expect(pieces).to.be.below(PIECES);
  });

  it('is cut when its client reads nothing, and when that takes too long', async () => {
    const isUnread = async (): Promise<void> => {};
    const stalled = await sending(isUnread, { stalled: 50, whole: 60_000 });
    expect(String(stalled.error)).to.include('its client does not read it in time');
    expect(stalled.pieces).to.be.below(PIECES);
    const isSlow = async (response: IncomingMessage): Promise<void> => {
      for await (const chunk of response) await new Promise((resolve) => setTimeout(resolve, 20, chunk));
    };
    const slow = await sending(isSlow, { stalled: 60_000, whole: 50 });
    expect(String(slow.error)).to.include('its client does not read it in time');
  });
});
