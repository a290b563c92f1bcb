import { createHash } from 'node:crypto';
import { expect } from 'chai';
import { CompactRange } from '../../src/audit/compact-range.ts';
import { leafHash, MerkleTree } from '../../src/bundle/merkle-tree.ts';

const leaf = (n: number): Buffer => createHash('sha256').update(String(n)).digest();
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

describe('a compact range', () => {
  it('has the root of the whole tree at every size, also when it is read back', () => {
    let range = CompactRange.empty();
    const leaves: Buffer[] = [];
    for (let size = 0; size <= 300; size++) {
      expect(range.size).to.equal(size);
      expect(hex(range.root())).to.equal(hex(new MerkleTree(leaves.map(leafHash)).root));
      range = CompactRange.read(JSON.parse(JSON.stringify(range)))!;
      leaves.push(leaf(size));
      range.append(leaves.at(-1)!);
    }
  });

  it('is as RFC 6962 computes it', () => {
    // The test vectors of certificate-transparency: leaves of 0, 1, 1, 2, 4, 4, 8 and 16 bytes.
    const inputs = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'];
    const roots = [
      '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
      'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
      'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
      '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
      '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
      'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
      '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
    ];
    const range = CompactRange.empty();
    expect(hex(range.root())).to.equal(createHash('sha256').digest('hex'));
    for (const [at, input] of inputs.entries()) {
      range.append(Buffer.from(input, 'hex'));
      expect(hex(range.root()), String(at)).to.equal(roots[at]);
    }
  });

  it('is refused when it is none', () => {
    const range = CompactRange.empty();
    for (let n = 0; n < 5; n++) range.append(leaf(n));
    const { size, hashes } = range.toJSON();
    for (const wrong of [
      { size: size + 2, hashes },
      { size: -1, hashes: [] },
      { size: 1.5, hashes: hashes.slice(1) },
      { size, hashes: ['x', ...hashes.slice(1)] },
      { size, hashes: 'aa' as unknown as string[] },
    ]) {
      expect(CompactRange.read(wrong), JSON.stringify(wrong)).to.equal(undefined);
    }
  });
});
