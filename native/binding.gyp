{
  "variables": {
    "sanitize%": ""
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
        "xattr.cc",
        "tree_walk.cc",
        "tree_reader.cc",
        "tree_compare.cc"
      ],
      "include_dirs": ["<!@(node -p \"require('node-addon-api').include\")"],
      "defines": ["NAPI_VERSION=8", "NODE_ADDON_API_DISABLE_DEPRECATED", "_FILE_OFFSET_BITS=64"],
      "cflags!": ["-fno-exceptions"],
      "cflags_cc!": ["-fno-exceptions", "-std=gnu++20", "-std=gnu++17"],
      "cflags_cc": ["-std=c++17", "-fexceptions", "-O2", "-Wall", "-Wextra", "-Werror", "-Wno-cast-function-type"],
      "conditions": [
        ["sanitize!=''", {
          "cflags_cc": ["-fsanitize=<(sanitize)", "-fno-omit-frame-pointer", "-g"],
          "ldflags": ["-fsanitize=<(sanitize)"]
        }]
      ]
    }
  ]
}
