"""list-tree.py DIRECTORY: what is below it, one JSON object a line, in the form of the listings in test/fixtures/cvmfs.

A process of its own, since a test must not wait in its own process for a file system that it answers itself.
"""
import base64, hashlib, json, os, stat, sys

TYPES = {stat.S_IFREG: 'file', stat.S_IFDIR: 'dir', stat.S_IFLNK: 'symlink', stat.S_IFCHR: 'chr',
         stat.S_IFBLK: 'blk', stat.S_IFIFO: 'fifo', stat.S_IFSOCK: 'sock'}


def put(entry, key, value):
    try:
        entry[key] = value.decode('utf-8')
    except UnicodeDecodeError:
        entry[key + '_b64'] = base64.b64encode(value).decode()


def sha256(path):
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def describe(full, path, groups):
    status = os.lstat(full)
    entry = {}
    put(entry, 'path', path)
    kind = TYPES[stat.S_IFMT(status.st_mode)]
    entry.update(type=kind, mode='%04o' % (status.st_mode & 0o7777), uid=status.st_uid, gid=status.st_gid,
                 mtime=status.st_mtime_ns // 10**9, mtime_ns=status.st_mtime_ns % 10**9, size=status.st_size,
                 nlink=status.st_nlink, ino=status.st_ino)
    if kind != 'dir' and status.st_nlink > 1:
        put(entry, 'hl', groups.setdefault((status.st_dev, status.st_ino), path))
    if kind == 'file':
        try:
            entry['sha256'] = sha256(full)
        except OSError as error:
            entry['error'] = error.errno
    elif kind == 'symlink':
        put(entry, 'target', os.readlink(full))
    elif kind in ('chr', 'blk'):
        entry['rdev'] = [os.major(status.st_rdev), os.minor(status.st_rdev)]
    names = os.listxattr(full, follow_symlinks=False)
    entry['xattrs'] = {name: base64.b64encode(os.getxattr(full, name, follow_symlinks=False)).decode() for name in names}
    return entry


def walk(directory, path, groups):
    for name in sorted(os.listdir(directory)):
        full, below = directory + b'/' + name, path + b'/' + name
        entry = describe(full, below, groups)
        print(json.dumps(entry))
        if entry['type'] == 'dir':
            walk(full, below, groups)


walk(os.fsencode(sys.argv[1]), b'', {})
