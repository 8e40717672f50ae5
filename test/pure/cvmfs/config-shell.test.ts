import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { ThinlayerError } from '../../../src/core/errors.js';
import { Shell } from '../../../src/cvmfs/embedded/config/shell.js';
import { filesOf } from './config-directory.js';

function run(text: string, more: Readonly<Record<string, string>> = {}, environment = {}): Shell {
  const files = filesOf({ '/c/a.conf': text, ...more });
  const shell = new Shell({ files, environment, template: (value) => value });
  shell.source('/c/a.conf');
  return shell;
}

function values(text: string, more = {}, environment = {}): Record<string, string> {
  const { variables } = run(text, more, environment);
  return Object.fromEntries([...variables].map(([name, { value }]) => [name, value]));
}

test('assignments are read as a shell reads them', () => {
  const cases: [string, string][] = [
    ['A=b', 'b'],
    ['  A=b   ', 'b'],
    ['A=', ''],
    ['A=""', ''],
    ["A='b c'", 'b c'],
    ['A="b c"', 'b c'],
    ['A=b # comment', 'b'],
    ['A=b#c', 'b#c'],
    ['A="b # c"', 'b # c'],
    ["A='$B `x` \\'", '$B `x` \\'],
    ['A="\\$B \\` \\" \\\\ \\n"', '$B ` " \\ \\n'],
    ['A=\\"b\\ c', '"b c'],
    ['A="b"\'c\'d', 'bcd'],
    ['A=b\\\nc', 'bc'],
    ['A="b\\\nc"', 'bc'],
    ['A="b\nc"', 'b\nc'],
    ['A=b=c=d', 'b=c=d'],
    ['A=b; B=c', 'b'],
    ['A=b\r\nB=c\r\n', 'b'],
    ['export A=b', 'b'],
    ['readonly A=b', 'b'],
    ['A=a;A=b', 'b'],
    ['A=$', '$'],
    ['A=a$.', 'a$.'],
    ['B=x;A=$B', 'x'],
    ['B=x;A=${B}y', 'xy'],
    ['B=x;A="$B;${B}"', 'x;x'],
    ['A="$A;$B"', ';'],
    ['A=${B:-x}', 'x'],
    ['B=;A=${B:-x}', 'x'],
    ['B=;A=${B-x}', ''],
    ['B=y;A=${B:-x}', 'y'],
    ['B=y;A=${B:+x}', 'x'],
    ['A=${B:+x}', ''],
    ['A="${B:-x y}"', 'x y'],
    ['A=${B:-${C:-x}}', 'x'],
    ['A=${B:="x y"}', 'x y'],
    ['unset B; A=b', 'b'],
  ];
  for (const [text, value] of cases) assert.equal(values(text)['A'], value, text);
});

test('${NAME:=value} sets the other variable as well', () => {
  assert.deepEqual(values('A=${B:=x}'), { A: 'x', B: 'x' });
});

test('the environment stands in for what no file sets', () => {
  assert.deepEqual(values('A=${B:-x}\nexport B\nexport C', {}, { B: 'outside' }), {
    A: 'outside',
    B: 'outside',
  });
});

test('conditions choose', () => {
  const cases: [string, string][] = [
    ['if [ "$X" = "" ]; then A=1; else A=2; fi', '1'],
    ['X=1\nif [ "x$X" = "x" ]\nthen\n A=1\nelif [ "$X" = "1" ]; then A=2\nelse A=3; fi', '2'],
    ['if [ -z "$X" ] && [ "$Y" != yes ]; then A=1; fi', '1'],
    ['if [ -n "$X" ] || [ a == a ]; then A=1; fi', '1'],
    ['if ! [ -n "$X" ]; then A=1; fi', '1'],
    ['if [ ! -n "$X" ]; then A=1; fi', '1'],
    ['if [ -z $X ]; then A=1; fi', '1'],
    ['N=5;if [ -z $N ] || [ $N -lt 10 ]; then A=1; fi', '1'],
    ['if test -f /c/a.conf; then A=1; fi', '1'],
    ['if [ -d /c ]; then if [ -e /d ]; then A=0; else A=1; fi; fi', '1'],
    ['[ a = b ] || A=1', '1'],
    ['[ a = a ] && A=1', '1'],
    ['false && A=2 || A=1', '1'],
    ['A=1; if false; then A=2; fi', '1'],
    ['if true; then :; else A=2; fi; A=1', '1'],
  ];
  for (const [text, value] of cases) {
    const shell = run(text);
    assert.equal(shell.variables.get('A')?.value, value, text);
    assert.deepEqual(shell.notes, [], text);
  }
});

test('a variable tells where it was set', () => {
  const { variables } = run('\n# x\nA=1\nB="\n\n"\nC=3\nif true; then\n  D=4\nfi');
  const lines = [...variables].map(([name, { position }]) => `${name} ${position.file}:${position.line}`);
  assert.deepEqual(lines, ['A /c/a.conf:3', 'B /c/a.conf:4', 'C /c/a.conf:7', 'D /c/a.conf:9']);
});

test('a command that is not known fails, is noted, and is never run', () => {
  const shell = run(
    'if [ -f /c/a.conf ] && grep -q "a\\|b" /c/a.conf;\nthen\n    :\nelse\n    A=1\nfi\necho x > /tmp/y',
  );
  assert.equal(shell.variables.get('A')?.value, '1');
  assert.deepEqual(
    shell.notes.map(({ position, message }) => `${position.line}: ${message}`),
    [
      '1: "grep" is not run: no shell is used. It counts as failed',
      '7: "echo" with > in it is not run: no shell is used. It counts as failed',
    ],
  );
});

test('a value that only a shell could tell is unknown, and so is what is made of it', () => {
  for (const text of [
    'A=$(hostname)',
    'A=`hostname`',
    'A=$((1 + 2))',
    'A=${B#x}',
    'B=$(x "$(y)" \')\');A="a$B"',
    'A=$1',
    "A=$'x'",
  ]) {
    assert.notEqual(run(text).variables.get('A')?.unknown, null, text);
  }
  assert.equal(run('A=$(x)\nA=b').variables.get('A')?.unknown, null);
  assert.equal(run('A=${B:-$(x)}', {}, { B: 'b' }).variables.get('A')?.unknown, null);
});

test('a condition on an unknown value is not guessed', () => {
  const shell = run('A=$(x)\nif [ "$A" = "" ]; then B=1; fi');
  assert.equal(shell.variables.has('B'), false);
  assert.match(shell.notes[0]?.message ?? '', /"\[" of \$\(x\) is not run/);
});

test('files are included, from the directory of the file that includes', () => {
  assert.deepEqual(values('. ../common.conf\nB=$A', { '/common.conf': 'A=1' }), { A: '1', B: '1' });
  assert.match(run('source /none').notes[0]?.message ?? '', /\/none is to be included and does not exist/);
  assert.throws(() => run('. ./a.conf'), {
    code: 'invalid_argument',
    message: /^\/c\/a.conf:1: .*included too deeply/,
  });
});

test('what cannot be followed is refused, with its line', () => {
  const cases: [string, RegExp][] = [
    ['A=1\nfor X in a b; do A=$X; done', /a\.conf:2: "for" is not understood/],
    ['f() {\n A=1\n}', /a\.conf:1: "\(" is not understood/],
    ['A=(a b)', /a\.conf:1: "\(" is not understood/],
    ['case $A in b) C=1;; esac', /a\.conf:1: "case"/],
    ['while true; do :; done', /a\.conf:1: "while"/],
    ['\n\nA="b', /a\.conf:3: a double quote has no end/],
    ["A='b", /a\.conf:1: a single quote has no end/],
    ['A=$(b', /a\.conf:1: \$\( has no end/],
    ['A=`b', /a\.conf:1: a backquote has no end/],
    ['A=${B', /a\.conf:1: \$\{ has no end/],
    ['if true; then A=1', /a\.conf:1: the if has no fi/],
    ['if true\nA=1\nfi', /a\.conf:1: the if has no then/],
    ['A=1\nfi', /a\.conf:2: "fi" has nothing/],
    ['&& A=1', /a\.conf:1: a command is missing/],
    ['A=1 &&', /a\.conf:1: a command is missing/],
  ];
  for (const [text, message] of cases) {
    assert.throws(() => run(text), { code: 'invalid_argument', message, path: '/c/a.conf' }, text);
  }
});

test('values and nesting are bounded', () => {
  assert.throws(() => run(`A=${'x'.repeat(1000)}\n${'A=$A$A\n'.repeat(40)}`), { message: /too long/ });
  assert.throws(() => run(`A=${'${A:-'.repeat(100)}`), { message: /nested too deeply/ });
  assert.throws(() => run('if true; then '.repeat(100)), { message: /nested too deeply/ });
});

const quote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

test('any value survives single quotes', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'grapheme' }).filter((s) => !s.includes('\r')),
      (value) => {
        assert.equal(values(`B=1\nA=${quote(value)}\nC=2`)['A'], value);
      },
    ),
  );
});

test('any value survives double quotes with escapes, and a hop through another variable', () => {
  fc.assert(
    fc.property(
      fc.string().filter((s) => !s.includes('\r')),
      (value) => {
        const escaped = value.replaceAll(/[\\$`"]/g, '\\$&');
        assert.equal(values(`B="${escaped}"\nA="\${B}"`)['A'], value);
      },
    ),
  );
});

const fragment = fc.constantFrom(
  ...[
    'A=',
    'B',
    '$',
    '${',
    '}',
    '"',
    "'",
    '\\',
    '\n',
    ' ',
    ';',
    '&&',
    '||',
    'if',
    'then',
    'fi',
    'else',
    '[',
    ']',
    '#',
  ],
  ...[
    '`',
    '$(',
    '(',
    ')',
    '<',
    '|',
    '&',
    ':-',
    '=',
    '. /c/a.conf',
    '\r',
    '\0',
    '\u00a0',
    'é',
    '!',
    'export ',
    'unset ',
  ],
);

test('whatever a file holds, it is read or refused with a place in it, and nothing else happens', () => {
  fc.assert(
    fc.property(fc.array(fragment, { maxLength: 60 }), (fragments) => {
      try {
        run(fragments.join(''));
      } catch (error) {
        assert.ok(error instanceof ThinlayerError, String(error));
        assert.match(error.message, /^\/c\/a\.conf:\d+: /);
      }
    }),
    { numRuns: 2000 },
  );
});
