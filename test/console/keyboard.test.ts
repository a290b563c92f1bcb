import { expect } from 'chai';
import { COMMAND_TABLE, COMMANDS } from '../../machines/commands.ts';
import { KEY_MEANINGS } from '../../src/console/keyboard.ts';

describe('the keys of the console', () => {
  const keys = KEY_MEANINGS.flatMap(([key, other]) => [key, other]).filter((key) => key !== '');

  it('have one meaning each', () => {
    expect(keys.filter((key, index) => keys.indexOf(key) !== index)).to.deep.equal([]);
  });

  it('include one for every command', () => {
    expect(keys).to.include.members(COMMANDS.map((command) => COMMAND_TABLE[command].key));
  });
});
