/* lmdb_writes DIR REPORT [writemap]: commits one LMDB transaction after the other, each synced, and
 * reports its number in the file REPORT (outside of the mount) only then; ends quietly when the
 * mount goes away. With writemap LMDB writes through a shared mapping and msync. lmdb_writes -v DIR
 * REPORT: all that was reported is there, and the tree is consistent. */
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static size_t make_value(char *out, int number)
{
    size_t size = 10 + (size_t)number * 7919 % (number % 50 == 0 ? 20000 : 500);
    for (size_t i = 0; i < size; i++)
        out[i] = (char)('a' + ((size_t)number + i) % 26);
    return size;
}

static MDB_env *open_env(const char *dir, unsigned flags)
{
    MDB_env *env;
    int rc = mdb_env_create(&env);
    if (rc == 0)
        rc = mdb_env_set_mapsize(env, 256 << 20);
    if (rc == 0)
        rc = mdb_env_open(env, dir, flags, 0644);
    if (rc)
        fprintf(stderr, "lmdb_writes: %s: %s\n", dir, mdb_strerror(rc));
    return rc ? NULL : env;
}

static int put(MDB_txn *txn, MDB_dbi dbi, int number)
{
    char key[32], value[20600];
    MDB_val k = {(size_t)snprintf(key, sizeof key, "%08d", number * 7919 % 1000000), key};
    MDB_val v = {make_value(value, number), value};
    return mdb_put(txn, dbi, &k, &v, 0);
}

static int write_all(MDB_env *env, int report)
{
    char line[32];
    for (int i = 1; i < 120000; i++) {
        MDB_txn *txn;
        MDB_dbi dbi;
        if (mdb_txn_begin(env, NULL, 0, &txn) || mdb_dbi_open(txn, NULL, 0, &dbi) ||
            put(txn, dbi, i) || mdb_txn_commit(txn))
            break;
        int n = snprintf(line, sizeof line, "%d\n", i);
        if (write(report, line, (size_t)n) != n)
            break;
    }
    return 0;
}

static int verify(MDB_env *env, FILE *report)
{
    char key[32], value[20600];
    int number, reported = 0, missing = 0;
    size_t entries = 0;
    MDB_txn *txn;
    MDB_dbi dbi;
    MDB_cursor *cursor;
    MDB_val k, v;
    if (mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) || mdb_dbi_open(txn, NULL, 0, &dbi) ||
        mdb_cursor_open(txn, dbi, &cursor))
        return 2;
    while (fscanf(report, "%d", &number) == 1) {
        k = (MDB_val){(size_t)snprintf(key, sizeof key, "%08d", number * 7919 % 1000000), key};
        if (mdb_get(txn, dbi, &k, &v) || v.mv_size != make_value(value, number) ||
            memcmp(v.mv_data, value, v.mv_size) != 0)
            printf("missing or damaged: %d\n", number), missing++;
        reported++;
    }
    while (mdb_cursor_get(cursor, &k, &v, MDB_NEXT) == 0)
        entries++;
    printf("%d reported, %zu there, %d missing\n", reported, entries, missing);
    return missing > 0 || reported == 0 || entries < (size_t)reported ||
           entries > (size_t)reported + 1;
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    if (strcmp(argv[1], "-v") == 0) {
        MDB_env *env = open_env(argv[2], 0);
        FILE *report = argc > 3 ? fopen(argv[3], "r") : NULL;
        return env && report ? verify(env, report) : 2;
    }
    MDB_env *env = open_env(argv[1], argc > 3 ? MDB_WRITEMAP : 0);
    return env ? write_all(env, open(argv[2], O_WRONLY | O_CREAT | O_APPEND, 0644)) : 2;
}
