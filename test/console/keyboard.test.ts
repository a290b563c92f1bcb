import { expect } from 'chai';
import { COMMAND_TABLE, COMMANDS } from '../../machines/commands.ts';
import { ACT_NAMES, ACT_TABLE, rowOfAct } from '../../src/console/keyboard.ts';
import { VIEWS } from '../../src/console/route.ts';

describe('the keys of the console', () => {
  const keys = ACT_NAMES.flatMap((name) => rowOfAct(name).keys);

  it('have one meaning each', () => {
    expect(keys.filter((key, index) => keys.indexOf(key) !== index)).to.deep.equal([]);
    // A key that begins another one would keep it from its end.
    const first = keys.filter((key) => key.includes(' ')).map((key) => key.split(' ')[0]);
    expect(keys.filter((key) => first.includes(key))).to.deep.equal([]);
  });

  it('include one for every command, and one for every view', () => {
    expect(keys).to.include.members(COMMANDS.map((command) => COMMAND_TABLE[command].key));
    for (const view of VIEWS) expect(ACT_TABLE[view].keys, view).to.deep.equal([`g ${view[0]}`]);
  });
});
