#!/usr/bin/env bash
# A Ray cluster on several hosts by hand, then a search on it.
#
#   deploy/ray-start.sh head                      on the first host
#   deploy/ray-start.sh node HEAD_HOST            on every other host
#   deploy/ray-start.sh search CONFIG.yaml OUT    on any of them
#
# All hosts need the same Python environment with alternet-nas, and the study
# directory OUT (and the images) under the same path: NFS or another shared file
# system. Everybody who can reach the ports of a Ray cluster without a token can run
# code on it. So the token is on: copy NAS_RAY_TOKEN_FILE to every host.
set -euo pipefail

export RAY_USAGE_STATS_ENABLED=0
export RAY_AUTH_MODE="${RAY_AUTH_MODE:-token}"
export RAY_AUTH_TOKEN_PATH="${NAS_RAY_TOKEN_FILE:-$HOME/.ray/auth_token}"
port="${NAS_RAY_PORT:-6379}"

usage() {
  sed -n '2,7p' "$0" >&2
  exit 2
}

case "${1:-}" in
  head)
    if [[ ! -s "$RAY_AUTH_TOKEN_PATH" ]]; then
      mkdir -p "$(dirname "$RAY_AUTH_TOKEN_PATH")"
      (umask 077 && python3 -c 'import secrets; print(secrets.token_hex(32))' \
        > "$RAY_AUTH_TOKEN_PATH")
      echo "new token in $RAY_AUTH_TOKEN_PATH: copy it to the other hosts" >&2
    fi
    exec ray start --head --port="$port" --include-dashboard=false \
      --disable-usage-stats --block
    ;;
  node)
    [[ $# -ge 2 ]] || usage
    exec ray start --address="$2:$port" --disable-usage-stats --block
    ;;
  search)
    [[ $# -ge 3 ]] || usage
    exec nas search "$2" --out "$3" --address auto
    ;;
  *)
    usage
    ;;
esac
