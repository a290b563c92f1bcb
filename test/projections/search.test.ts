import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import type { IncidentClass } from '../../machines/vocabulary.ts';
import { RecorderError } from '../../src/errors.ts';
import { Database } from '../../src/projections/database.ts';
import type { Incident } from '../../src/domain/incident.ts';
import type { JsonObject } from '../../src/domain/entries.ts';
import { valuesIn } from '../../src/search/evidence-words.ts';
import { Search, type SearchFilter, searchQuery } from '../../src/projections/search.ts';
import { readSearch } from '../../src/search/search-terms.ts';
import { indexedWords, readWords } from '../../src/search/search-words.ts';
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

describe('indexedWords', () => {
  const wordsOf = (text: string): readonly string[] =>
    text.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase()).match(/[0-9a-z\u0080-\uffff]+/g) ?? [];

  it('splits a text with letters beyond ASCII where the index splits one without', () => {
    expect(wordsOf(indexedWords('a_b-C "sha256:…" Überprüfung x² ﬁn\u0301al_9'))).to.deep.equal([
      'a',
      'b',
      'c',
      'sha256',
      'uberprufung',
      'x2',
      'final',
      '9',
    ]);
  });

  it('finds in a text what it finds in its parts between signs of ASCII', () => {
    const letter = fc.constantFrom(...'azQ09é…ÜßΩςЖא中あ한²ﬁ\u0301\u{20bb7}');
    const sign = fc.constantFrom(...' _-."/=<\n\u0000');
    const part = fc.string({ unit: letter, maxLength: 6 });
    const property = fc.property(fc.array(fc.tuple(part, sign), { maxLength: 8 }), (parts) => {
      const text = parts.map(([word, separator]) => word + separator).join('');
      expect(wordsOf(indexedWords(text))).to.deep.equal(parts.flatMap(([word]) => wordsOf(indexedWords(word))));
    });
    fc.assert(property, { numRuns: 500 });
  });
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

  const find = (q: string): readonly number[] =>
    search.find(searchQuery({ words: readWords(q), severities: ['high'] }), 0, 100, 10);

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
        const found = search.find(searchQuery({ words: readWords(one), severities: ['high'] }), number, number, 1);
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

  it('makes few parts of many, a little at a time, and finds the same then', () => {
    const parts = (): number =>
      Number(database.prepare('SELECT count(DISTINCT segid) AS count FROM search_idx').get()?.count);
    for (let number = 1; number <= 200; number++) {
      database.begin();
      search.add(number, incident(`agent ${number} ${'words '.repeat(20)}`));
      if (number === 7) database.prepare('DELETE FROM search WHERE rowid = ?').run(7);
      database.commit();
    }
    expect(parts()).to.equal(200);
    let merges = 0;
    while (search.mergeSome()) merges += 1;
    expect(merges).to.be.greaterThan(0);
    expect(parts()).to.be.below(20);
    expect(search.mergeSome(), 'with nothing new').to.equal(false);
    const numbers = (q: string): number =>
      search.find(searchQuery({ words: readWords(q), severities: ['high'] }), 0, 300, 300).length;
    expect(numbers('words')).to.equal(199);
    expect(numbers('8')).to.equal(1);
    expect(numbers('7')).to.equal(0);
  });

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
    const within = (severity: 'critical' | 'high', classes: readonly IncidentClass[]) =>
      search.find(searchQuery({ words: readWords('one'), severities: [severity], classes }), 0, 100, 10);
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

  describe('in evidence', () => {
    const withEvidence = (evidence: object, more: object = {}): Incident =>
      ({ ...incident('plain'), evidence, ...more }) as Incident;
    const asReader = (q: string, evidence = true): readonly number[] =>
      search.find(searchQuery({ ...readSearch(q), severities: ['high'], evidence }), 0, 1000, 10);

    it('finds words only for who may see evidence', () => {
      search.add(1, withEvidence({ cmd: ['curl', 'https://Évil.example/x'], n: 4711 }));
      search.add(2, incident('curl'));
      expect([asReader('curl'), asReader('curl', false)]).to.deep.equal([[2, 1], [2]]);
      for (const q of ['evil', 'EVIL.EXAMPLE', 'exam*', '4711']) {
        expect([asReader(q), asReader(q, false)], q).to.deep.equal([[1], []]);
      }
      // Keys are no words.
      expect(asReader('cmd')).to.deep.equal([]);
    });

    it('finds exact values by path, whatever is in them', () => {
      const property = fc.property(
        fc.dictionary(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 5 }), fc.jsonValue({ maxDepth: 2 }), {
          maxKeys: 4,
        }),
        (evidence) => {
          const { values } = valuesIn(evidence as JsonObject);
          search.replace(1, withEvidence(evidence));
          for (const { path, value } of values) {
            const term = { of: 'evidence', path, values: [String(value)] } as const;
            const found = search.find(searchQuery({ terms: [term], evidence: true }), 0, 9, 9);
            expect(found, JSON.stringify([path, value])).to.deep.equal([1]);
            const others = [`${String(value)}x`, `${String(value)} `, String(value).toUpperCase(), ''];
            for (const other of others) {
              if (values.some((one) => one.path === path && String(one.value) === other)) continue;
              const query = searchQuery({ terms: [{ ...term, values: [other] }], evidence: true });
              expect(search.find(query, 0, 9, 9), JSON.stringify([path, other])).to.deep.equal([]);
            }
          }
        },
      );
      fc.assert(property, { numRuns: 300 });
    });

    for (const [evidence, found, notFound] of [
      [{ ip: '203.0.113.7' }, ['evidence.ip:203.0.113.7'], ['evidence.ip:203.0.113', 'evidence.xip:203.0.113.7']],
      [{ process: { name: 'bash' } }, ['evidence.process.name:bash'], ['evidence.process:bash', 'evidence.name:bash']],
      [{ 'a.b': { c: 1 } }, ['evidence.a.b.c:1', 'evidence."a.b".c:1'], ['evidence.a.b:1']],
      [{ tags: ['x', 'y z'] }, ['evidence.tags:x', 'evidence.tags:"y z"'], ['evidence.tags:y']],
      [{ files: [{ name: 'a' }, { name: 'b' }] }, ['evidence.files.name:b'], ['evidence.files:b']],
      [{ n: 1e21 }, ['evidence.n:1e21', 'evidence.n:1000000000000000000000'], ['evidence.n:1e20']],
      [{ n: 1e-7 }, ['evidence.n:1e-07', 'evidence.n:0.0000001'], ['evidence.n:0.000001']],
      [{ n: -1.5 }, ['evidence.n:-1.5', 'evidence.n:-1.50'], ['evidence.n:1.5']],
      [{ ok: true, no: null, s: '' }, ['evidence.ok:true', 'evidence.no:null', 'evidence.s:""'], ['evidence.ok:True']],
      [{ Case: 'SSH-2.0' }, ['evidence.Case:SSH-2.0'], ['evidence.Case:ssh-2.0', 'evidence.case:SSH-2.0']],
      [{ q: 'a" OR marks : "isassigned' }, ['evidence.q:"a\\" OR marks : \\"isassigned"'], ['evidence.q:a']],
      [{ z: 'zz2e.', y: 'evazyb' }, ['evidence.z:zz2e.', 'evidence.y:evazyb'], ['evidence.z:.z2e', 'evidence.a:b']],
      [
        JSON.parse(`${'{"d":'.repeat(31)}"deep"${'}'.repeat(31)}`),
        [`evidence.${'d.'.repeat(30)}d:deep`],
        ['evidence.d:deep'],
      ],
    ] as const) {
      it(`finds ${found.join(', ').slice(0, 80)}`, () => {
        search.add(1, withEvidence(evidence as object));
        for (const q of found) expect(asReader(q), q).to.deep.equal([1]);
        for (const q of notFound) expect(asReader(q), q).to.deep.equal([]);
      });
    }

    it('looks at the latest report as well', () => {
      search.add(1, withEvidence({ ip: '10.0.0.1' }));
      search.replace(
        1,
        withEvidence({ ip: '10.0.0.1' }, { latest_report: { description: '', evidence: { ip: '10.0.0.2' } } }),
      );
      expect(asReader('evidence.ip:10.0.0.1 evidence.ip:10.0.0.2')).to.deep.equal([1]);
    });

    it('holds a bounded part of much, and says that there is more', () => {
      search.add(1, withEvidence({ few: Array.from({ length: 64 }, (_, at) => `v${at}`) }));
      expect(search.isCut('evidence')).to.equal(false);
      search.add(2, withEvidence({ many: Array.from({ length: 100_000 }, (_, at) => `w${at}`) }));
      expect([asReader('w63'), asReader('w64'), search.isCut('evidence')]).to.deep.equal([[2], [], true]);
      search.replace(2, withEvidence({}));
      expect(search.isCut('evidence')).to.equal(false);
      search.add(3, withEvidence({ long: `begins ${'x '.repeat(100_000)}ends`, after: 'never' }));
      expect([asReader('begins'), asReader('ends'), asReader('never')]).to.deep.equal([[3], [], []]);
      expect(search.isCut('evidence')).to.equal(true);
    });
  });

  describe('of people', () => {
    const of = (filter: SearchFilter): readonly number[] => search.find(searchQuery(filter), 0, 1000, 10);
    const people = {
      acknowledged_by: 'Ada Lovelace',
      assignee: 'bob',
      notes: [{ at: '', by: 'eve', note: 'looked at the Röuter' }],
      notes_count: 1,
      note: 'looked at the Röuter',
      snoozed_until: '2026-12-01T00:00:00.000Z',
    };

    beforeEach(() => {
      search.add(1, incident('one'));
      search.add(2, { ...incident('two'), ...people, state: 'acknowledged' });
      search.add(3, { ...incident('three ada isassigned bybob'), resolved_by: 'ada lovelace' });
    });

    it('finds notes and names by their words', () => {
      for (const [q, numbers] of [
        ['router', [2]],
        ['eve', [2]],
        ['bob', [2]],
        ['lovelace', [3, 2]],
      ] as const) {
        expect(of({ words: readWords(q) }), q).to.deep.equal(numbers);
      }
    });

    it('finds exactly who has acted, who works it, what nobody works, and what is snoozed', () => {
      expect(of({ by: ['Ada Lovelace'] })).to.deep.equal([2]);
      expect(of({ by: ['ada lovelace', 'eve'] })).to.deep.equal([3, 2]);
      expect(of({ by: ['bob'] })).to.deep.equal([]);
      expect(of({ assignees: ['bob'] })).to.deep.equal([2]);
      expect(of({ assignees: [null] })).to.deep.equal([3, 1]);
      expect(of({ assignees: [null, 'bob'], by: ['eve', 'ada lovelace'] })).to.deep.equal([3, 2]);
      expect(of({ snoozed: true })).to.deep.equal([2]);
      expect(of({ snoozed: false })).to.deep.equal([3, 1]);
      expect(of({ snoozed: false, assignees: [null, 'bob'] })).to.deep.equal([3, 1]);
    });

    it('says when there are more notes than it holds', () => {
      expect(search.isCut('notes')).to.equal(false);
      search.replace(2, { ...incident('two'), ...people, notes_count: 21 });
      expect(search.isCut('notes')).to.equal(true);
    });
  });
});
