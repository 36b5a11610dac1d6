{
  # 1: AddressSanitizer and UndefinedBehaviorSanitizer (script/sanitize).
  "variables": { "sanitize%": 0 },
  "targets": [
    {
      "target_name": "understudy",
      "sources": [
        "addon.cc",
        "<!@(find -H common lane libvirt memory net disk nbd guard mirror -name '*.cc' -not -path '*/test/*' -not -path 'guard/main.cc' | sort)"
      ],
      "include_dirs": [
        "<!@(pkg-config --variable=includedir libvirt)",
        "."
      ],
      "libraries": ["<!@(pkg-config --libs libvirt libvirt-qemu)"],
      "defines": ["NAPI_VERSION=8", "NODE_ADDON_API_DISABLE_DEPRECATED", "_GNU_SOURCE"],
      "cflags": [
        "-Wall",
        "-Wextra",
        "-Wshadow",
        "-isystem <!(node -p \"require('node:path').resolve(require('node-addon-api').include_dir)\")"
      ],
      "cflags!": ["-fno-exceptions"],
      "cflags_cc!": ["-fno-exceptions", "-fno-rtti", "-std=gnu++17"],
      "cflags_cc": ["-std=gnu++20", "-fexceptions", "-frtti", "-O3", "-mssse3", "-pthread"],
      "ldflags": ["-pthread", "-Wl,-z,nodelete"],
      "conditions": [
        [
          "sanitize == 1",
          {
            "cflags": ["-fsanitize=address,undefined", "-fno-omit-frame-pointer", "-g"],
            "cflags_cc!": ["-O3"],
            "cflags_cc": ["-O1"],
            "ldflags": ["-fsanitize=address,undefined"]
          }
        ]
      ]
    },
    {
      "target_name": "understudy-guard",
      "type": "executable",
      "sources": ["guard/main.cc"],
      "include_dirs": ["."],
      "defines": ["_GNU_SOURCE"],
      "cflags": ["-Wall", "-Wextra", "-Wshadow"],
      "cflags_cc!": ["-std=gnu++17"],
      "cflags_cc": ["-std=gnu++20", "-O2"]
    },
    {
      "target_name": "understudy-scribbler",
      "type": "executable",
      "sources": ["memory/test/scribbler.cc"],
      "cflags": ["-Wall", "-Wextra", "-Wshadow"],
      "cflags_cc!": ["-std=gnu++17"],
      "cflags_cc": ["-std=gnu++20", "-O2"]
    }
  ]
}
