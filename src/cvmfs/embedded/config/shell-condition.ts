/** The command `[`, or `test`, with up to four arguments as POSIX defines it; `-a` and `-o` are not known. */

import type { ConfigFiles } from './config-files.js';

type Unary = (argument: string, files: ConfigFiles) => boolean;
type Binary = (left: number, right: number) => boolean;

const UNARY: Readonly<Record<string, Unary>> = {
  '-n': (text) => text !== '',
  '-z': (text) => text === '',
  '-e': (path, files) => files.kind(path) !== null,
  '-f': (path, files) => files.kind(path) === 'file',
  '-d': (path, files) => files.kind(path) === 'directory',
  '-r': (path, files) => files.kind(path) !== null,
  '-s': (path, files) => files.kind(path) === 'file' && files.read(path) !== '',
};

const NUMERIC: Readonly<Record<string, Binary>> = {
  '-eq': (a, b) => a === b,
  '-ne': (a, b) => a !== b,
  '-lt': (a, b) => a < b,
  '-le': (a, b) => a <= b,
  '-gt': (a, b) => a > b,
  '-ge': (a, b) => a >= b,
};

/** Whether the condition holds; null if it is none that is known here. */
export function evaluateCondition(args: readonly string[], files: ConfigFiles): boolean | null {
  const [first = '', second = '', third = ''] = args;
  if (args.length === 3 && isBinary(second)) return binary(first, second, third);
  if (args.length > 1 && first === '!') return negate(evaluateCondition(args.slice(1), files));
  if (args.length === 2) return Object.hasOwn(UNARY, first) ? (UNARY[first]?.(second, files) ?? null) : null;
  return args.length < 2 ? first !== '' : null;
}

function isBinary(operator: string): boolean {
  return operator === '=' || operator === '==' || operator === '!=' || Object.hasOwn(NUMERIC, operator);
}

function binary(left: string, operator: string, right: string): boolean | null {
  if (operator === '=' || operator === '==') return left === right;
  if (operator === '!=') return left !== right;
  if (!isInteger(left) || !isInteger(right)) return null;
  return NUMERIC[operator]?.(Number(left), Number(right)) ?? null;
}

function isInteger(text: string): boolean {
  return /^\s*[-+]?\d+\s*$/.test(text);
}

function negate(outcome: boolean | null): boolean | null {
  return outcome === null ? null : !outcome;
}
