/**
 * The structure of a configuration file: assignments, `if`, `&&`, `||` and simple commands. CERN's packaged files need no more
 * (default.conf and domain.d/cern.ch.conf are assignments in and around `if [ … ]`). Loops, functions and the like are refused:
 * what follows them cannot be understood without them.
 */

import { ThinlayerError } from '../../../core/errors.js';
import { tokenize } from './shell-lexer.js';
import { bareText, shown } from './shell-word.js';
import type { Token, WordPart, WordToken } from './shell-word.js';

export interface Assignment {
  readonly name: string;
  readonly value: readonly WordPart[];
}

export interface SimpleCommand {
  readonly kind: 'simple';
  readonly line: number;
  readonly assignments: readonly Assignment[];
  readonly words: readonly WordToken[];
  /** A pipe, a redirection, a job in the background: the command as a whole cannot be run. */
  readonly unsupported: string | null;
}

export interface IfCommand {
  readonly kind: 'if';
  readonly line: number;
  readonly branches: readonly { readonly condition: Script; readonly body: Script }[];
  readonly otherwise: Script;
}

export type Command = SimpleCommand | IfCommand;

/** Commands joined by `&&` and `||`, which bind alike, from the left. */
export interface Chain {
  readonly links: readonly {
    /** On which outcome of what came before it is run; null for the first. */
    readonly after: '&&' | '||' | null;
    readonly negated: boolean;
    readonly command: Command;
  }[];
}

export type Script = readonly Chain[];

const REFUSED = new Set([
  'for',
  'while',
  'until',
  'case',
  'function',
  'select',
  '{',
  '}',
  'do',
  'done',
  'esac',
]);
const ENDINGS = new Set(['then', 'elif', 'else', 'fi']);
const MAX_DEPTH = 32;

/** Throws `invalid_argument` with file and line for what is no script of the kind above. */
export function parseScript(text: string, file: string): Script {
  return new Parser(tokenize(text, file), file).script();
}

/** `NAME=value` as a word; null for any other word. */
export function assignmentOf(word: WordToken): Assignment | null {
  const [first, ...rest] = word.parts;
  if (first?.kind !== 'text' || first.quoted) return null;
  const match = /^([A-Za-z_][A-Za-z0-9_]*)=/.exec(first.text);
  if (!match) return null;
  const text = first.text.slice(match[0].length);
  return { name: match[1] as string, value: text === '' ? rest : [{ ...first, text }, ...rest] };
}

class Parser {
  private readonly tokens: readonly Token[];
  private readonly file: string;
  private at = 0;
  private depth = 0;

  constructor(tokens: readonly Token[], file: string) {
    this.tokens = tokens;
    this.file = file;
  }

  script(): Script {
    const script = this.list();
    const left = this.tokens[this.at];
    if (left) throw this.invalid(`${describe(left)} has nothing that it belongs to`, left.line);
    return script;
  }

  /** Up to the end, or to a keyword that ends the list it stands in. */
  private list(): Script {
    const chains: Chain[] = [];
    for (;;) {
      while (this.isOperator('\n') || this.isOperator(';')) this.at++;
      const next = this.tokens[this.at];
      if (!next || ENDINGS.has(bareText(next) ?? '')) return chains;
      chains.push(this.chain());
    }
  }

  private chain(): Chain {
    const links: Chain['links'][number][] = [this.link(null)];
    for (;;) {
      const next = this.tokens[this.at];
      if (next?.kind !== 'operator' || (next.text !== '&&' && next.text !== '||')) return { links };
      this.at++;
      while (this.isOperator('\n')) this.at++;
      links.push(this.link(next.text));
    }
  }

  private link(after: '&&' | '||' | null): Chain['links'][number] {
    const negated = bareText(this.tokens[this.at]) === '!';
    if (negated) this.at++;
    return { after, negated, command: this.command() };
  }

  private command(): Command {
    const first = this.tokens[this.at];
    const text = bareText(first);
    if (first && text !== null && REFUSED.has(text)) throw this.refused(first);
    return text === 'if' ? this.ifCommand() : this.simple();
  }

  private ifCommand(): IfCommand {
    const line = this.tokens[this.at]?.line ?? 0;
    if (++this.depth > MAX_DEPTH) throw this.invalid('if is nested too deeply', line);
    const branches: IfCommand['branches'][number][] = [];
    do {
      this.at++;
      const condition = this.list();
      this.expect('then', line);
      branches.push({ condition, body: this.list() });
    } while (bareText(this.tokens[this.at]) === 'elif');
    let otherwise: Script = [];
    if (bareText(this.tokens[this.at]) === 'else') {
      this.at++;
      otherwise = this.list();
    }
    this.expect('fi', line);
    this.depth--;
    return { kind: 'if', line, branches, otherwise };
  }

  private expect(keyword: string, line: number): void {
    if (bareText(this.tokens[this.at]) !== keyword) throw this.invalid(`the if has no ${keyword}`, line);
    this.at++;
  }

  private simple(): SimpleCommand {
    const line = this.tokens[this.at]?.line ?? this.tokens.at(-1)?.line ?? 1;
    const assignments: Assignment[] = [];
    const words: WordToken[] = [];
    let unsupported: string | null = null;
    for (let token = this.tokens[this.at]; token && !endsCommand(token); token = this.tokens[++this.at]) {
      const assignment = token.kind === 'word' && words.length === 0 ? assignmentOf(token) : null;
      if (assignment) assignments.push(assignment);
      else if (token.kind === 'word') words.push(token);
      else if (/[()]|;;/.test(token.text)) throw this.refused(token);
      else unsupported ??= token.text;
    }
    if (assignments.length + words.length === 0 && unsupported === null) throw this.missing(line);
    return { kind: 'simple', line, assignments, words, unsupported };
  }

  private isOperator(text: string): boolean {
    const next = this.tokens[this.at];
    return next?.kind === 'operator' && next.text === text;
  }

  private missing(line: number): ThinlayerError {
    return this.invalid('a command is missing here', line);
  }

  private refused(token: Token): ThinlayerError {
    return this.invalid(
      `${describe(token)} is not understood: no shell is run, and only assignments and if are known; write the value out`,
      token.line,
    );
  }

  private invalid(message: string, line: number): ThinlayerError {
    return new ThinlayerError('invalid_argument', `${shown({ file: this.file, line })}: ${message}`, {
      path: this.file,
    });
  }
}

function endsCommand(token: Token): boolean {
  return token.kind === 'operator' && /^(\n|;|&&|\|\|)$/.test(token.text);
}

function describe(token: Token): string {
  return JSON.stringify(token.kind === 'operator' ? token.text : (bareText(token) ?? 'a word'));
}
