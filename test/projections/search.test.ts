import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { RecorderError } from '../../src/errors.ts';
import { Database } from '../../src/projections/database.ts';
import type { Incident } from '../../src/domain/incident.ts';
import { Search, searchQuery } from '../../src/projections/search.ts';
import { readWords } from '../../src/projections/search-words.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const incident = (description: string): Incident =>
  ({
    id: 'INC-20261122-0123456789ab',
    source: 'airlock',
    description,
    severity: 'high',
    class: 'tool_call_burst',
  }) as Incident;

describe('readWords', () => {
  it('takes words of letters and digits, and beginnings of them', () => {
    expect(readWords('tool_call  Agent* 10.7')).to.deep.equal([
      { text: 'tool', isBeginning: false },
      { text: 'call', isBeginning: false },
      { text: 'Agent', isBeginning: true },
      { text: '10', isBeginning: false },
      { text: '7', isBeginning: false },
    ]);
  });

  for (const q of ['', ' -"* ', 'ab*', 'word '.repeat(17), 'beginning* '.repeat(5)]) {
    it(`refuses ${JSON.stringify(q.slice(0, 20))}`, () => {
      expect(() => readWords(q)).to.throw(RecorderError, /^q/);
    });
  }
});

describe('Search', () => {
  const directory = temporaryDirectories();
  let database: Database;
  let search: Search;

  beforeEach(() => {
    database = Database.open(join(directory(), 'audit.sqlite'));
    search = new Search(database);
  });
  afterEach(() => database.close());

  const find = (q: string): readonly number[] => search.find(searchQuery(readWords(q), 'high', []), 0, 100, 10);

  it('finds any word of a text, whatever its script', () => {
    let number = 0;
    const letter = fc.constantFrom(
      ...'azQ09\u00e9\u00df\u0131\u03a9\u03c2\u0416\u05d0\u0663\u4e2d\u3042\ud55c\u0301\u093f\u0e42\u064e\u05b8\u{1e900}\u{20bb7}\uff26\ufb01',
    );
    const word = fc.string({ unit: letter, minLength: 1, maxLength: 8 });
    const property = fc.property(fc.array(word, { minLength: 1, maxLength: 8 }), (some) => {
      const words = some.filter((one) => /[\p{L}\p{N}]/u.test(one));
      search.add(++number, incident(words.join(' ')));
      for (const one of words) {
        const found = search.find(searchQuery(readWords(one), 'high', []), number, number, 1);
        expect(found, one).to.deep.equal([number]);
      }
    });
    fc.assert(property, { numRuns: 300 });
  });

  for (const [text, q] of [
    ['检测到提示注入攻击，来源未知', '提示注入'],
    ['检测到提示注入攻击', '击'],
    ['プロンプトインジェクションを検出しました', 'インジェクション'],
    ['ﾌﾟﾛﾝﾌﾟﾄ', 'プロンプト'],
    ['エージェントが暴走した', '暴走'],
    ['프롬프트 인젝션이 감지되었습니다', '인젝션'],
    ['ตรวจพบการโจมตี โมเดล', 'โจมตี'],
    ['मॉडल ने हिन्दी में चेतावनी दी', 'हिन्दी'],
    ['تم الكشف عن حَقْن', 'حَقْن'],
    ['تم الكشف عن حَقْن', 'حقن'],
    ['تم الكشف عن حقن', 'حَقْن'],
    ['שָׁלוֹם עולם', 'שלום'],
    ['İstanbul agent', 'istanbul'],
    ['STRASSE angriff', 'straße'],
    ['Straße', 'strasse'],
    ['Ελλάδα επίθεσης', 'ΕΠΊΘΕΣΗΣ'],
    ['ﬁle ligature', 'file'],
    ['ＦＵＬＬ width', 'full'],
    ['GPT模型被下载', 'gpt 模型'],
    ['die Größe', 'große*'],
    ['the café', 'CAFE'],
  ] as const) {
    it(`finds «${q}» in «${text}»`, () => {
      search.add(1, incident(text));
      search.add(2, incident('nothing of it 中 の'));
      expect(find(q)).to.deep.equal([1]);
    });
  }

  it('does not find what is not there', () => {
    search.add(1, incident('检测到提示注入攻击，来源未知'));
    for (const q of ['注提', '攻击来源', '监测', '入攻提']) expect(find(q), q).to.deep.equal([]);
  });

  it('takes nothing that is searched for as a command to the index', () => {
    search.add(1, incident('plain words'));
    for (const q of [
      'plain OR absent',
      'plain NOT words',
      'plain" OR "absent',
      'words:plain',
      '(plain)',
      'NEAR(plain words)',
    ]) {
      expect(find(q), q).to.deep.equal(q === '(plain)' || q === 'words:plain' ? [1] : []);
    }
  });

  it('looks within a severity and classes only, whatever a description says', () => {
    search.add(1, incident('one'));
    search.add(2, incident('one \uE000critical \uE001promptinjection'));
    const within = (severity: 'critical' | 'high', classes: Parameters<typeof searchQuery>[2]) =>
      search.find(searchQuery(readWords('one'), severity, classes), 0, 100, 10);
    expect(within('high', ['tool_call_burst', 'prompt_injection'])).to.deep.equal([2, 1]);
    expect(within('high', ['unauthorized_access'])).to.deep.equal([]);
    expect(within('critical', [])).to.deep.equal([]);
  });

  it('is emptied with the database, and goes on', () => {
    search.add(1, incident('before'));
    database.empty();
    search.add(2, incident('after'));
    expect([find('before'), find('after'), find('airlock')]).to.deep.equal([[], [2], [2]]);
  });
});
