# node-headers.sh: sourced, by sh too; Node's own headers where they came with it: node-gyp would download them.

node_prefix=$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")
[ ! -e "$node_prefix/include/node/node_api.h" ] || export npm_config_nodedir=${npm_config_nodedir:-$node_prefix}
