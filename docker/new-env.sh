#!/usr/bin/env bash
# Writes docker/.env (or FILE): .env.example with random secrets, for you alone to read. It writes over none, since the
# volumes of one that is in use keep its passwords; that is why it is no `> docker/.env`.
#
#   docker/new-env.sh [FILE]
set -euo pipefail
umask 077
here="$(cd "$(dirname "$0")" && pwd)"
file="${1:-$here/.env}"

if [[ -e "$file" ]]; then
    echo "new-env.sh: $file is there already, and the volumes keep its passwords: use it, or move it away" >&2
    exit 2
fi
commit="$(git -C "$here" describe --always --abbrev=40 --dirty --exclude='*' 2>/dev/null || true)"
while IFS= read -r line; do
    case "$line" in
    POSTGRES_PASSWORD= | S3_ACCESS_KEY= | S3_SECRET_KEY= | MLFLOW_PASSWORD= | MLFLOW_COOKIE_KEY= | RAY_TOKEN=)
        line+="$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')"
        ;;
    GIT_COMMIT=) line+="$commit" ;;
    esac
    printf '%s\n' "$line"
done <"$here/.env.example" >"$file"
echo "new-env.sh: $file has new secrets; next, in docker/: docker compose build && docker compose up -d --wait" >&2
