/** A machine that was enrolled by `ship --enrol`, and a fleet. */
import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Fleet as FleetService } from '../../src/fleet/fleet.ts';
import { enrol } from '../../src/ship/enrol.ts';
import { Fleet } from '../../src/ship/fleet.ts';
import { FleetConnection } from '../../src/ship/fleet-connection.ts';
import { openSignature, SIGNATURE_HEADER } from '../../src/signed-request.ts';
import { Engine } from '../fleet/support/engines.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { json, TestServer } from './support/http.ts';

const { signal } = new AbortController();

describe('requests that a machine signs', () => {
  const directories = temporaryDirectories();

  it('are what its token alone is not enough for any more', async function () {
    this.timeout(60_000);
    const engine = new Engine('PGlite');
    const service: FleetService = await engine.fleet();
    const url = `http://127.0.0.1:${service.address.port}`;
    const directory = join(directories(), 'shipper');
    const secret = await service.enrolment.invite('m1', {}, 'test');
    await enrol({ url, machine: 'm1', secret, directory, signal });
    const [tokenPath, machineKeyPath] = [join(directory, 'fleet-token'), join(directory, 'machine-key.pem')];
    const connections = [{}, { machineKeyPath }, {}].map((key) => new FleetConnection({ url, tokenPath, ...key }));
    const [before, signing, stolen] = connections.map((connection) => new Fleet(connection, 'm1'));
    try {
      const status = { version: '1', log: null, entries: 0, health: {}, clock: new Date().toISOString() };
      await before!.status(status, signal);
      await signing!.status(status, signal);
      const error: unknown = await stolen!.status(status, signal).catch((fault: unknown) => fault);
      expect(error).to.include({ status: 403 });
      expect(await signing!.commands(0, signal)).to.deep.equal([]);
    } finally {
      for (const connection of connections) connection.close();
      await service.stop();
      engine.end();
    }
  });

  it('carry the time of the fleet where the clock of the machine is wrong', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    const machineKeyPath = join(directories(), 'key.pem');
    writeFileSync(machineKeyPath, privateKey.export({ type: 'pkcs8', format: 'pem' }));
    const ahead = 3_600_000;
    const offsets: number[] = [];
    class Server extends TestServer {
      protected override async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
        const { method = '', url: target = '', headers } = request;
        const signed = openSignature(String(headers[SIGNATURE_HEADER]), { method, target }, publicKey);
        const now = Date.now() + ahead;
        offsets.push(Math.round((signed!.time - now) / 60_000) + 0);
        if (Math.abs(signed!.time - now) < 300_000) return json(response, 200, []);
        return json(response, 401, { error: 'signed at another time', code: 'signed_at_another_time', now });
      }
    }
    const server = await new Server().start();
    const connection = new FleetConnection({ url: server.url, machineKeyPath });
    const fleet = new Fleet(connection, 'm1');
    try {
      await fleet.commands(0, signal);
      await fleet.commands(0, signal);
      expect(offsets).to.deep.equal([-60, 0, 0]);
    } finally {
      connection.close();
      await server.stop();
    }
    expect(server.faults).to.deep.equal([]);
  });
});
