/* random_ops DIR SEED OPERATIONS [kill]: operations at random in the empty folder DIR, each
 * compared with an oracle in memory.
 *
 * Now and then it says "remount" or "crash" on stdout, waits for a line (whoever reads has
 * unmounted or killed, and mounted again) and compares everything: content, attributes, times. With
 * "kill" it says "ready", is killed under an operation, says "lost", waits for the new mount, and
 * finds the oracle's state, with or without the operation that got no answer; an answer "stop" ends
 * the run. The exit code is 1, and stderr says what and where, when something differs. */
#include "look.h"
#include "op.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

static struct oracle oracle;
static struct mount mount;

static void close_slots(void)
{
    for (int i = 0; i < SLOTS; i++) {
        if (mount.slot[i] >= 0)
            close(mount.slot[i]);
        mount.slot[i] = -1;
        oracle.slot[i] = NULL;
    }
}

static int is_read(const struct op *op)
{
    return op->kind == OP_READ || op->kind == OP_SLOT_READ;
}

/* Returns: whether to go on. */
static int ask_for(const char *what)
{
    char answer[16] = "";
    close_slots();
    printf("%s\n", what);
    fflush(stdout);
    return fgets(answer, sizeof answer, stdin) && strncmp(answer, "go", 2) == 0;
}

static void fail(const char *what, const struct op *op, long number)
{
    fprintf(stderr, "random_ops: %s: operation %ld: ", what, number);
    op_to_text(stderr, op);
    fputc('\n', stderr);
    exit(1);
}

static void compare(enum look how, const char *when, const struct op *op, long number)
{
    if (look(mount.dir, oracle.root, how, stderr))
        fail(when, op, number);
}

/* What the kernel does not answer from its caches. */
static int does_not_answer(void)
{
    struct statvfs v;
    return statvfs(mount.dir, &v) != 0;
}

/* EIO may be the page cache's word for a daemon that is gone, ECANCELED is that of FUSE over
 * io_uring. */
static int is_gone(long rc)
{
    return rc == -ENOTCONN || rc == -ECONNABORTED ||
           ((rc == -EIO || rc == -ECANCELED) && does_not_answer());
}

/* The kernel sends a write in parts, where it begins or ends within pages that it does not have. If
 * the daemon goes between them the caller is told of the first ones: they are done, the rest is
 * what got no answer. */
static int is_cut_short(const struct op *op, long rc)
{
    return (op->kind == OP_WRITE || op->kind == OP_APPEND || op->kind == OP_SLOT_WRITE) && rc > 0 &&
           (size_t)rc < op->len && does_not_answer();
}

static void take_first_part(struct op *op, long rc)
{
    struct op part = *op;
    part.len = (size_t)rc;
    op_on_oracle(&oracle, &part);
    op->skip = (size_t)rc;
}

/* The kernel may have sent a write in parts that meet at a page, and the daemon have done the first
 * ones and gone before it answered. */
static int first_parts_are_there(struct op *op)
{
    enum { PAGE = 4096 };
    int found = 0;
    if (op->kind != OP_WRITE && op->kind != OP_SLOT_WRITE)
        return 0;
    FILE *nowhere = fopen("/dev/null", "w");
    if (nowhere == NULL)
        return 0;
    size_t end = (op->off + op->skip) / PAGE * PAGE + PAGE;
    for (; !found && end < op->off + op->len; end += PAGE) {
        take_first_part(op, (long)(end - op->off));
        found = look(mount.dir, oracle.root, LOOK, nowhere) == 0;
    }
    fclose(nowhere);
    return found;
}

/* The daemon went under this operation: it is done, or it is not. */
static void compare_lost(struct op *op, long number)
{
    char *without;
    size_t size;
    FILE *out = open_memstream(&without, &size);
    int differences = look(mount.dir, oracle.root, LOOK, out);
    fclose(out);
    if (differences && !first_parts_are_there(op)) {
        op_on_oracle(&oracle, op);
        if (look(mount.dir, oracle.root, LOOK, stderr)) {
            fprintf(stderr, "that was with the operation; without it:\n%s", without);
            fail("after kill -9 neither with nor without it", op, number);
        }
    }
    free(without);
}

/* Returns: whether to go on. */
static int after_kill(struct op *op, long number)
{
    struct node *open = oracle.slot[op->slot];
    int more = ask_for("lost");
    oracle.slot[op->slot] = open;
    compare_lost(op, number);
    oracle.slot[op->slot] = NULL;
    return more && ask_for("ready");
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    mount.dir = argv[1];
    uint64_t random = strtoull(argv[2], NULL, 0);
    long operations = atol(argv[3]), lost = 0;
    int kill = argc > 4;
    struct op op = {0};
    umask(0);
    oracle.root = node_new(S_IFDIR, 0755);
    memset(mount.slot, 0xff, sizeof mount.slot);
    if (kill && !ask_for("ready"))
        return 2;
    for (long i = 0; i < operations; i++) {
        op = op_random(&oracle, &random);
        struct outcome got = op_on_mount(&mount, &op);
        int cut_short = kill && is_cut_short(&op, got.rc);
        if (cut_short)
            take_first_part(&op, got.rc);
        if (cut_short || (kill && is_gone(got.rc))) {
            lost++;
            if (!after_kill(&op, i))
                break;
            continue;
        }
        if (op.kind == OP_FALLOCATE && got.rc == -EOPNOTSUPP)
            continue;
        struct outcome expected = op_on_oracle(&oracle, &op);
        if (got.rc != expected.rc || got.sum != expected.sum) {
            if (kill && is_read(&op) && does_not_answer()) { /* a part came from the page cache */
                lost++;
                if (!after_kill(&op, i))
                    break;
                continue;
            }
            fprintf(stderr, "got %ld (%s), sum %lx; expected %ld (%s), sum %lx\n", got.rc,
                    got.rc < 0 ? strerror((int)-got.rc) : "", (long)got.sum, expected.rc,
                    expected.rc < 0 ? strerror((int)-expected.rc) : "", (long)expected.sum);
            fail("another result", &op, i);
        }
        if (!kill && next_random(&random) % 400 == 0) {
            compare(LOOK_RECORD, "before", &op, i);
            if (!ask_for(next_random(&random) % 2 ? "remount" : "crash"))
                return 2;
            compare(LOOK_COMPARE, "after mounting again", &op, i);
        }
    }
    if (!kill)
        compare(LOOK, "at the end", &op, operations);
    fprintf(stderr, "%ld kills\n", lost);
    return 0;
}
