# jobs.sh DIR BIN WORK: times whole jobs of real programs in DIR, a line each: "job processes microseconds". What is not installed is
# left out. WORK: a folder outside, kept between calls; the jobs' input is made there once, from this source tree. NO_DATA=1: DIR keeps
# no data (the null filesystem), so only the jobs that read nothing back.
set -u
dir=$1/jobs bin=$2 work=$3
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
mkdir -p "$dir" && cd "$dir" || exit 1
has() { command -v "$1" >/dev/null; }
timed() { # JOB PROCESSES COMMAND...
    local job=$1 processes=$2 begin
    shift 2
    begin=$(date +%s%N)
    "$@" >"$work/job.out" 2>&1 || { echo "bench: $job failed in $dir:" >&2; tail -3 "$work/job.out" >&2; return; }
    echo "$job $processes $((($(date +%s%N) - begin) / 1000))"
}

if [ ! -f "$work/tree.tar" ]; then
    mkdir "$work/tree"
    for copy in 1 2 3 4 5 6 7 8; do git -C "$root" archive --prefix="$copy/" HEAD | tar -x -C "$work/tree"; done
    tar -C "$work/tree" -cf "$work/tree.tar" .
    git init -q "$work/repo" && cp -r "$work/tree/1/." "$work/repo" && git -C "$work/repo" add -A &&
        git -C "$work/repo" -c user.name=bench -c user.email=bench@example.org commit -qm bench
    for i in $(seq 500); do echo "INSERT INTO t(v) VALUES('$i');"; done >"$work/inserts.sql"
fi

mkdir tree
timed untar 1 tar -C tree -xf "$work/tree.tar"
timed rm-tree 1 rm -r tree
mails() { "$bin/mount-tests/bench/maildir" . 16 100; }
mkdir mail && cd mail && timed maildir-100 16 mails
cd "$dir" && rm -r mail
[ -z "${NO_DATA:-}" ] || { cd .. && rm -rf jobs; exit 0; }

# fsyncs of a small file while another program writes large ones as fast as it can: their median and 99th percentile, and a MiB of its
if read -r p50 p99 mib < <("$bin/mount-tests/bench/beside_stream" . 5 100000); then
    printf '%s 1 %s\n' beside-stream-p50 "$p50" beside-stream-p99 "$p99" stream-1m "$mib"
fi

if has fs_mark; then # 8 threads, 200 files of 4 KiB each, with fsync before close
    timed fs_mark-200 8 fs_mark -d marks -t 8 -n 200 -s 4096 -S 1 -k
    rm -rf marks fs_log.txt
fi

clone_and_look() { git clone -q "$work/repo" clone && git -C clone status --short; }
timed git-clone+status 1 clone_and_look
compile() { make -C clone -s BUILD=build CC=gcc OPT=-O0 build/store-bench; }
timed compile 1 compile
rm -rf clone
if has sqlite3; then
    for journal in DELETE WAL; do
        sqlite3 db "PRAGMA journal_mode=$journal; PRAGMA synchronous=FULL; CREATE TABLE t(v);" >/dev/null
        inserts() { { echo "PRAGMA synchronous=FULL;"; cat "$work/inserts.sql"; } | sqlite3 db; }
        timed "sqlite-500-$journal" 1 inserts
        rm -f db db-*
    done
fi

# PostgreSQL: eight clients, one transaction after the other, each committed with fsync.
pg=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -1)
if [ -n "$pg" ] && id postgres >/dev/null 2>&1; then
    as() { setpriv --reuid postgres --regid postgres --clear-groups env PATH="$pg:/usr/bin:/bin" HOME=/tmp "$@"; }
    chmod 755 "$work" "$1"
    install -d -o postgres -m 700 pg
    if (cd pg && as initdb -D data -A trust >/dev/null 2>&1) &&
        (cd pg && as pg_ctl -D data -w -s -o "-k $dir/pg -h ''" -l log start >/dev/null 2>&1); then
        (cd pg && as pgbench -h "$dir/pg" -i -q postgres >/dev/null 2>&1)
        transactions() { cd pg && as pgbench -h "$dir/pg" -c 8 -t 200 -n postgres; }
        timed pgbench-200 8 transactions
        (cd "$dir/pg" && as pg_ctl -D data -m fast -w -s stop)
    fi
    cd "$dir" && rm -rf pg
fi
if has fio; then
    # 128 MiB each; fio drops what the kernel has of the file before
    for kind in write-1m read-1m write-4k read-4k randwrite-4k randread-4k; do
        out=$(fio --name=b --filename=fio --rw=${kind%-*} --bs=${kind#*-} --size=128m --end_fsync=1 --minimal 2>/dev/null) &&
            echo "$out" | awk -F';' -v k="fio-$kind" '{ms = $9 + $50; printf "%s 1 %d\n", k, ms * 1000}'
    done
    rm -f fio
fi
cd .. && rm -rf jobs
