/** Words of the shell's language, as far as configuration files of CVMFS need them. */

/** Where something stands: errors and listings say it as `file:line`. */
export interface Position {
  readonly file: string;
  readonly line: number;
}

export function shown(position: Position): string {
  return `${position.file}:${position.line}`;
}

/** A word is the concatenation of its parts. */
export type WordPart =
  | { readonly kind: 'text'; readonly text: string; readonly quoted: boolean }
  | {
      readonly kind: 'variable';
      readonly name: string;
      readonly quoted: boolean;
      /** `${NAME:-word}` and its kin; null for `$NAME` and `${NAME}`. */
      readonly substitution: Substitution | null;
    }
  /** A command substitution, arithmetic, and what else only a shell could tell the value of. */
  | { readonly kind: 'unsupported'; readonly text: string };

export interface Substitution {
  readonly operator: '-' | '=' | '+';
  /** With a colon an empty variable counts as unset. */
  readonly colon: boolean;
  readonly word: readonly WordPart[];
}

export interface WordToken {
  readonly kind: 'word';
  readonly parts: readonly WordPart[];
  readonly line: number;
}

export interface OperatorToken {
  readonly kind: 'operator';
  readonly text: string;
  readonly line: number;
}

export type Token = WordToken | OperatorToken;

/** The text of a word with no quoting and no variable in it: only such a word can be a keyword. */
export function bareText(token: Token | undefined): string | null {
  if (token?.kind !== 'word' || token.parts.length !== 1) return null;
  const [part] = token.parts;
  return part?.kind === 'text' && !part.quoted ? part.text : null;
}
