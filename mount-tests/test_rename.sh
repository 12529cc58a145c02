#!/bin/bash
# Ten levels of directories with content, renamed again and again; rename over what is open, and over what is there.
. "$(dirname "$0")/lib.sh"
start
path=top
mkdir top
for i in 1 2 3 4 5 6 7 8 9 10; do
    path=$path/level$i
    mkdir "$path"
    echo "content $i" >"$path/file"
    ln "$path/file" "$path/link"
done
for i in 1 2 3 4 5 6 7 8 9 10; do
    mkdir "parent$i"
    check "rename $i of the tree" mv top "parent$i/top"
    check "rename $i back under another name" mv "parent$i/top" "moved$i"
    mv "moved$i" top
done
look() {
    local p=top i
    for i in 1 2 3 4 5 6 7 8 9 10; do
        p=$p/level$i
        [ "$(cat "$p/file")" = "content $i" ] && [ "$(stat -c %h "$p/link")" = 2 ] || break
    done
    check "all ten levels are there$1" [ "$i" = 10 ]
    check "the link count of a directory is right$1" [ "$(stat -c %h top)" = 3 ]
    check ".. leads up$1" [ "$(ls -di top/level1/..)" = "$(ls -di top/level1/..)" ]
}
each_way look
check "a directory does not go into itself" sh -c '! mv -T top top/level1/level2/top 2>/dev/null'

echo old >open
exec 3<open
echo new >fresh
check "rename over an open file" mv fresh open
check "the open one still reads the old" [ "$(cat <&3)" = old ]
exec 3<&-
check "the name reads the new" [ "$(cat open)" = new ]
mkdir empty full
touch full/x
check "a directory replaces an empty one" mv -T full empty
mkdir full
check "and no full one" sh -c '! mv -T full empty 2>/dev/null'
for i in $(seq 200); do
    echo "$i" >tmp
    mv tmp target
    [ "$(cat target)" = "$i" ] || break
done
check "write, rename, 200 times" [ "$i" = 200 ]
crash
check "the last of them is there after kill -9" [ "$(cat target)" = 200 ]
done_testing
