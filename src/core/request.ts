/**
 * What a layer's actor is asked, and what it answers. One request at a time reaches an actor (its gate sees to
 * that), and each gets exactly one reply with its number.
 */

import type { ThinlayerError } from './errors.js';
import type { CreateOptions, LayerId, LayerKind } from './model.js';
import type { ByteStream } from './service.js';

export type LayerRequest =
  | {
      readonly type: 'layer.create';
      readonly request: number;
      readonly parent: LayerId | null;
      readonly kind: LayerKind;
      readonly options: CreateOptions;
    }
  | {
      readonly type: 'layer.apply';
      readonly request: number;
      readonly parent: LayerId | null;
      readonly tar: ByteStream;
      readonly signal?: AbortSignal | undefined;
    }
  | {
      readonly type: 'layer.attach';
      readonly request: number;
      readonly label: string | null;
      readonly signal?: AbortSignal | undefined;
    }
  | { readonly type: 'layer.detach'; readonly request: number }
  | { readonly type: 'layer.remove'; readonly request: number }
  | { readonly type: 'layer.repair'; readonly request: number };

export type RequestOf<T extends LayerRequest['type']> = Extract<LayerRequest, { type: T }>;

/** A request before it has its number. */
export type Unnumbered<R = LayerRequest> = R extends { request: number } ? Omit<R, 'request'> : never;

/** `attach` answers a path, `apply` a size in bytes, the others nothing. */
export type ReplyValue = string | number | undefined;

/** What an actor emits: one for each request. */
export type Reply<Value> = { readonly type: 'reply'; readonly request: number } & (
  { readonly ok: true; readonly value: Value } | { readonly ok: false; readonly error: ThinlayerError }
);

export type LayerReply = Reply<ReplyValue>;
