import { expect } from 'chai';
import * as z from 'zod/mini';
import { whenUsed } from '../src/when-used.ts';

describe('a schema that is made when it is used', () => {
  it('is made once, at its first use, and is like the schema itself', () => {
    let made = 0;
    const schema = whenUsed(() => {
      made += 1;
      return z.strictObject({ name: z.string() });
    });
    const list = z.array(schema);
    expect(made).to.be.at.most(1);
    expect(list.safeParse([{ name: 'a' }]).success).to.equal(true);
    expect(schema.safeParse({ name: 1 }).success).to.equal(false);
    expect(Object.keys(schema.shape)).to.deep.equal(['name']);
    expect(schema).to.be.instanceOf(z.ZodMiniObject);
    expect('shape' in schema).to.equal(true);
    expect(z.toJSONSchema(schema)).to.have.nested.property('properties.name.type', 'string');
    expect(made).to.equal(1);
  });
});
