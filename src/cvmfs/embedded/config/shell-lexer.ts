/**
 * Cuts a shell script into words and operators (POSIX, "Shell Command Language", 2.2 and 2.3). What would run a command is
 * found and skipped, and becomes an `unsupported` part of its word: no shell is ever run.
 */

import { ThinlayerError } from '../../../core/errors.js';
import { shown } from './shell-word.js';
import type { OperatorToken, Substitution, Token, WordPart, WordToken } from './shell-word.js';

const NAME = /[A-Za-z_][A-Za-z0-9_]*/y;
const OPERATOR = /&&|\|\||;;|[;|&()<>\n]/y;
const SUBSTITUTION = /(:?)([-=+])/y;

/** `${A:-${B:-…}}` deeper than this is no configuration. */
const MAX_DEPTH = 16;

/** Throws `invalid_argument` with file and line for a quote or a brace that does not end. */
export function tokenize(text: string, file: string): Token[] {
  return new Lexer(text.replaceAll('\r\n', '\n'), file).tokens();
}

class Lexer {
  private readonly text: string;
  private readonly file: string;
  private at = 0;
  private line = 1;
  private depth = 0;

  constructor(text: string, file: string) {
    this.text = text;
    this.file = file;
  }

  tokens(): Token[] {
    const tokens: Token[] = [];
    for (;;) {
      this.skipBlanks();
      if (this.at >= this.text.length) return tokens;
      tokens.push(this.operator() ?? this.word());
    }
  }

  private skipBlanks(): void {
    for (;;) {
      const next = this.text[this.at];
      if (next === ' ' || next === '\t') this.at++;
      else if (next === '\\' && this.text[this.at + 1] === '\n') this.advance(2);
      else if (next === '#') this.at = this.endOfLine();
      else return;
    }
  }

  private endOfLine(): number {
    const end = this.text.indexOf('\n', this.at);
    return end < 0 ? this.text.length : end;
  }

  private operator(): OperatorToken | null {
    const text = this.match(OPERATOR)?.[0];
    if (text === undefined) return null;
    const { line } = this;
    this.advance(text.length);
    return { kind: 'operator', text, line };
  }

  private word(): WordToken {
    const { line } = this;
    return { kind: 'word', parts: this.parts(/[ \t\n;|&()<>]/, false), line };
  }

  /** Parts up to a character that `end` matches, outside of quotes. */
  private parts(end: RegExp, quoted: boolean): WordPart[] {
    const parts: WordPart[] = [];
    while (this.at < this.text.length && !end.test(this.text[this.at] as string)) {
      parts.push(...this.part(end, quoted));
    }
    return parts;
  }

  private part(end: RegExp, quoted: boolean): WordPart[] {
    const next = this.text[this.at];
    if (next === '$') return [this.dollar(quoted)];
    if (next === '`') return [this.backquoted()];
    if (next === '\\') return this.escaped(quoted);
    if (next === "'" && !quoted) return [this.singleQuoted()];
    if (next === '"' && !quoted) return this.doubleQuoted();
    return [{ kind: 'text', text: this.plain(end, quoted), quoted }];
  }

  private plain(end: RegExp, quoted: boolean): string {
    const start = this.at;
    do this.advance(1);
    while (this.at < this.text.length && !this.endsPlain(this.text[this.at] as string, end, quoted));
    return this.text.slice(start, this.at);
  }

  private endsPlain(next: string, end: RegExp, quoted: boolean): boolean {
    return next === '$' || next === '`' || next === '\\' || end.test(next) || (!quoted && /['"]/.test(next));
  }

  /** In double quotes a backslash is one, unless it keeps what follows from meaning something there. */
  private escaped(quoted: boolean): WordPart[] {
    const next = this.text[this.at + 1] ?? '';
    this.advance(2);
    if (next === '\n') return [];
    const kept = quoted && !/[$`"\\]/.test(next);
    return [{ kind: 'text', text: kept ? `\\${next}` : next, quoted: true }];
  }

  private singleQuoted(): WordPart {
    const { line } = this;
    const end = this.text.indexOf("'", this.at + 1);
    if (end < 0) throw this.unended('a single quote', line);
    const text = this.text.slice(this.at + 1, end);
    this.advance(text.length + 2);
    return { kind: 'text', text, quoted: true };
  }

  private doubleQuoted(): WordPart[] {
    const { line } = this;
    this.advance(1);
    const parts = this.parts(/"/, true);
    if (this.at >= this.text.length) throw this.unended('a double quote', line);
    this.advance(1);
    return [{ kind: 'text', text: '', quoted: true }, ...parts];
  }

  private dollar(quoted: boolean): WordPart {
    const next = this.text[this.at + 1] ?? '';
    if (next === '(') return this.commandSubstitution();
    if (next === '{') return this.braced(quoted);
    // $'…' and $"…" mean something to some shells.
    if (!quoted && /['"]/.test(next)) return this.unsupported(1);
    if (/[0-9@*#?$!-]/.test(next)) return this.unsupported(2);
    this.advance(1);
    const name = this.match(NAME)?.[0];
    if (name === undefined) return { kind: 'text', text: '$', quoted };
    this.advance(name.length);
    return { kind: 'variable', name, quoted, substitution: null };
  }

  private braced(quoted: boolean): WordPart {
    const { line, at } = this;
    if (++this.depth > MAX_DEPTH) throw this.invalid('${…} is nested too deeply', line);
    this.advance(2);
    const name = this.match(NAME)?.[0] ?? '';
    this.advance(name.length);
    const substitution = this.substitution(quoted);
    const understood = name !== '' && this.text[this.at] === '}';
    if (!understood) this.parts(/\}/, quoted);
    if (this.text[this.at] !== '}') throw this.unended('${', line);
    this.advance(1);
    this.depth--;
    if (understood) return { kind: 'variable', name, quoted, substitution };
    return { kind: 'unsupported', text: this.text.slice(at, this.at) };
  }

  private substitution(quoted: boolean): Substitution | null {
    const match = this.match(SUBSTITUTION);
    if (!match) return null;
    this.advance(match[0].length);
    const operator = match[2] as Substitution['operator'];
    return { operator, colon: match[1] === ':', word: this.parts(/\}/, quoted) };
  }

  /** To the bracket that closes it, brackets in quotes not counted. */
  private commandSubstitution(): WordPart {
    const { line, at } = this;
    const rest = /'[^']*'|"(?:\\[^]|[^"\\])*"|\\[^]|[()]/g;
    rest.lastIndex = at + 1;
    for (let open = 0, match = rest.exec(this.text); match; match = rest.exec(this.text)) {
      if (match[0] === '(') open++;
      if (match[0] === ')' && --open === 0) return this.unsupported(rest.lastIndex - at);
    }
    throw this.unended('$(', line);
  }

  private backquoted(): WordPart {
    const end = this.text.indexOf('`', this.at + 1);
    if (end < 0) throw this.unended('a backquote', this.line);
    return this.unsupported(end + 1 - this.at);
  }

  private unsupported(length: number): WordPart {
    const text = this.text.slice(this.at, this.at + length);
    this.advance(length);
    return { kind: 'unsupported', text };
  }

  private match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.at;
    return pattern.exec(this.text);
  }

  private advance(count: number): void {
    const end = Math.min(this.at + count, this.text.length);
    for (; this.at < end; this.at++) if (this.text[this.at] === '\n') this.line++;
  }

  private unended(what: string, line: number): ThinlayerError {
    return this.invalid(`${what} has no end`, line);
  }

  private invalid(message: string, line: number): ThinlayerError {
    return new ThinlayerError('invalid_argument', `${shown({ file: this.file, line })}: ${message}`, {
      path: this.file,
    });
  }
}
