import { expect } from 'chai';
import { linkIn } from '../../../src/console/incident/link-in.ts';

describe('the runbook of an incident', () => {
  it('is a link where it is an http or https URL, and nothing else is', () => {
    expect(linkIn('https://runbooks.example/a?b=c#d')).to.equal('https://runbooks.example/a?b=c#d');
    expect(linkIn(' http://127.0.0.1:8000/x ')).to.equal('http://127.0.0.1:8000/x');
    for (const text of [
      'javascript:alert(1)',
      'data:text/html,x',
      'file:///etc/passwd',
      'https://',
      'see https://runbooks.example/',
      'https://a b',
      'JAVASCRIPT:https://runbooks.example/',
      'unplug it',
    ])
      expect(linkIn(text), text).to.equal(undefined);
  });
});
