#!/bin/bash
# wrapper.sh COMMAND [ARG]...: the traditional way to start a service in the namespace that is pinned
# at $KUBENSMNT, a script around nsenter(1). It is here to be measured, nothing else uses it.
set -euo pipefail

if [[ "$(stat --file-system --format=%T -- "$KUBENSMNT")" != nsfs ]]; then
    echo "wrapper.sh: no namespace is pinned at $KUBENSMNT" >&2
    exit 1
fi
exec nsenter --mount="$KUBENSMNT" -- "$@"
