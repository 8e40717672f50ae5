/** Reads the configuration of a repository. */

import { ThinlayerError } from '../../../core/errors.js';
import { repositoryName } from '../../../core/repository-name.js';
import { readClientConfig } from './client-config.js';
import type { ClientConfig, LookedFor } from './client-config.js';
import type { ConfigFiles } from './config-files.js';
import { defaultFiles, organizationOf, repositoryFiles } from './hierarchy.js';
import { Settings } from './settings.js';
import { Shell } from './shell.js';

export const DEFAULT_DIRECTORY = '/etc/cvmfs';

export interface ConfigQuestion {
  /** With a domain, or without one where CVMFS_DEFAULT_DOMAIN is set. */
  readonly repository: string;
  readonly directory: string;
  /** Read in place of the whole hierarchy (`-o config=`); null: the hierarchy. */
  readonly only: readonly string[] | null;
  /** What variables mean that no file sets. */
  readonly environment: Readonly<Record<string, string>>;
}

/**
 * Throws ThinlayerError: `invalid_argument` with file and line for what is wrong in a file, `failed_precondition` for a repository
 * that is not configured, with the files that were looked for, and for one without a key or a proxy.
 */
export function loadConfig(question: ConfigQuestion, files: ConfigFiles): ClientConfig {
  const fqrn = fullName(question, files);
  const shell = newShell(question, files, fqrn);
  const paths = question.only ?? [
    ...defaultFiles(question.directory, files),
    ...repositoryFiles(question.directory, fqrn),
  ];
  const looked = paths.map((path) => ({ path, found: shell.source(path) }));
  const settings = new Settings(shell.variables);
  if (settings.text('CVMFS_SERVER_URL') === null) throw notConfigured(fqrn, looked, settings);
  const config = readClientConfig(settings, files, question.directory, fqrn);
  return {
    ...config,
    variables: symlinkVariables(shell, fqrn),
    settings: settings.listing(),
    notes: shell.notes,
    files: looked,
  };
}

function newShell({ environment }: ConfigQuestion, files: ConfigFiles, fqrn: string): Shell {
  const template = (value: string) =>
    value.replaceAll('@fqrn@', fqrn).replaceAll('@org@', organizationOf(fqrn));
  return new Shell({ files, environment: { ...environment, CVMFS_FQRN: fqrn }, template });
}

function fullName(question: ConfigQuestion, files: ConfigFiles): string {
  const name = repositoryName(question.repository);
  if (name.includes('.')) return name;
  const shell = newShell(question, files, name);
  for (const path of question.only ?? defaultFiles(question.directory, files)) shell.source(path);
  const domain = new Settings(shell.variables).text('CVMFS_DEFAULT_DOMAIN');
  if (domain !== null) return repositoryName(`${name}.${domain}`);
  throw new ThinlayerError(
    'invalid_argument',
    `${name} is not the full name of a repository; write its domain too, as in ${name}.cern.ch, or set CVMFS_DEFAULT_DOMAIN`,
  );
}

function notConfigured(fqrn: string, looked: readonly LookedFor[], settings: Settings): ThinlayerError {
  const files = looked.map(({ path, found }) => (found ? path : `${path} (not there)`)).join(', ');
  const elsewhere = settings.text('CVMFS_CONFIG_REPOSITORY');
  const hint =
    elsewhere === null
      ? ''
      : ` The configuration repository ${elsewhere} is not read; if it has the files of ${fqrn}, copy them here.`;
  return new ThinlayerError(
    'failed_precondition',
    `the repository ${fqrn} is not configured: none of the files sets CVMFS_SERVER_URL; looked for ${files}.${hint}`,
  );
}

/** CERN's client puts every parameter into its environment, whose variables the targets of links may name. */
function symlinkVariables(shell: Shell, fqrn: string): Readonly<Record<string, string>> {
  const known = [...shell.variables].filter(([, { unknown }]) => unknown === null);
  return Object.fromEntries([['CVMFS_FQRN', fqrn], ...known.map(([name, { value }]) => [name, value])]);
}
