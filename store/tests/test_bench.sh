#!/bin/bash
# store-bench against what scripts for LevelDB's db_bench expect of it: names, flags, the form of the lines, how many
# operations a benchmark does, and that nothing unknown is passed over.
set -u
cd "$(dirname "$0")/../.." || exit 1
bench=$PWD/${BUILD:-build}/store-bench
[ -x "$bench" ] || { echo "$bench is not built (make bench)"; exit 77; }
work=$(mktemp -d "${TMPDIR:-/tmp}/skeinfs-bench.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM HUP
failures=0

bad() {
    echo "not ok: $*"
    failures=1
}

# run FLAG...: into $work/out and $work/err
run() { timeout 100 "$bench" --db="$work/db" "$@" >"$work/out" 2>"$work/err"; }

# has PATTERN WHAT
has() { grep -Eq -- "$1" "$work/out" || { bad "$2: no line like '$1' in"; cat "$work/out" "$work/err"; }; }

# ---- every name, and the form of its line

names="fillseq fillbatch fillrandom overwrite fillsync fill100K fillseq readseq readreverse readrandom readmissing readhot
       readrandomsmall seekrandom seekordered readwhilewriting open compact deleteseq deleterandom"
run --num=2000 --benchmarks="$(echo $names | tr ' ' ,)" || bad "exit $? with all benchmarks: $(cat "$work/err")"
for name in $names; do
    has "^$(printf '%-12s' "$name") : +[0-9]+\.[0-9]{3} micros/op;" "$name"
done
[ "$(grep -c 'micros/op' "$work/out")" = "$(echo $names | wc -w)" ] || bad "a line for each benchmark, no more"
has '^Keys: +16 bytes each$' header
has '^Values: +100 bytes each \(50 bytes after compression\)$' header
has '^Entries: +2000$' header
has '^RawSize: +0\.2 MB \(estimated\)$' header
has '^FileSize: +0\.1 MB \(estimated\)$' header
has '^fillseq .* [0-9.]+ MB/s$' 'bytes written'
has '^fillsync .*\(2 ops\)$' 'a thousandth of the operations'
has '^fill100K .*\(2 ops\)$' 'a thousandth of the operations'
has '^readrandom .*\(2000 of 2000 found\)$' 'what was found'
has '^seekordered .*\(2000 of 2000 found\)$' 'what was found'
grep -q '^readmissing.*MB/s' "$work/out" && bad "readmissing found something"

# ---- flags

run --num=1000 --key_prefix=4 --value_size=50 --threads=2 --reads=10 --benchmarks=fillseq,readrandom,readmissing \
    --bloom_bits=10 --cache_size=1000000 --write_buffer_size=100000 --max_file_size=100000 --block_size=1024 \
    --open_files=100 --compression=0 --compression_ratio=0.3 || bad "exit $? with flags: $(cat "$work/err")"
has '^Keys: +20 bytes each$' key_prefix
has '^readrandom .*\(10 of 10 found\)$' reads

run --num=1000 --use_existing_db=1 --benchmarks=fillseq,readrandom --key_prefix=4 --value_size=50 || bad "exit $?"
has '^fillseq +: skipped \(--use_existing_db is true\)$' use_existing_db
has '^readrandom .*\(1000 of 1000 found\)$' use_existing_db

run --num=1000 --histogram=1 --benchmarks=fillseq,stats,sstables || bad "exit $?"
has '^Count: 1000  Average: [0-9.]+  StdDev: [0-9.]+$' histogram
has '^Min: [0-9.]+  Median: [0-9.]+  Max: [0-9.]+$' histogram
has '^P50: [0-9.]+  P99: [0-9.]+  P99.9: [0-9.]+  Max: [0-9.]+$' percentiles
[ "$(awk '/^\[/ { n += $5 } END { print n }' "$work/out")" = 1000 ] || bad "the histogram's lines do not add up to 1000"

run --num=10 --reuse_logs=1 --comparisons=1 --benchmarks=fillseq || bad "exit $?"
grep -q 'reuse_logs.*no effect' "$work/err" || bad "--reuse_logs without effect, in silence"
grep -q 'comparisons.*no effect' "$work/err" || bad "--comparisons without effect, in silence"

# ---- what it does not know

# refused WORD FLAG...: one line, with that word, and nothing was run
refused() {
    local word=$1
    shift
    run "$@" && bad "exit 0 with $*"
    [ "$(wc -l <"$work/err")" = 1 ] && grep -q -- "$word" "$work/err" || bad "$*: $(cat "$work/err")"
    [ -s "$work/out" ] && bad "$*: something was run"
}
refused "'nosuch'" --num=10 --benchmarks=fillseq,nosuch
refused nosuch --nosuch=1
refused num --num=many
refused num --num=0
refused threads --threads=0
refused num --num
refused fillseq fillseq

[ $failures = 0 ] && echo "100%: store-bench does as db_bench does"
exit $failures
