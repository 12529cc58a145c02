#!/bin/bash
# stress-ng's filesystem stressors with their own checks, one after the other, two of each at a time: about STRESS_SECONDS=40 in all.
. "$(dirname "$0")/lib.sh"
command -v stress-ng >/dev/null || { echo "skipped: no stress-ng here"; exit 77; }
stressors="access chdir chmod chown copy-file dentry dir dirdeep dirmany dup fallocate fcntl filename flock fpunch fsize fstat getdent hdd
    io iomix link locka lockf lockofd mknod open rename symlink sync-file touch utime xattr seek mmap msync readahead sendfile splice"
count=$(wc -w <<<"$stressors")
each=$(((${STRESS_SECONDS:-40} * 10 / count + 9) / 10))
start
cd "$work" || exit 1
mkdir "$mp/stress"

stress() {
    timeout $((each + 60)) stress-ng --temp-path "$mp/stress" --"$1" 2 --timeout "$each" --verify --metrics-brief --skip-silent \
        --hdd-bytes 16m --iomix-bytes 16m --fallocate-bytes 16m --copy-file-bytes 128m --seek-size 16m --readahead-bytes 16m --mmap-bytes 16m \
        --mmap-file --dirdeep-inodes 2000 --dentries 500 >"$work/said" 2>&1
    local rc=$?
    cat "$work/said"
    if [ "$rc" = 3 ] || [ "$rc" = 4 ]; then # no resources, or not for this system
        not_run="$not_run $1"
        return 0
    fi
    [ "$rc" = 0 ] && ! grep -qE ' (fail|error):' "$work/said"
}
not_run=
for stressor in $stressors; do
    # Without fallocate the stressor tries to do it itself, and takes a write that the limit cut short for a success.
    if [ "$stressor" = fsize ] && ! fallocate -l 1 "$mp/probe" 2>/dev/null; then
        not_run="$not_run fsize"
        continue
    fi
    check "$stressor" stress "$stressor"
done
rm -f "$mp/probe"
say "could not run here:${not_run:- none}"
check "not more than three could not run" [ "$(wc -w <<<"$not_run")" -le 3 ]
check "they left nothing behind" [ -z "$(ls -A "$mp/stress")" ]
look() { check "the mount lists and takes files$1" sh -c 'ls -lR "$1" && echo x >"$1/x" && rm "$1/x"' - "$mp"; }
each_way look
done_testing
