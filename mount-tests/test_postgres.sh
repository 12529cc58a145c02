#!/bin/bash
# PostgreSQL with fsync on: initdb, pgbench with 8 clients, then kill -9 of the server and of the daemon: it starts again, and
# the books balance.
. "$(dirname "$0")/lib.sh"
pg=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -1)
[ -x "$pg/pgbench" ] || { echo "skipped: no PostgreSQL server and pgbench here"; exit 77; }
[ "$(id -u)" = 0 ] || { echo "skipped: needs root, to run the server as another user"; exit 77; }
start memtable=4m
chmod 755 "$work"
mkdir "$mp/pg" "$work/run"
chown nobody "$mp/pg" "$work/run"
as_nobody() { timeout 300 setpriv --reuid=65534 --regid=65534 --clear-groups env HOME="$work/run" "$@"; }
server() { as_nobody "$pg/pg_ctl" -D "$mp/pg" -l "$work/run/log" -w -o "-k $work/run -c listen_addresses=" "$@"; }
query() { as_nobody "$pg/psql" -h "$work/run" -U pg -At -c "$1" postgres; }

cd "$work" || exit 1
check "initdb" as_nobody "$pg/initdb" -D "$mp/pg" -U pg
check "the server starts" server start
check "pgbench fills its tables" as_nobody "$pg/pgbench" -q -h "$work/run" -U pg -i -s 2 postgres
check "pgbench runs with 8 clients" as_nobody "$pg/pgbench" -h "$work/run" -U pg -c 8 -T 5 postgres

as_nobody "$pg/pgbench" -n -h "$work/run" -U pg -c 8 -T 60 postgres >/dev/null 2>&1 &
load=$!
sleep 3
kill -9 "$(head -1 "$mp/pg/postmaster.pid")"
[ -z "$native" ] && crash
wait "$load" 2>/dev/null
cd "$work" || exit 1
for _ in $(seq 100); do # the dead server's children end when they see that it is gone
    server start >/dev/null 2>&1 && break
    sleep 0.2
done
check "the server starts again after kill -9 of both" query "select 1"
check "the books balance" [ "$(query 'select (select sum(abalance) from pgbench_accounts) = (select sum(delta) from pgbench_history)')" = t ]
check "the accounts are all there" [ "$(query 'select count(*) from pgbench_accounts')" = 200000 ]
server -m fast stop >/dev/null 2>&1
check "a clean stop" [ ! -e "$mp/pg/postmaster.pid" ]
done_testing
