import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { expect } from 'chai';
import { stopReading } from '../../../src/api/server/connections.ts';

describe('stopReading', () => {
  it('makes this version of Node read no request that has arrived already', async () => {
    let requests = 0;
    const server = createServer((request) => {
      requests++;
      stopReading(request.socket);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(1000));
    await once(server, 'request');
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(requests).to.equal(1);
    socket.destroy();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
});
