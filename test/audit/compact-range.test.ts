import { createHash } from 'node:crypto';
import { expect } from 'chai';
import { CompactRange } from '../../src/audit/compact-range.ts';
import { leafHash, MerkleTree } from '../../src/bundle/merkle-tree.ts';

const leaf = (index: number): Buffer => createHash('sha256').update(String(index)).digest();

describe('a compact range', () => {
  it('has the root of the whole tree, for each number of leaves', () => {
    let range = CompactRange.empty();
    const leaves: Buffer[] = [];
    for (let size = 0; size < 130; size++) {
      expect(range.root()).to.deep.equal(Buffer.from(new MerkleTree(leaves.map(leafHash)).root));
      expect(range.toJSON().hashes.length).to.be.at.most(8);
      range.append(leaf(size));
      leaves.push(leaf(size));
      // As if it had been stored in between.
      if (size % 7 === 0) range = CompactRange.from(JSON.parse(JSON.stringify(range)));
    }
  });

  it('refuses what is no range', () => {
    expect(() => CompactRange.from({ size: 3, hashes: [] })).to.throw('not a range');
    expect(() => CompactRange.from({ size: 1, hashes: ['00'] })).to.throw('not a hash');
  });
});
