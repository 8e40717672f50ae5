/** What reading a configuration needs of a disk. */

export interface ConfigFiles {
  /** The text of a file, null if there is none. Throws where it is there and cannot be read. */
  read(path: string): string | null;
  /** The names in a directory in byte order, null if there is none. */
  list(path: string): readonly string[] | null;
  kind(path: string): 'file' | 'directory' | 'other' | null;
}
