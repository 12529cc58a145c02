#!/bin/bash
# git as people use it: init, add, commit, clone, gc, fsck, status.
. "$(dirname "$0")/lib.sh"
start
export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=a \
    GIT_COMMITTER_EMAIL=a@example.org

mkdir one
cp -r "$root/store" "$root/fs" one/
check "git init" git -C one init -q
check "git add" git -C one add .
check "git commit" git -C one commit -q -m first
for i in 1 2 3 4 5; do
    echo "$i" >>one/store/README.md
    git -C one commit -q -a -m "change $i"
done
check "git clone" git clone -q one two
head=$(git -C one rev-parse HEAD)

look() {
    check "git fsck$1" git -C one fsck --full --strict
    check "git status is clean$1" sh -c '[ -z "$(git -C one status --porcelain)" ]'
    check "the clone has the same head$1" [ "$(git -C two rev-parse HEAD)" = "$head" ]
    check "the clone is whole$1" git -C two fsck --full --strict
}
each_way look
check "git gc" git -C one gc -q --prune=now
each_way look
check "git worktree" git -C one worktree add -q ../three HEAD~1
check "rm -r of a clone" rm -r two
done_testing
