"""poison-catalog.py FROM TO: copies a catalog, then runs the SQL of standard input on the copy.

In SQL: path1('/a/b') and path2('/a/b') are the halves of a path's hash; bytes(…) of a hex string is a text of those bytes.
"""
import hashlib, shutil, sqlite3, struct, sys


def halves(path):
    return struct.unpack('<qq', hashlib.md5(path.encode()).digest())


shutil.copyfile(sys.argv[1], sys.argv[2])
database = sqlite3.connect(sys.argv[2])
database.create_function('path1', 1, lambda path: halves(path)[0])
database.create_function('path2', 1, lambda path: halves(path)[1])
database.executescript(sys.stdin.read())
database.commit()
database.close()
