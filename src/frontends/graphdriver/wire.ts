/**
 * Bytes and typed values of Docker's graph-driver protocol: the requests checked, the replies built. dockerd leaves
 * empty keys out and ignores unknown ones, and so do we.
 */

import type { ErrorCode } from '../../core/errors.js';
import { ThinlayerError } from '../../core/errors.js';
import { parseLayerId } from '../../core/model.js';
import type { Change, ChangeKind, CreateOptions, IdMap, LayerId, LayerInfo } from '../../core/model.js';
import { publicPathOf } from '../../core/thin-descriptor.js';

export const CONTENT_TYPE = 'application/vnd.docker.plugins.v1.1+json';

/** The status only helps people who read traces: dockerd shows the text of `Err` with any of them. */
export const STATUS: Readonly<Record<ErrorCode, number>> = {
  invalid_argument: 400,
  not_found: 404,
  already_exists: 409,
  failed_precondition: 412,
  unavailable: 503,
  resource_exhausted: 507,
  aborted: 499,
  unimplemented: 501,
  data_loss: 500,
  internal: 500,
};

export interface InitRequest {
  readonly home: string;
  readonly options: readonly string[];
  readonly uids: readonly IdMap[];
  readonly gids: readonly IdMap[];
}

export interface LayerCall {
  readonly id: LayerId;
  readonly parent: LayerId | null;
  readonly options: CreateOptions;
}

type Fields = Readonly<Record<string, unknown>>;

/** The JSON object in a request's body. An empty body is what a retry of dockerd carries whose first try broke. */
export function parseBody(body: Buffer): Fields {
  if (body.length === 0) {
    throw invalid(
      'the request has no body; if this is a retry after a broken connection, repeat the whole command',
    );
  }
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch (cause) {
    throw new ThinlayerError('invalid_argument', `the request is not JSON: ${(cause as Error).message}`, {
      cause,
    });
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  throw invalid('the request is not a JSON object');
}

export function parseInit(fields: Fields): InitRequest {
  const home = text(fields, 'Home');
  if (!home.startsWith('/') || home.includes('\0')) {
    throw invalid(`Home must be an absolute path, not ${JSON.stringify(home)}`);
  }
  return {
    home: home.replace(/(?<=.)\/+$/, ''),
    options: optionTexts(fields),
    uids: idMaps(fields, 'UIDMaps'),
    gids: idMaps(fields, 'GIDMaps'),
  };
}

export function parseLayerCall(fields: Fields): LayerCall {
  const label = text(fields, 'MountLabel');
  const storage = storageOptions(fields);
  return {
    id: parseLayerId(text(fields, 'ID')),
    parent: parseParent(text(fields, 'Parent')),
    options: { ...(label !== '' && { mountLabel: label }), ...(storage && { storageOptions: storage }) },
  };
}

export function parseParent(parent: string): LayerId | null {
  return parent === '' ? null : parseLayerId(parent);
}

const KINDS: Readonly<Record<ChangeKind, number>> = { modified: 0, added: 1, deleted: 2 };

/** Paths are bytes inside and UTF-8 on the wire; bytes that are not UTF-8 are shown as U+FFFD, as Go's encoder does. */
export function encodeChange(change: Change): { Path: string; Kind: number } {
  return { Path: Buffer.from(change.path, 'latin1').toString('utf8'), Kind: KINDS[change.kind] };
}

/** Shown to users by `docker inspect`. The keys are overlay2's. */
export function encodeMetadata({ lowers, paths }: LayerInfo): Record<string, string> {
  return {
    ...(lowers.length > 0 && { LowerDir: lowers.map(publicPathOf).join(':') }),
    MergedDir: paths.merged,
    UpperDir: paths.diff,
    WorkDir: paths.work,
  };
}

function text(fields: Fields, key: string): string {
  const value = fields[key] ?? '';
  if (typeof value === 'string') return value;
  throw invalid(`${key} must be a string`);
}

function optionTexts(fields: Fields): string[] {
  const options = fields['Opts'] ?? [];
  if (Array.isArray(options) && options.every((o) => typeof o === 'string')) return options as string[];
  throw invalid('Opts must be a list of strings');
}

function storageOptions(fields: Fields): Readonly<Record<string, string>> | undefined {
  const options = fields['StorageOpt'] ?? undefined;
  if (options === undefined) return undefined;
  const isMap = typeof options === 'object' && !Array.isArray(options);
  if (isMap && Object.values(options as object).every((v) => typeof v === 'string')) {
    return Object.keys(options as object).length === 0 ? undefined : (options as Record<string, string>);
  }
  throw invalid('StorageOpt must be an object of strings');
}

function idMaps(fields: Fields, key: string): IdMap[] {
  const maps = fields[key] ?? [];
  if (!Array.isArray(maps)) throw invalid(`${key} must be a list`);
  return maps.map((map) => idMap(map as Fields | null, key));
}

function idMap(map: Fields | null, key: string): IdMap {
  const [containerId, hostId, size] = ['container_id', 'host_id', 'size'].map((name) => map?.[name]);
  if (isId(containerId) && isId(hostId) && isId(size) && size > 0) return { containerId, hostId, size };
  throw invalid(
    `${key} must hold objects of container_id, host_id and size, whole numbers from 0 to 4294967295`,
  );
}

function isId(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 0xffffffff;
}

function invalid(message: string): ThinlayerError {
  return new ThinlayerError('invalid_argument', message);
}
