#!/bin/bash
# File handles, as an NFS server uses them: they hold while the kernel has forgotten the file, through renames, umount and kill -9.
. "$(dirname "$0")/lib.sh"
start allow_other
. "$root/mount-tests/posix/posix.sh"
if ! [ -w /proc/sys/vm/drop_caches ]; then
    echo "skipped: the kernel cannot be told to drop its caches"
    exit 77
fi
posix handles

program=$bin/mount-tests/posix/handles
forget() { echo 2 >/proc/sys/vm/drop_caches; }
mkdir dir dir/inner dir/inner/deep
for i in $(seq 30); do printf '%s' "file$i" >"file$i"; done
for d in dir inner deep; do printf '%s' "$d" >"$(find . -type d -name "$d")/$d"; done
ln file1 second
cd dir/inner && check "handles of directories are kept" "$program" keep "$work/deep" deep
cd "$mp" && check "handles of files are kept" "$program" keep "$work/kept" dir file*
check "handles of two more" "$program" keep "$work/gone" file7 file8
rm file7
mv file9 file8
"$program" keep "$work/kept" dir file[1-6] file1? file2?
still() {
    check "they open$1" "$program" open "$work/kept"
    check "the deep directory opens$1" "$program" open "$work/deep"
    check "what is gone is ESTALE$1" "$program" gone "$work/gone"
    forget
    check "they open, forgotten by the kernel$1" "$program" open "$work/kept"
}
each_way still
mkdir away
mv file* dir away
check "they open after all has moved" "$program" open "$work/kept"
each_way still

# Another filesystem on the same folder has files of the same numbers.
if [ -z "$native" ]; then
    cd "$work" || exit 1
    "$skeinfs" umount "$mp"
    first=$store
    store=$work/other
    mount_again
    cd "$mp" || exit 1
    mkdir dir
    for i in $(seq 40); do printf '%s' "other$i" >"other$i"; done
    check "handles are not those of another filesystem in the same place" "$program" gone "$work/kept"
    cd "$work" || exit 1
    "$skeinfs" umount "$mp"
    store=$first
    mount_again
    cd "$mp" || exit 1
    check "and the first filesystem's are still its own" "$program" open "$work/kept"
fi
done_testing
