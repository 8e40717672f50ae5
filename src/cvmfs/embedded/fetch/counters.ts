/** What was fetched, by server: for an administrator who wants to know whether a mirror is any good. */

export interface HostCounts {
  requests: number;
  bytes: number;
  /** Attempts that failed, or whose answer was refused. */
  errors: number;
}

export class FetchCounters {
  readonly #hosts = new Map<string, HostCounts>();

  constructor(hosts: readonly string[]) {
    for (const host of hosts) this.of(host);
  }

  of(host: string): HostCounts {
    const known = this.#hosts.get(host) ?? { requests: 0, bytes: 0, errors: 0 };
    this.#hosts.set(host, known);
    return known;
  }

  get hosts(): ReadonlyMap<string, Readonly<HostCounts>> {
    return this.#hosts;
  }
}
