import { cpSync, existsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { chainHash } from '../../src/audit/chain-hash.ts';
import { verifyLog } from '../../src/audit/verify.ts';
import { ROOT } from './programs.ts';
import { TOKEN } from './service-client.ts';

const KEY = '0123456789abcdef0123456789abcdef';

/** The files of a service in a directory of its own. */
export class ServiceHome {
  readonly directory: string;
  readonly log: string;
  readonly token: string;
  readonly key: string;
  /** Where an access file would be. */
  readonly access: string;

  constructor(directory: string) {
    this.directory = directory;
    this.log = join(directory, 'audit.jsonl');
    this.token = join(directory, 'service-token');
    this.key = join(directory, 'audit-hmac-key');
    this.access = join(directory, 'incident-access.yaml');
    if (!existsSync(this.token)) writeFileSync(this.token, `${TOKEN}\n`, { mode: 0o600 });
    if (!existsSync(this.key)) writeFileSync(this.key, `${KEY}\n`, { mode: 0o600 });
  }

  get env(): Record<string, string> {
    return {
      BIND_ADDR: '127.0.0.1:0',
      CONTAINMENT_POLICY_PATH: join(ROOT, 'policy/incident-containment.yaml'),
      AUDIT_LOG_PATH: this.log,
      SERVICE_TOKEN_PATH: this.token,
      ACCESS_PATH: this.access,
      AUDIT_HMAC_KEY_PATH: this.key,
    };
  }

  /**
   * Copies the files as they are now into an empty directory. Taken while a service runs, it is what SIGKILL would leave.
   */
  copyTo(directory: string): ServiceHome {
    // A socket can't be copied.
    cpSync(this.directory, directory, { recursive: true, filter: (path) => !statSync(path).isSocket() });
    return new ServiceHome(directory);
  }

  verify() {
    return verifyLog(this.log, chainHash(Buffer.from(KEY)));
  }
  /** Holds that the log verifies; else it fails with the damage. */
  async expectSound(): Promise<void> {
    const { damage } = await this.verify();
    expect(damage, JSON.stringify(damage)).to.equal(undefined);
  }
}
