/**
 * Runs the scripts of parseScript over a set of variables. Nothing outside of this process is ever started: a command that is not
 * known here fails, as one that is not installed does, and is noted. A value that only a shell could tell is remembered as unknown,
 * and is an error where it is needed (Settings).
 */

import { posix } from 'node:path';

import { ThinlayerError } from '../../../core/errors.js';
import type { ConfigFiles } from './config-files.js';
import { evaluateCondition } from './shell-condition.js';
import { assignmentOf, parseScript } from './shell-parser.js';
import type { Assignment, Chain, Command, IfCommand, Script, SimpleCommand } from './shell-parser.js';
import { shown } from './shell-word.js';
import type { Position, WordPart, WordToken } from './shell-word.js';

export interface Variable {
  readonly value: string;
  readonly position: Position;
  /** What of its value could not be told, in the words of the file; null for a value that is known. */
  readonly unknown: string | null;
}

export interface Note {
  readonly position: Position;
  readonly message: string;
}

export interface ShellOptions {
  readonly files: ConfigFiles;
  /** What variables mean that no file has set. They are not reported by `variables`, unless a file exports them. */
  readonly environment: Readonly<Record<string, string>>;
  /** Applied to each value as it is set: CVMFS' `@fqrn@` and `@org@`. */
  readonly template: (value: string) => string;
}

interface Expansion {
  readonly text: string;
  readonly quoted: boolean;
  readonly unknown: string | null;
}

const MAX_INCLUDES = 8;
const MAX_LENGTH = 1 << 16;

export class Shell {
  readonly variables = new Map<string, Variable>();
  readonly notes: Note[] = [];
  private readonly options: ShellOptions;
  private readonly including: string[] = [];
  private line = 0;

  constructor(options: ShellOptions) {
    this.options = options;
  }

  /** Runs a file; false if there is none. Throws `invalid_argument` with file and line. */
  source(path: string): boolean {
    const text = this.options.files.read(path);
    if (text === null) return false;
    this.including.push(path);
    this.runScript(parseScript(text, path));
    this.including.pop();
    return true;
  }

  private get file(): string {
    return this.including.at(-1) ?? '';
  }

  private runScript(script: Script): boolean {
    return script.reduce((_, chain) => this.runChain(chain), true);
  }

  private runChain({ links }: Chain): boolean {
    let outcome = true;
    for (const { after, negated, command } of links) {
      if ((after === '&&' && !outcome) || (after === '||' && outcome)) continue;
      outcome = this.runCommand(command) !== negated;
    }
    return outcome;
  }

  private runCommand(command: Command): boolean {
    return command.kind === 'if' ? this.runIf(command) : this.runSimple(command);
  }

  private runIf({ branches, otherwise }: IfCommand): boolean {
    const taken = branches.find(({ condition }) => this.runScript(condition));
    return this.runScript(taken ? taken.body : otherwise);
  }

  private runSimple(command: SimpleCommand): boolean {
    this.line = command.line;
    if (command.unsupported !== null) return this.notRun(command, `with ${command.unsupported} in it`);
    if (command.words.length === 0) return command.assignments.every((a) => this.assign(a));
    if (command.assignments.length > 0) return this.notRun(command, 'with a variable of its own');
    const words = command.words.map((word) => ({ word, ...this.expand(word.parts) }));
    const args = words.filter(({ text, quoted }) => text !== '' || quoted);
    const unknown = args.find((arg) => arg.unknown !== null)?.unknown;
    const name = args[0]?.text ?? '';
    if (name === 'export' || name === 'readonly') return this.declare(command.words.slice(1));
    if (typeof unknown === 'string') return this.notRun(command, `of ${unknown}`);
    return this.runBuiltin(
      command,
      name,
      args.slice(1).map(({ text }) => text),
    );
  }

  private runBuiltin(command: SimpleCommand, name: string, args: readonly string[]): boolean {
    switch (name) {
      case ':':
      case 'true':
        return true;
      case 'false':
        return false;
      case '[':
      case 'test':
        return this.test(command, name, args);
      case '.':
      case 'source':
        return this.include(args[0] ?? '');
      case 'unset':
        for (const variable of args) this.variables.delete(variable);
        return true;
      default:
        return this.notRun(command, '');
    }
  }

  private test(command: SimpleCommand, name: string, args: readonly string[]): boolean {
    const closed = name === 'test' || args.at(-1) === ']';
    const condition = name === 'test' ? args : args.slice(0, -1);
    const outcome = closed ? evaluateCondition(condition, this.options.files) : null;
    return outcome ?? this.notRun(command, `as a condition: ${JSON.stringify(condition.join(' '))}`);
  }

  /** CERN's client reads each file in the file's own directory: `. ../common.conf` in domain.d is beside default.conf. */
  private include(path: string): boolean {
    const resolved = posix.resolve(posix.dirname(this.file), path);
    if (this.including.length >= MAX_INCLUDES) {
      throw this.invalid(`${resolved} is included too deeply; does it include itself?`);
    }
    if (path !== '' && this.source(resolved)) return true;
    this.note(`${resolved} is to be included and does not exist`);
    return false;
  }

  /** `export NAME` of a variable that no file set takes it over from the environment. */
  private declare(words: readonly WordToken[]): boolean {
    for (const word of words) {
      const assignment = assignmentOf(word);
      const { text } = this.expand(word.parts);
      const inherited = this.inherited(text);
      if (assignment) this.assign(assignment);
      else if (!this.variables.has(text) && inherited !== null) this.set(text, inherited, null);
    }
    return true;
  }

  private assign({ name, value }: Assignment): boolean {
    const { text, unknown } = this.expand(value);
    this.set(name, text, unknown);
    return true;
  }

  private set(name: string, value: string, unknown: string | null): void {
    const position = { file: this.file, line: this.line };
    this.variables.set(name, { value: this.options.template(value), position, unknown });
  }

  private expand(parts: readonly WordPart[]): Expansion {
    const whole = { text: '', quoted: false, unknown: null as string | null };
    for (const { text, quoted, unknown } of parts.map((part) => this.expandPart(part))) {
      whole.text += text;
      whole.quoted ||= quoted;
      whole.unknown ??= unknown;
      if (whole.text.length > MAX_LENGTH) throw this.invalid('a value is too long');
    }
    return whole;
  }

  private expandPart(part: WordPart): Expansion {
    if (part.kind === 'text') return { text: part.text, quoted: part.quoted, unknown: null };
    if (part.kind === 'unsupported') return { text: '', quoted: true, unknown: part.text };
    return { ...this.expandVariable(part), quoted: part.quoted };
  }

  private expandVariable({ name, substitution }: Extract<WordPart, { kind: 'variable' }>): Expansion {
    const variable = this.variables.get(name);
    const text = variable?.value ?? this.inherited(name);
    const unknown = variable?.unknown ?? null;
    if (!substitution) return { text: text ?? '', quoted: false, unknown };
    const isSet = unknown !== null || (text !== null && (text !== '' || !substitution.colon));
    if (substitution.operator === '+' ? !isSet : isSet) {
      return { text: substitution.operator === '+' ? '' : (text ?? ''), quoted: false, unknown };
    }
    const alternative = this.expand(substitution.word);
    if (substitution.operator === '=') this.set(name, alternative.text, alternative.unknown);
    return alternative;
  }

  private inherited(name: string): string | null {
    const { environment } = this.options;
    return Object.hasOwn(environment, name) ? (environment[name] ?? null) : null;
  }

  private notRun(command: SimpleCommand, why: string): false {
    const [word] = command.words;
    const name = word ? this.expand(word.parts).text : (command.assignments[0]?.name ?? '');
    this.note(
      `${[JSON.stringify(name), why].filter((w) => w !== '').join(' ')} is not run: no shell is used. It counts as failed`,
    );
    return false;
  }

  private note(message: string): void {
    this.notes.push({ position: { file: this.file, line: this.line }, message });
  }

  private invalid(message: string): ThinlayerError {
    const { file, line } = this;
    return new ThinlayerError('invalid_argument', `${shown({ file, line })}: ${message}`, { path: file });
  }
}
