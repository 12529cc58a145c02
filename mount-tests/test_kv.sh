#!/bin/bash
# Other key-value stores with their databases on the mount: LMDB (also through a writable mapping), LevelDB, RocksDB. What they synced
# and reported is there after kill -9 of the daemon in the middle.
. "$(dirname "$0")/lib.sh"
for program in mdb_load mdb_dump mdb_stat ldb sst_dump; do
    command -v $program >/dev/null || { echo "skipped: no $program here (packages lmdb-utils, rocksdb-tools)"; exit 77; }
done
start
lmdb=$bin/mount-tests/lmdb_writes
leveldb=$bin/mount-tests/leveldb_writes

# killed NAME WRITER [FLAG]: writes, is killed with the daemon, looks, and writes on.
killed() {
    local name=$1 writer=$2 pid
    mkdir "$mp/$name"
    for round in 1 2; do
        timeout 30 "$writer" "$mp/$name" "$work/$name" ${3:-} 2>/dev/null &
        pid=$!
        sleep 1.$RANDOM
        if [ -n "$native" ]; then
            kill "$pid"
            wait "$pid"
        else
            crash "$pid"
        fi 2>/dev/null
        check "$name, kill $round: what was reported is there" "$writer" -v "$mp/$name" "$work/$name"
        say "$(tail -1 "$work/output")"
        [ $round = 2 ] || { rm -r "${mp:?}/$name" "$work/$name" && mkdir "$mp/$name"; }
    done
}
killed lmdb "$lmdb"
killed lmdb_writemap "$lmdb" writemap
killed leveldb "$leveldb"

# The tools: a dump goes in, and comes out the same.
mkdir lmdb_tools
(
    printf 'VERSION=3\nformat=print\ntype=btree\nmapsize=268435456\nHEADER=END\n'
    for i in $(seq -w 20000); do printf ' key %s\n value of %s %0*d\n' "$i" "$i" "$((10#$i % 100 + 1))" 0; done
    echo DATA=END
) >"$work/lmdb.dump"
check "mdb_load" mdb_load -f "$work/lmdb.dump" "$mp/lmdb_tools"
seq -w 20000 | awk '{printf "key%s ==> %s%0*d\n", $1, $1, $1 % 100 + 1, 0}' >"$work/rocks.dump"
check "ldb load" sh -c 'ldb --db="$1" --create_if_missing load --disable_wal <"$2"' - "$mp/rocks" "$work/rocks.dump"
check "ldb put" ldb --db="$mp/rocks" put last value
check "ldb delete" ldb --db="$mp/rocks" delete key00001
sed 1d "$work/rocks.dump" >"$work/rocks.left"
check "ldb compact" ldb --db="$mp/rocks" compact
look() {
    check "mdb_stat counts$1" sh -c 'mdb_stat "$1" | grep -q "Entries: 20000"' - lmdb_tools
    check "mdb_dump is what was loaded$1" sh -c 'mdb_dump -p "$1" | grep "^ " | sed "s/ $//" | diff -q - "$2"' - lmdb_tools \
        <(grep '^ ' "$work/lmdb.dump")
    check "RocksDB is consistent$1" ldb --db=rocks checkconsistency
    check "ldb scan is what was loaded$1" sh -c 'ldb --db=rocks scan | sed "/^last/d; s/ : / ==> /" | cmp - "$1"' - "$work/rocks.left"
    check "sst_dump verifies every table$1" sh -c 'sst_dump --file=rocks --command=verify 2>&1 | tee "$1" | grep -c "The file is ok" && ! grep -qi corrupt "$1"' - "$work/sst"
    check "LMDB: what was reported is there$1" "$lmdb" -v lmdb "$work/lmdb"
    check "LevelDB: what was reported is there$1" "$leveldb" -v leveldb "$work/leveldb"
}
each_way look
done_testing
