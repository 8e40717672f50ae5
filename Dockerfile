# thinlayerd as a container; what it needs there is in README.md, "In a container".
#
#   docker build -t thinlayer .
#
# BASE builds: Node with its headers and npm, g++, make, python3. RUN_BASE runs: the same Debian and the same Node. Both can be
# images of your own, if no registry can be reached: any with these, Debian 12 or 13 and Node 20.18 or later.
ARG BASE=node:20-bookworm
ARG RUN_BASE=node:20-bookworm-slim

FROM ${BASE} AS build
WORKDIR /opt/thinlayer
# The packages first: a change of the sources alone does not install them again.
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts --no-audit --no-fund
# For the client of CVMFS, where BASE lacks them.
RUN pkg-config --exists fuse3 sqlite3 zlib || { apt-get update && apt-get install -y --no-install-recommends pkg-config libfuse3-dev libsqlite3-dev zlib1g-dev; }
COPY tsconfig.json rollup.config.js ./
COPY native native
COPY src src
COPY actors actors
RUN npm run build && npm prune --omit=dev --ignore-scripts --no-audit --no-fund && chmod +x dist/src/main.js dist/src/cli/main.js dist/bin/thinlayer-cvmfs.js

FROM ${RUN_BASE}
RUN apt-get update && apt-get install -y --no-install-recommends libfuse3-3 libsqlite3-0 && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/thinlayer
COPY LICENSE package.json ./
COPY --from=build /opt/thinlayer/node_modules node_modules
COPY --from=build /opt/thinlayer/dist dist
COPY --from=build /opt/thinlayer/native/build/Release/thinlayer.node /opt/thinlayer/native/build/Release/thinlayer_cvmfs.node native/build/Release/
RUN for name in thinlayerd:src/main.js thinlayer-cvmfs:bin/thinlayer-cvmfs.js thinlayer:src/cli/main.js; do ln -s "/opt/thinlayer/dist/${name#*:}" "/usr/local/bin/${name%%:*}"; done
# The socket is /run/docker/plugins/thinlayer.sock, that of the thinlayer command is in /run/thinlayer, and the state, which has
# to outlive the container, in /var/lib/thinlayer. No VOLUME: an anonymous one would be lost with its container.
ENTRYPOINT ["thinlayerd"]
