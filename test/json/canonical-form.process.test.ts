import { expect } from 'chai';
import fc from 'fast-check';
import { canonicalForm, writeExact } from '../../src/json/canonical-form.ts';
import { jsonValue } from './arbitrary-json.ts';
import { askPython } from './python.ts';

describe('canonicalForm', () => {
  it("equals Python's form of the line that is written", function () {
    const values = fc.sample(jsonValue, 4000);
    const lines = values.map((value) => writeExact(value));

    const forms = askPython(
      this,
      'answers = [json.dumps(json.loads(text), sort_keys=True, separators=(",", ":")) for text in texts]',
      lines,
    );

    expect(forms).to.have.length(values.length);
    values.forEach((value, index) => expect(canonicalForm(value), lines[index]).to.equal(forms[index]));
  });
});
