import { createHash } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import { leafHash, MerkleTree, rootFrom, rootUpTo } from '../../src/bundle/merkle-tree.ts';

const hex = (bytes: Uint8Array | undefined): string | undefined => bytes && Buffer.from(bytes).toString('hex');

/** The leaves of the test vectors of Certificate Transparency's reference implementation. */
const DATA = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'];
const LEAVES = DATA.map((text) => leafHash(Buffer.from(text, 'hex')));

describe('a Merkle tree', () => {
  it('has the roots of the published test vectors', () => {
    const roots = DATA.map((_, index) => hex(new MerkleTree(LEAVES.slice(0, index + 1)).root));
    expect(roots).to.deep.equal([
      '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
      'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
      'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
      '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
      '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
      'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
      '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
    ]);
    expect(hex(new MerkleTree([]).root)).to.equal(createHash('sha256').digest('hex'));
  });

  it('is led to by the path of each leaf, and by no other leaf, place, size or path', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 70 }), fc.nat(), (size, some) => {
        const leaves = Array.from({ length: size }, (_, index) => leafHash(Buffer.of(index)));
        const index = some % size;
        const tree = new MerkleTree(leaves);
        const path = tree.pathOf(index);
        const root = hex(tree.root);
        expect(hex(rootFrom(leaves[index]!, index, size, path))).to.equal(root);
        expect(hex(rootFrom(leafHash(Buffer.of(99)), index, size, path))).to.not.equal(root);
        expect(hex(rootFrom(leaves[index]!, index + size, size, path))).to.equal(undefined);
        if (size > 1) {
          expect(hex(rootFrom(leaves[index]!, (index + 1) % size, size, path))).to.not.equal(root);
          expect(hex(rootFrom(leaves[index]!, index, size, path.slice(1)))).to.not.equal(root);
        }
        expect(hex(rootFrom(leaves[index]!, index, size, [...path, leaves[0]!]))).to.not.equal(root);
      }),
    );
  });

  it('has the roots of all smaller trees in the paths of their last leaves', () => {
    for (let size = 1; size <= 40; size++) {
      const leaves = Array.from({ length: size }, (_, index) => leafHash(Buffer.of(index)));
      const tree = new MerkleTree(leaves);
      for (const [index, leaf] of leaves.entries()) {
        const smaller = new MerkleTree(leaves.slice(0, index + 1));
        expect(hex(rootUpTo(leaf, index, size, tree.pathOf(index)))).to.equal(hex(smaller.root));
      }
    }
  });
});
