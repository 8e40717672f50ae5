/** The parameters that the files of a configuration set: read with a type, and remembered with what became of each. */

import { ThinlayerError } from '../../../core/errors.js';
import type { Variable } from './shell.js';
import { shown } from './shell-word.js';

/** One line of a listing of the configuration. */
export interface Setting {
  readonly name: string;
  readonly value: string;
  /** `file:line`. */
  readonly from: string;
  /** False for a parameter of CVMFS that this client does not know, or has no use for. */
  readonly used: boolean;
}

/** A list's entry, and where the list was set. */
export interface Sourced {
  readonly text: string;
  readonly from: string;
}

/** The readers answer null, or what is given for it, for a parameter that is not set or set to nothing. */
export class Settings {
  private readonly variables: ReadonlyMap<string, Variable>;
  private readonly asked = new Set<string>();

  constructor(variables: ReadonlyMap<string, Variable>) {
    this.variables = variables;
  }

  /** Throws `invalid_argument` with file and line where the value could not be told without a shell. */
  text(name: string): string | null {
    this.asked.add(name);
    const variable = this.variables.get(name);
    if (!variable) return null;
    if (variable.unknown === null) return variable.value === '' ? null : variable.value;
    throw this.invalid(name, `the value needs ${variable.unknown}, and no shell is run; write the value out`);
  }

  flag(name: string, unset: boolean): boolean {
    const text = this.text(name);
    if (text === null) return unset;
    if (/^(yes|on|1|true)$/i.test(text)) return true;
    if (/^(no|off|0|false)$/i.test(text)) return false;
    throw this.wrong(name, text, 'yes or no');
  }

  whole(name: string, unset: number): number {
    const value = this.integer(name, unset);
    if (value >= 0) return value;
    throw this.wrong(name, String(value), 'a whole number, 0 or more');
  }

  integer(name: string, unset: number): number {
    const text = this.text(name);
    if (text === null) return unset;
    const value = /^-?\d{1,15}$/.test(text) ? Number(text) : NaN;
    if (Number.isSafeInteger(value)) return value;
    throw this.wrong(name, text, 'a whole number');
  }

  path(name: string, unset: string): string {
    const text = this.text(name);
    if (text === null) return unset;
    if (text.startsWith('/') && !text.includes('\0')) return text.replace(/(?<=.)\/+$/, '');
    throw this.wrong(name, text, 'an absolute path');
  }

  oneOf<T extends string>(name: string, values: readonly T[], unset: T): T {
    const text = this.text(name)?.toLowerCase() ?? unset;
    const value = values.find((v) => v === text);
    if (value !== undefined) return value;
    throw this.wrong(name, text, `one of ${values.join(', ')}`);
  }

  list(name: string, separator: string): readonly Sourced[] {
    const from = this.from(name);
    const texts = this.text(name)?.split(separator) ?? [];
    return texts.map((text) => ({ text: text.trim(), from })).filter(({ text }) => text !== '');
  }

  /** Where a parameter was set, for a message about it; `default` if nowhere. */
  from(name: string): string {
    const variable = this.variables.get(name);
    return variable ? shown(variable.position) : 'default';
  }

  wrong(name: string, text: string, expected: string): ThinlayerError {
    return this.invalid(name, `${JSON.stringify(text)} is not ${expected}`);
  }

  invalid(name: string, message: string): ThinlayerError {
    const path = this.variables.get(name)?.position.file;
    return new ThinlayerError('invalid_argument', `${this.from(name)}: ${name}: ${message}`, {
      ...(path !== undefined && { path }),
    });
  }

  /** All that was set, by name: to be asked for when everything was read, since reading a parameter makes it a used one. */
  listing(): readonly Setting[] {
    const settings = [...this.variables].map(([name, { value, position, unknown }]) => ({
      name,
      value: unknown === null ? value : `(unknown: ${unknown})`,
      from: shown(position),
      used: this.asked.has(name) || !name.startsWith('CVMFS_'),
    }));
    return settings.sort((a, b) => (a.name < b.name ? -1 : 1));
  }
}
