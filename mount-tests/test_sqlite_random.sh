#!/bin/bash
# SQLite with a random workload (transfers between accounts, rollbacks, savepoints, indexes made and dropped, vacuum), in every journal mode,
# killed with the daemon in the middle: the database is whole, the books balance, every commit that was told is there.
. "$(dirname "$0")/lib.sh"
seed=${SEED:-$RANDOM}
seconds=${SECONDS_EACH:-1.5}
say "SEED=$seed"
start
accounts=200

# Transactions without end: each one writes its number down and says it when it is committed.
workload() { # SEED
    awk -v seed="$1" -v accounts=$accounts 'BEGIN {
        srand(seed)
        for (i = 1; i <= 200000; i++) {
            r = int(rand() * 100); from = int(rand() * accounts); to = int(rand() * accounts); amount = int(rand() * 1000)
            move = "update accounts set balance = balance - " amount " where id = " from ";" \
                   "update accounts set balance = balance + " amount " where id = " to ";"
            if (r < 3) { print "begin; " move " delete from log; rollback;"; }
            if (r == 3) print "drop index if exists by_note; create index by_note on log(note);"
            if (r == 4 && i % 5 == 0) print "vacuum;"
            if (r > 90) print "begin; " move " savepoint s; update accounts set balance = 0; rollback to s; " \
                "insert into log values(" i ", hex(randomblob(" int(rand() * 20000) "))); commit;"
            else print "begin; " move " insert into log values(" i ", hex(randomblob(" int(rand() * 300) "))); commit;"
            print "select \047told " i "\047;"
        }
    }'
}
whole() { # DATABASE TOLD
    [ "$(sqlite3 "$1" 'pragma integrity_check')" = ok ] || { echo "integrity_check fails"; return 1; }
    [ "$(sqlite3 "$1" 'select sum(balance) from accounts')" = $((accounts * 1000)) ] || { echo "the books do not balance"; return 1; }
    sqlite3 "$1" 'select id from log' | sort >"$work/there"
    sort "$2" | comm -23 - "$work/there" >"$work/missing"
    [ -s "$2" ] || { echo "nothing was told"; return 1; }
    [ -s "$work/missing" ] && { echo "told, but not there:"; cat "$work/missing"; return 1; }
    return 0
}

for mode in "delete" "truncate" "persist" "wal" "wal; pragma mmap_size=67108864" "delete; pragma mmap_size=67108864"; do
    name=${mode%%;*}${mode#"${mode%%;*}"}
    name=${name//[^a-z]/}
    db=$mp/$name.db
    sqlite3 "$db" "pragma journal_mode=$mode; create table accounts(id integer primary key, balance);
        create table log(id integer primary key, note);
        with recursive n(i) as (select 0 union all select i+1 from n where i < $accounts - 1) insert into accounts select i, 1000 from n;" >/dev/null
    (
        workload "$seed" | timeout 60 stdbuf -oL sqlite3 -bail -cmd "pragma journal_mode=$mode" -cmd "pragma synchronous=full" \
            -cmd "pragma wal_autocheckpoint=50" -cmd "pragma cache_size=20" "$db" 2>/dev/null |
            sed -un 's/^told //p' >"$work/told.$name"
    ) 2>/dev/null &
    user=$!
    sleep "$seconds"
    if [ -n "$native" ]; then
        kill -9 $(pgrep -f -- "$db") 2>/dev/null
        wait "$user"
    else
        crash "$user"
    fi
    check "$mode: whole after a kill in the middle" whole "$db" "$work/told.$name"
    say "$(wc -l <"$work/told.$name") commits told"
done
look() {
    for db in "$mp"/*.db; do
        name=$(basename "$db" .db)
        check "$name: whole$1" whole "$db" "$work/told.$name"
    done
}
each_way look
done_testing
