#!/usr/bin/env bash
# The entry of the image: what a container is, in one word. What would go wrong later is looked for first, and said in
# one line with exit code 2; what the services say themselves comes below it.
#
#   start.sh head | worker | mlflow     services, until they are stopped
#   start.sh sweep COMMAND...           `seisweep COMMAND...` on the cluster, as a node of it that has no CPUs
#   start.sh healthy [ROLE]             whether this container is well (ROLE: default what it was started as; `node` is
#                                       any node of Ray, without the long look of `seisweep doctor`)
#   start.sh PROGRAM...                 anything else is run as it is
#
# Secrets come from variables, or from files that NAME_FILE names. None has a default.
set -euo pipefail

role="${1:-}"
home="${SEISWEEP_HOME:-$PWD/seisweep-home}"
head_address="${RAY_HEAD:-head:6379}"
jobs_port="${RAY_JOBS_PORT:-8265}"
start_limit_s="${START_LIMIT_S:-120}"
needed_mb=500 # as seisweep wants to start a sweep
scratch="${TMPDIR:-/tmp}/seisweep"
every_node=(--disable-usage-stats --object-store-memory="${OBJECT_STORE_BYTES:-500000000}")
every_node+=(${NODE_IP:+--node-ip-address="$NODE_IP"}) # where a machine has several networks

die() {
    printf 'seisweep %s: %s\n' "$role" "$1" >&2
    exit 2
}

secret() { # NAME IN_COMPOSE
    local file="$1_FILE"
    if [[ -z "${!1:-}" && -n "${!file:-}" ]]; then
        [[ -r "${!file}" ]] || die "$1 is missing: the file ${!file} ($file) cannot be read"
        export "$1=$(<"${!file}")"
    fi
    local where="compose: $2 in docker/.env, which docker/new-env.sh writes; Kubernetes: secrets.env"
    [[ -n "${!1:-}" ]] || die "$1 is missing: set it, or write it to a file and name that in $file ($where)"
}

ray_token() {
    export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_FILE="${RAY_AUTH_TOKEN_FILE:-${RAY_AUTH_TOKEN_PATH:-}}"
    secret RAY_AUTH_TOKEN RAY_TOKEN
}

free_port() { # PORT WHAT
    local remedy="stop what listens there (ss -ltnp | grep :$1), or give this container a network of its own"
    python3 - "$1" 2>/dev/null <<'PYTHON' || die "port $1 is taken here, and $2 needs it: $remedy"
import socket, sys

listening = socket.socket()
listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listening.bind(("", int(sys.argv[1])))
PYTHON
}

room_in() { # FOLDER
    local free_mb user
    user=$(id -u)
    mkdir -p "$1" 2>/dev/null && [[ -w "$1" ]] ||
        die "$1 cannot be written by user $user: its volume is somebody else's; chown -R $user it, or mount another"
    free_mb=$(df --output=avail --block-size=1M "$1" | tail -n 1)
    ((free_mb >= needed_mb)) ||
        die "the volume of $1 is full: $((free_mb)) MB are free, $needed_mb MB are needed; make room, or mount a larger one"
}

wait_for() { # HOST PORT WHAT
    local end=$((SECONDS + start_limit_s)) remedy
    remedy="look whether it runs (docker compose ps, kubectl get pods) and what it says; START_LIMIT_S waits longer"
    until timeout 5 bash -c ": >/dev/tcp/$1/$2" 2>/dev/null; do
        ((SECONDS < end)) || die "$3 at $1:$2 has not answered for $start_limit_s s: $remedy"
        sleep 1
    done
}

wanted_gpus() { # N: torch must be able to use them
    (($1 > 0)) || return 0
    local lacks
    lacks=$(python3 - <<'PYTHON'
import torch

if torch.version.cuda is None:
    print("torch in this image is built for CPUs: build the image with TORCH_INDEX, PyTorch's index for your CUDA")
elif not torch.cuda.is_available():
    print("this container sees none: the host needs NVIDIA's driver and toolkit, compose the file compose.gpu.yaml")
PYTHON
    )
    [[ -z "$lacks" ]] || die "$1 GPUs are wanted, and $lacks"
}

same_token() { # as the head's: Ray would say of another one that nothing answers
    python3 - "$head_address" <<'PYTHON' || exit 2
import sys

from seisweep.engine.access import check_token

try:
    check_token(sys.argv[1])
except ValueError as error:
    sys.exit(f"seisweep: {error}")
PYTHON
}

bucket() { # MLflow writes into one that exists
    python3 - "$1" <<'PYTHON' || exit 2
import sys

import boto3
from botocore.exceptions import BotoCoreError, ClientError

try:
    boto3.client("s3").create_bucket(Bucket=sys.argv[1])
except ClientError as error:
    if error.response["Error"]["Code"] not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
        sys.exit(f"seisweep mlflow: the S3 server refuses the bucket {sys.argv[1]}: {error}; are its keys ours?")
except BotoCoreError as error:
    sys.exit(f"seisweep mlflow: the S3 server does not answer: {error}")
PYTHON
}

head_is_there() { # and lets us in
    wait_for "${head_address%:*}" "${head_address##*:}" "the head of the Ray cluster"
    same_token
}

answers() { # PORT PATH: with 200
    local line=
    exec 3<>"/dev/tcp/127.0.0.1/$1"
    printf 'GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n' "$2" >&3
    read -r -t 5 line <&3
    [[ "$line" == *" 200"* ]]
}

runs_ray() {
    local name
    for name in /proc/[0-9]*/comm; do
        [[ "$(cat "$name" 2>/dev/null)" == raylet ]] && return 0
    done
    echo "no raylet runs here" >&2
    return 1
}

examined() { # by `seisweep doctor`, which takes ten seconds of a processor: not at every look
    [[ -n "$(find "$scratch/examined" -mmin -10 2>/dev/null)" ]] && return 0
    seisweep doctor --profile local && touch "$scratch/examined"
}

healthy() { # ROLE
    case "$1" in
    head) answers "$jobs_port" /api/gcs_healthz ;;
    mlflow) answers 5000 /health ;;
    node) runs_ray ;;
    worker) runs_ray && examined ;;
    *) ;; # a sweep is well as long as it runs
    esac
}

mkdir -p "$scratch"
if [[ "$role" == healthy ]]; then
    healthy "${2:-$(cat "$scratch/role" 2>/dev/null || true)}"
    exit
fi
echo "$role" >"$scratch/role"

case "$role" in
head)
    ray_token
    free_port "${head_address##*:}" "the head of the Ray cluster"
    free_port "$jobs_port" "its job server"
    room_in "$home"
    exec ray start "${every_node[@]}" --head --block --port="${head_address##*:}" \
        --num-cpus="${HEAD_CPUS:-0}" --num-gpus=0 \
        --include-dashboard=true --dashboard-host=0.0.0.0 --dashboard-port="$jobs_port"
    ;;
worker)
    ray_token
    wanted_gpus "${WORKER_GPUS:-0}"
    room_in "$home"
    head_is_there
    exec ray start "${every_node[@]}" --address="$head_address" --block \
        --num-cpus="${WORKER_CPUS:-$(nproc)}" --num-gpus="${WORKER_GPUS:-0}"
    ;;
mlflow)
    secret POSTGRES_PASSWORD POSTGRES_PASSWORD
    secret MLFLOW_TRACKING_PASSWORD MLFLOW_PASSWORD
    secret MLFLOW_FLASK_SERVER_SECRET_KEY MLFLOW_COOKIE_KEY
    secret AWS_ACCESS_KEY_ID S3_ACCESS_KEY
    secret AWS_SECRET_ACCESS_KEY S3_SECRET_KEY
    free_port 5000 MLflow
    database="${POSTGRES_HOST:-postgres}"
    wait_for "$database" 5432 PostgreSQL
    endpoint="${AWS_ENDPOINT_URL:-}"
    endpoint="${endpoint#*://}"
    [[ -z "$endpoint" ]] || wait_for "${endpoint%:*}" "${endpoint##*:}" "the S3 server"
    bucket "${S3_BUCKET:-seisweep}"
    # The password goes by PGPASSWORD, so that it stands in no address, file or list of processes.
    uri="postgresql+psycopg://${POSTGRES_USER:-seisweep}@$database:5432/${POSTGRES_DB:-seisweep}"
    printf '%s\n' '[mlflow]' 'default_permission = READ' "database_uri = $uri" 'auth_cache_ttl_seconds = 600' \
        >"$scratch/auth.ini"
    export PGPASSWORD="$POSTGRES_PASSWORD" MLFLOW_AUTH_CONFIG_PATH="$scratch/auth.ini"
    export MLFLOW_AUTH_ADMIN_USERNAME="${MLFLOW_TRACKING_USERNAME:-seisweep}"
    export MLFLOW_AUTH_ADMIN_PASSWORD="$MLFLOW_TRACKING_PASSWORD" MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false
    hosts="${MLFLOW_HOSTS:-mlflow,mlflow:5000,localhost,localhost:*,127.0.0.1,127.0.0.1:*}"
    # One process: what it keeps of passwords for 600 s is forgotten at once where one is changed.
    exec mlflow server --app-name basic-auth --host 0.0.0.0 --port 5000 --workers 1 \
        --backend-store-uri "$uri" --artifacts-destination "s3://${S3_BUCKET:-seisweep}/mlflow" \
        --allowed-hosts "$hosts" --cors-allowed-origins "http://${hosts//,/,http://},https://${hosts//,/,https://}"
    ;;
sweep)
    shift
    secret MLFLOW_TRACKING_PASSWORD MLFLOW_PASSWORD
    case "${1:-}" in
    run | train | resume | confirm | demo | doctor) # the others read, and need no Ray
        ray_token
        room_in "$home"
        head_is_there
        ray start "${every_node[@]}" --address="$head_address" --num-cpus=0 --num-gpus=0 >"$scratch/ray.log" 2>&1 || {
            printf 'seisweep sweep: this container cannot become a node of %s; Ray says:\n' "$head_address" >&2
            cat "$scratch/ray.log" >&2
            exit 1
        }
        ;;
    esac
    exec seisweep "$@"
    ;;
"") die "say what this container is: head, worker, mlflow, sweep COMMAND..." ;;
*) exec "$@" ;;
esac
