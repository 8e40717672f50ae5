{
  "variables": {
    "sanitize%": ""
  },
  "target_defaults": {
    "include_dirs": ["<!@(node -p \"require('node-addon-api').include\")"],
    "defines": ["NAPI_VERSION=8", "NODE_ADDON_API_DISABLE_DEPRECATED", "_FILE_OFFSET_BITS=64"],
    "cflags!": ["-fno-exceptions"],
    "cflags_cc!": ["-fno-exceptions", "-std=gnu++20", "-std=gnu++17"],
    "cflags_cc": ["-std=c++17", "-fexceptions", "-O2", "-Wall", "-Wextra", "-Werror", "-Wno-cast-function-type"],
    "conditions": [
      ["sanitize!=''", {
        "cflags_cc": ["-fsanitize=<(sanitize)", "-fno-omit-frame-pointer", "-g"],
        # Node's own copies of inline functions, which are not instrumented, must not take the place of ours.
        "ldflags": ["-fsanitize=<(sanitize)", "-Wl,-Bsymbolic-functions"]
      }]
    ]
  },
  "targets": [
    {
      "target_name": "thinlayer",
      "sources": [
        "addon.cc",
        "worker.cc",
        "mount.cc",
        "overlay.cc",
        "overlay_fsopen.cc",
        "overlay_options.cc",
        "places.cc",
        "probe.cc",
        "host.cc",
        "disk.cc",
        "quota.cc",
        "rooted.cc",
        "tree.cc",
        "tree_batch.cc",
        "tree_delete.cc",
        "tree_directories.cc",
        "tree_metadata.cc",
        "tree_remove.cc",
        "tree_writer.cc",
        "directory.cc",
        "opaque.cc",
        "xattr.cc",
        "tree_walk.cc",
        "tree_reader.cc",
        "tree_compare.cc"
      ]
    },
    {
      "target_name": "thinlayer_cvmfs",
      "sources": [
        "worker.cc",
        "opaque.cc",
        "cvmfs/addon.cc",
        "cvmfs/session.cc",
        "cvmfs/refresh.cc",
        "cvmfs/serve.cc",
        "cvmfs/operations.cc",
        "cvmfs/operations_name.cc",
        "cvmfs/operations_directory.cc",
        "cvmfs/operations_file.cc",
        "cvmfs/operations_xattr.cc",
        "cvmfs/magic.cc",
        "cvmfs/misses.cc",
        "cvmfs/repository.cc",
        "cvmfs/layers.cc",
        "cvmfs/inodes.cc",
        "cvmfs/catalog_tree.cc",
        "cvmfs/catalog.cc",
        "cvmfs/connections.cc",
        "cvmfs/database.cc",
        "cvmfs/objects.cc",
        "cvmfs/store_object.cc",
        "cvmfs/inflater.cc",
        "cvmfs/contents.cc",
        "cvmfs/listings.cc",
        "cvmfs/walk.cc",
        "cvmfs/look_ahead.cc",
        "cvmfs/entry.cc",
        "cvmfs/xattrs.cc",
        "cvmfs/query.cc",
        "cvmfs/variables.cc",
        "cvmfs/object_name.cc",
        "cvmfs/md5.cc"
      ],
      "cflags_cc": ["<!@(pkg-config --cflags fuse3 sqlite3 zlib)"],
      "libraries": ["<!@(pkg-config --libs fuse3 sqlite3 zlib)"]
    }
  ]
}
