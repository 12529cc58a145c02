#!/bin/bash
# SQLite with both journals: commits, integrity, and commits that are there after kill -9 of the daemon in the middle.
. "$(dirname "$0")/lib.sh"
start

fill() { # DATABASE FROM TO
    for i in $(seq "$2" "$3"); do echo "insert into t values($i, hex(randomblob(200)));"; done | sqlite3 "$1"
}
for mode in delete wal; do
    sqlite3 $mode.db "pragma journal_mode=$mode; create table t(id integer primary key, v text);" >/dev/null
    check "$mode: one transaction each" fill $mode.db 1 300
    sqlite3 $mode.db "begin; with recursive n(i) as (select 1000 union all select i+1 from n where i < 20000)
        insert into t select i, hex(randomblob(100)) from n; commit; delete from t where id % 7 = 0 and id > 1000; vacuum;"
done
look() {
    for mode in delete wal; do
        check "$mode: integrity$1" [ "$(sqlite3 $mode.db 'pragma integrity_check')" = ok ]
        check "$mode: rows$1" [ "$(sqlite3 $mode.db 'select count(*) from t where id <= 300')" = 300 ]
    done
}
each_way look

# A writer that says each commit outside of the mount, killed with the daemon.
for mode in delete wal; do
    [ -n "$native" ] && break
    (
        for i in $(seq 100001 100400); do
            sqlite3 "$mp/$mode.db" "insert into t values($i, 'x')" 2>/dev/null && echo "$i" >>"$work/told.$mode"
        done
    ) &
    writer=$!
    while [ "$(wc -l 2>/dev/null <"$work/told.$mode" || echo 0)" -lt 40 ]; do sleep 0.05; done
    cd "$work" && daemon_kill
    kill "$writer" 2>/dev/null
    wait "$writer" 2>/dev/null
    umount "$mp" 2>/dev/null || fusermount3 -u "$mp" || umount -l "$mp"
    mount_again
    cd "$mp" || exit 1
    check "$mode: integrity after a kill in the middle" [ "$(sqlite3 $mode.db 'pragma integrity_check')" = ok ]
    sqlite3 $mode.db "select id from t where id > 100000" >"$work/there"
    check "$mode: every commit that was told is there" sh -c '! grep -vxFf "$1" "$2"' - "$work/there" "$work/told.$mode"
done
done_testing
