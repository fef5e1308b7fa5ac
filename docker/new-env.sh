#!/usr/bin/env bash
# Writes FILE from FILE.example (or EXAMPLE) with random secrets, for you alone to read. It writes over none, because the
# volumes of one that is in use keep its passwords; that is why it is no `> .env`.
#
#   docker/new-env.sh                                                  docker/.env, for compose
#   docker/new-env.sh docker/kubernetes/base/secrets.env               for Kubernetes
set -euo pipefail
umask 077
here="$(cd "$(dirname "$0")" && pwd)"
file="${1:-$here/.env}"
example="${2:-$file.example}"

die() {
    echo "new-env.sh: $1" >&2
    exit 2
}

[[ ! -e "$file" ]] || die "$file is there already, and the volumes keep its passwords: use it, or move it away"
[[ -r "$example" ]] || die "$example cannot be read: FILE is docker/.env or docker/kubernetes/base/secrets.env"
commit="$(git -C "$here" describe --always --abbrev=40 --dirty --exclude='*' 2>/dev/null || true)"
while IFS= read -r line; do
    case "$line" in
    *_PASSWORD= | S3_ACCESS_KEY= | S3_SECRET_KEY= | MLFLOW_COOKIE_KEY= | RAY_TOKEN= | auth_token=)
        line+="$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')"
        ;;
    GIT_COMMIT=) line+="$commit" ;;
    esac
    printf '%s\n' "$line"
done <"$example" >"$file"
echo "new-env.sh: $file has new secrets" >&2
