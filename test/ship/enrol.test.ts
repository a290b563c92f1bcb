import { createHash, createPublicKey, verify, sign } from 'node:crypto';
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { FleetRefused } from '../../src/ship/errors.ts';
import { accessLines, enrol, type EnrolOptions } from '../../src/ship/enrol.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { MACHINE, TestFleet } from './support/test-fleet.ts';

const mode = (path: string): string => (statSync(path).mode & 0o777).toString(8);

describe('the enrolment', () => {
  const directories = temporaryDirectories();
  let fleet: TestFleet;
  let options: EnrolOptions;
  let directory: string;

  beforeEach(async () => {
    fleet = await new TestFleet().start();
    directory = join(directories(), 'incident-shipper');
    const { signal } = new AbortController();
    options = { url: fleet.url, machine: MACHINE, secret: 'one-time', directory, signal };
  });
  afterEach(async () => {
    await fleet.stop();
    expect(fleet.faults).to.deep.equal([]);
  });

  it('makes key and tokens that only their owner can read', async () => {
    const enrolment = await enrol(options);
    expect(mode(directory)).to.equal('700');
    expect(readdirSync(directory).toSorted()).to.deep.equal([
      'fleet-key',
      'fleet-token',
      'machine-key.pem',
      'recorder-token',
      'shipper.conf',
    ]);
    for (const name of ['fleet-token', 'machine-key.pem', 'recorder-token'])
      expect(mode(join(directory, name)), name).to.equal('600');
    const [sent] = fleet.enrolments;
    expect(sent).to.have.all.keys('machine', 'secret', 'token_sha256', 'public_key');
    const token = readFileSync(join(directory, 'fleet-token'), 'utf8').trim();
    expect(sent!.token_sha256).to.equal(createHash('sha256').update(token).digest('hex'));
    const publicKey = createPublicKey({ key: Buffer.from(sent!.public_key!, 'base64'), format: 'der', type: 'spki' });
    const signed = sign(undefined, Buffer.from('x'), readFileSync(join(directory, 'machine-key.pem')));
    expect(verify(undefined, Buffer.from('x'), publicKey, signed)).to.equal(true);
    expect(accessLines(enrolment).join('\n'))
      .to.include('roles: [reader, anchor]')
      .and.include('fleet_key: "test-fleet+0a0b0c0d+AAAA"');
  });

  it('shows the fleet the audit key only when it is named', async () => {
    const auditKeyPath = join(directories(), 'key');
    writeFileSync(auditKeyPath, `${'k'.repeat(64)}\n`, { mode: 0o400 });
    await enrol({ ...options, auditKeyPath });
    expect(Buffer.from(fleet.enrolments[0]!.audit_key!, 'base64').toString()).to.equal('k'.repeat(64));
  });

  it('keeps the key pair and makes another token when it is done again', async () => {
    await enrol(options);
    const before = readFileSync(join(directory, 'fleet-token'), 'utf8');
    await enrol(options);
    const [first, second] = fleet.enrolments;
    expect(second!.public_key).to.equal(first!.public_key);
    expect(second!.token_sha256).to.not.equal(first!.token_sha256);
    expect(readFileSync(join(directory, 'fleet-token'), 'utf8')).to.not.equal(before);
  });

  it('takes no secret that others may have put there or read', async () => {
    mkdirSync(directory, { mode: 0o770 });
    chmodSync(directory, 0o770);
    for (const name of ['machine-key.pem', 'fleet-token.new', 'recorder-token']) {
      writeFileSync(join(directory, name), 'a token that others know\n', { mode: 0o640 });
      const error = (await enrol(options).catch((fault: unknown) => fault)) as Error;
      expect(error.message, name).to.include(`${name} is not closed to others`);
      rmSync(join(directory, name));
    }
    expect(fleet.enrolments).to.deep.equal([]);
  });

  it('keeps the token in force when the fleet refuses', async () => {
    await enrol(options);
    const before = readFileSync(join(directory, 'fleet-token'), 'utf8');
    const error: unknown = await enrol({ ...options, secret: 'wrong' }).catch((fault: unknown) => fault);
    expect(error).to.be.instanceOf(FleetRefused);
    expect(readFileSync(join(directory, 'fleet-token'), 'utf8')).to.equal(before);
  });

  it('writes a drop-in that opens the network to one address', async () => {
    const { port } = new URL(fleet.url);
    await enrol({ ...options, url: `http://127.0.0.1:${port}` });
    expect(readFileSync(join(directory, 'shipper.conf'), 'utf8'))
      .to.include(`FLEET_URL=${fleet.url}`)
      .and.not.include('IPAddressAllow');
  });

  for (const [what, more, why] of [
    ['a machine with a space', { machine: 'web 1' }, 'must be 1 to 128 letters'],
    ['a fleet on another machine over http', { url: 'http://fleet.example' }, 'is not https'],
    ['another address than the loopback over http', { address: '192.0.2.7' }, 'is not https'],
    ['no secret', { secret: '' }, 'the one-time secret is missing'],
    ['an address that is none', { address: 'fleet.example' }, 'is not an IP address'],
  ] as const) {
    it(`refuses ${what}`, async () => {
      const error = (await enrol({ ...options, ...more }).catch((fault: unknown) => fault)) as Error;
      expect(error.message).to.include(why);
    });
  }
});
