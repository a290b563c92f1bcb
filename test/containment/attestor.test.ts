import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { expect } from 'chai';
import { type AttestationOutcome, type AttestorAddress, attestorAt } from '../../src/containment/attestor.ts';
import {
  ATTESTATION_KEY,
  ATTESTOR_TOKEN,
  attesting,
  type Attesting,
  listeningAttestors,
  type StandInAttestor,
  signed,
  trustedBundle,
} from '../support/attestor.ts';
import { FixedClock } from '../support/fixed-clock.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const MIB = 1024 * 1024;

const answering =
  (status: number, body = '', headers: Readonly<Record<string, string>> = {}): Attesting =>
  (response) =>
    response.writeHead(status, headers).end(body);

describe('the attestor', () => {
  const listen = listeningAttestors();
  const directory = temporaryDirectories();

  const addressOf = ({ port }: { readonly port: number }, changes: Partial<AttestorAddress> = {}): AttestorAddress => {
    const here = directory();
    const [tokenPath, keyPath] = [join(here, 'token'), join(here, 'key')];
    writeFileSync(tokenPath, `${ATTESTOR_TOKEN}\n`, { mode: 0o600 });
    writeFileSync(keyPath, `${ATTESTATION_KEY}\n`, { mode: 0o600 });
    return { host: '127.0.0.1', port, path: '', tokenPath, keyPath, ...changes };
  };

  const attest = (attestor: StandInAttestor, timeout?: number): Promise<AttestationOutcome> =>
    attestorAt(addressOf(attestor), undefined, timeout).attest();

  it('is asked with a nonce of its own each time, and what it proves is kept', async () => {
    const attestor = await listen();
    const asked = attestorAt(addressOf(attestor));
    const outcomes = [await asked.attest(), await asked.attest()];
    expect(outcomes.map(({ kind }) => kind)).to.deep.equal(['attested', 'attested']);
    expect(attestor.refusals).to.deep.equal([]);
    expect(new Set(attestor.nonces)).to.have.property('size', 2);
    const nonces = outcomes.map((outcome) => (outcome.kind === 'attested' ? outcome.evidence.request_nonce : ''));
    expect(nonces).to.deep.equal(attestor.nonces);
  });

  it('is believed only for this request', async () => {
    let first: string | undefined;
    const repeating: Attesting = (response, nonce) => {
      first ??= JSON.stringify(signed(trustedBundle(nonce)));
      response.end(first);
    };
    const asked = attestorAt(addressOf(await listen([repeating])));
    expect(await asked.attest()).to.have.property('kind', 'attested');
    const again = await asked.attest();
    expect(again).to.have.property('kind', 'refused');
    expect(again).to.have.property('faults').that.includes('request_nonce is not the one of this request');
  });

  it('is held to the clock of this machine', async () => {
    const attestor = await listen();
    const clock = new FixedClock(new Date(Date.now() + 60_000).toISOString());
    const late = await attestorAt(addressOf(attestor), clock).attest();
    expect(late).to.have.property('faults').that.has.length(1);
    expect(late).to.have.nested.property('faults[0]').that.includes('is before the request');
    clock.milliseconds = Date.now() - 60_000;
    const early = await attestorAt(addressOf(attestor), clock).attest();
    expect(early).to.have.nested.property('faults[0]').that.includes("more than 5 s ahead of this machine's clock");
  });

  it('is refused with what is wrong with its bundle', async () => {
    const attestor = await listen([attesting({ state: 'degraded', failures: ['PCR 7 mismatch'] })]);
    expect(await attest(attestor)).to.deep.equal({
      kind: 'refused',
      faults: ['state is "degraded", not "attested"', 'the attestor says: PCR 7 mismatch'],
    });
  });

  it('is refused when it signs with another key', async () => {
    expect(await attest(await listen([attesting({}, 'b8'.repeat(32))]))).to.deep.equal({
      kind: 'refused',
      faults: ['bundle_hmac does not hold: the bundle is not signed with our key'],
    });
  });

  it('may answer 1 MiB, and not a byte more', async () => {
    const padded =
      (length: number): Attesting =>
      (response, nonce) => {
        const bundle = (kernel_cmdline: string) => JSON.stringify(signed({ ...trustedBundle(nonce), kernel_cmdline }));
        response.end(bundle('x'.repeat(length - bundle('').length)));
      };
    expect(await attest(await listen([padded(MIB)]))).to.have.property('kind', 'attested');
    const tooLong = { kind: 'refused', faults: ['the answer is longer than 1048576 bytes'] };
    expect(await attest(await listen([padded(MIB + 1)]))).to.deep.equal(tooLong);
    const endless: Attesting = (response) => {
      const more = (): void => {
        while (!response.destroyed && response.write('x'.repeat(64 * 1024)));
      };
      response.on('drain', more);
      more();
    };
    expect(await attest(await listen([endless]))).to.deep.equal(tooLong);
  });

  for (const [what, body] of [
    ['nothing', ''],
    ['a web page', '<html><body>attested</body></html>'],
    ['half a bundle', '{"state":"attested",'],
    ['a bundle in an envelope', '{"state":"attested","bundle":{"state":"attested"}}'],
  ] as const) {
    it(`is refused when it answers 200 with ${what}`, async () => {
      expect(await attest(await listen([answering(200, body)]))).to.have.property('kind', 'refused');
    });
  }

  describe('can not be reached when', () => {
    const errorOf = (outcome: AttestationOutcome): string =>
      outcome.kind === 'unreachable' ? outcome.error : JSON.stringify(outcome);

    for (const status of [201, 204, 400, 404, 429, 500, 502, 503]) {
      it(`it answers ${status}`, async () => {
        expect(errorOf(await attest(await listen([answering(status)])))).to.equal(`it answered ${status}`);
      });
    }

    for (const status of [401, 403]) {
      it(`it answers ${status}, and the token is named`, async () => {
        const error = errorOf(await attest(await listen([answering(status, ATTESTOR_TOKEN)])));
        expect(error).to.equal(`it answered ${status}: it does not take the token of RUNTIME_ATTESTOR_TOKEN_PATH`);
      });
    }

    for (const status of [301, 302, 303, 307, 308]) {
      it(`it answers ${status}: the token goes nowhere else`, async () => {
        const elsewhere = await listen();
        const redirecting = await listen([answering(status, '', { location: `${elsewhere.url}/api/v1/refresh` })]);
        expect(errorOf(await attest(redirecting))).to.equal(`it answered ${status}, and redirects are not followed`);
        expect([...elsewhere.nonces, ...elsewhere.refusals]).to.deep.equal([]);
      });
    }

    it('it takes another token', async () => {
      const attestor = await listen([], 'another');
      expect(errorOf(await attest(attestor))).to.match(/^it answered 403/);
      expect(attestor.refusals).to.deep.equal(['forbidden']);
    });

    it('nobody listens', async () => {
      const attestor = await listen();
      const { port } = attestor;
      await attestor.close();
      const asked = attestorAt(addressOf({ port }));
      expect(errorOf(await asked.attest())).to.equal('nobody listens there (ECONNREFUSED)');
      // Of the same port, when it is there again.
      await listen([], undefined, port);
      expect(await asked.attest()).to.have.property('kind', 'attested');
    });

    it('it closes the connection, before or in the middle of its answer', async () => {
      const closing: Attesting = (response) => response.socket?.destroy();
      expect(errorOf(await attest(await listen([closing])))).to.match(/^the connection broke/);
      const half: Attesting = (response) => {
        response.writeHead(200, { 'content-length': '1000' });
        response.write('{"state":', () => response.socket?.destroy());
      };
      expect(errorOf(await attest(await listen([half])))).to.match(/connection|aborted/);
    });

    it('it does not answer in time, or drips', async () => {
      const none: Attesting = () => {};
      expect(errorOf(await attest(await listen([none]), 50))).to.equal('no whole answer within 0.05 s');
      const dripping: Attesting = (response) => {
        const drip = setInterval(() => response.write(' '), 5);
        response.on('close', () => clearInterval(drip));
      };
      expect(errorOf(await attest(await listen([dripping]), 50))).to.equal('no whole answer within 0.05 s');
    });

    it('what answers there speaks something else', async () => {
      const other: Attesting = (response: ServerResponse) => response.socket?.end('220 mail ready\r\n');
      expect(errorOf(await attest(await listen([other])))).to.match(/does not speak HTTP \(HPE_/);
    });

    for (const [what, write, error] of [
      ['the token is missing', undefined, /^the file of RUNTIME_ATTESTOR_TOKEN_PATH is not there$/],
      ['the token is empty', ['', 0o600], /^the file of RUNTIME_ATTESTOR_TOKEN_PATH holds no token$/],
      ['the token has two lines', ['a\nb', 0o600], /holds no token$/],
      [
        'the token is open to others',
        [ATTESTOR_TOKEN, 0o604],
        /is open to every user of this machine; run: chmod o-rwx/,
      ],
    ] as const) {
      it(what, async () => {
        const attestor = await listen();
        const tokenPath = join(directory(), 'token');
        if (write !== undefined) writeFileSync(tokenPath, write[0], { mode: write[1] });
        const outcome = await attestorAt(addressOf(attestor, { tokenPath })).attest();
        expect(errorOf(outcome)).to.match(error);
        expect(errorOf(outcome)).not.to.include(tokenPath);
        expect(attestor.nonces).to.deep.equal([]);
      });
    }

    for (const [what, text, mode, error] of [
      ['the key is not there', undefined, 0, /^the file of ATTESTATION_HMAC_KEY_PATH is not there$/],
      ['the key is not hexadecimal', 'k'.repeat(64), 0o600, /holds something else than hexadecimal digits$/],
      ['the key has half a byte', 'a'.repeat(65), 0o600, /holds something else than hexadecimal digits$/],
      ['the key is short', 'a'.repeat(62), 0o600, /holds fewer than 64 digits$/],
      ['the key is empty', '', 0o600, /holds something else than hexadecimal digits$/],
      ['others can read the key', ATTESTATION_KEY, 0o644, /is open to others/],
      ['its group can write the key', ATTESTATION_KEY, 0o660, /is open to others/],
    ] as const) {
      it(what, async () => {
        const attestor = await listen();
        const keyPath = join(directory(), 'key');
        if (text !== undefined) {
          writeFileSync(keyPath, text);
          chmodSync(keyPath, mode);
        }
        const outcome = await attestorAt(addressOf(attestor, { keyPath })).attest();
        expect(errorOf(outcome)).to.match(error);
        expect(errorOf(outcome)).not.to.include(keyPath).and.not.include('aaaa');
        expect(attestor.nonces).to.deep.equal([]);
      });
    }

    it('the key is a symbolic link or a directory', async () => {
      const attestor = await listen();
      const here = directory();
      const { keyPath } = addressOf(attestor);
      symlinkSync(keyPath, join(here, 'link'));
      mkdirSync(join(here, 'directory'), { mode: 0o700 });
      for (const [name, error] of [
        ['link', 'the file of ATTESTATION_HMAC_KEY_PATH is a symbolic link; name the file itself'],
        ['directory', 'the file of ATTESTATION_HMAC_KEY_PATH is not a regular file'],
      ] as const) {
        const outcome = await attestorAt(addressOf(attestor, { keyPath: join(here, name) })).attest();
        expect(errorOf(outcome)).to.equal(error);
      }
    });
  });

  it('is asked with a token and a key that were replaced', async () => {
    const attestor = await listen([attesting({}, 'b8'.repeat(33))], 'rotated');
    const address = addressOf(attestor);
    const asked = attestorAt(address);
    expect(await asked.attest()).to.have.property('kind', 'unreachable');
    writeFileSync(address.tokenPath, 'rotated');
    expect(await asked.attest()).to.have.property('kind', 'refused');
    writeFileSync(address.keyPath, `${'B8'.repeat(33)}\n`);
    expect(await asked.attest()).to.have.property('kind', 'attested');
  });

  it('is left when the service stops', async () => {
    const stop = new AbortController();
    const attestor = await listen([() => stop.abort(new Error('stopped'))]);
    const asked = attestorAt(addressOf(attestor));
    const error: unknown = await asked.attest(stop.signal).catch((thrown: unknown) => thrown);
    expect(error).to.have.property('message', 'stopped');
    expect(await asked.attest(stop.signal).catch(() => 'stopped')).to.equal('stopped');
    expect(attestor.nonces).to.have.length(1);
  });
});
