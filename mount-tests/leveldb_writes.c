/* leveldb_writes DIR REPORT: LevelDB itself, with its database in DIR: puts with sync, each
 * reported in the file REPORT (outside of the mount) when it is done; ends quietly when the mount
 * goes away. Buffers are small, so that tables are made and compacted. leveldb_writes -v DIR
 * REPORT: all that was reported is there, and every table passes its checks. */
#include <fcntl.h>
#include <leveldb/c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static size_t make_key(char *out, size_t room, int number)
{
    return (size_t)snprintf(out, room, "%08d", number * 7919 % 1000000);
}

static size_t make_value(char *out, int number)
{
    size_t size = 10 + (size_t)number * 7919 % 1000;
    for (size_t i = 0; i < size; i++)
        out[i] = (char)((size_t)number * 31 + i * i);
    return size;
}

static int write_all(leveldb_t *db, int report)
{
    char key[32], value[1024], line[32], *error = NULL;
    leveldb_writeoptions_t *sync = leveldb_writeoptions_create();
    leveldb_writeoptions_set_sync(sync, 1);
    for (int i = 1; i < 120000; i++) {
        leveldb_put(db, sync, key, make_key(key, sizeof key, i), value, make_value(value, i),
                    &error);
        int n = snprintf(line, sizeof line, "%d\n", i);
        if (error || write(report, line, (size_t)n) != n)
            break;
    }
    return 0;
}

static int verify(leveldb_t *db, FILE *report)
{
    char key[32], value[1024], *error = NULL;
    int number, reported = 0, missing = 0, there = 0;
    leveldb_readoptions_t *checked = leveldb_readoptions_create();
    leveldb_readoptions_set_verify_checksums(checked, 1);
    while (fscanf(report, "%d", &number) == 1) {
        size_t got_size, size = make_value(value, number);
        char *got =
            leveldb_get(db, checked, key, make_key(key, sizeof key, number), &got_size, &error);
        if (error || !got || got_size != size || memcmp(got, value, size) != 0)
            printf("missing or damaged: %d %s\n", number, error ? error : ""), missing++;
        leveldb_free(got);
        reported++;
    }
    leveldb_iterator_t *it = leveldb_create_iterator(db, checked);
    for (leveldb_iter_seek_to_first(it); leveldb_iter_valid(it); leveldb_iter_next(it))
        there++;
    leveldb_iter_get_error(it, &error);
    printf("%d reported, %d there, %d missing%s%s\n", reported, there, missing, error ? ": " : "",
           error ? error : "");
    leveldb_iter_destroy(it);
    leveldb_close(db);
    return error || missing > 0 || reported == 0 || there < reported || there > reported + 1;
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    int verifying = strcmp(argv[1], "-v") == 0;
    const char *dir = argv[1 + verifying];
    leveldb_options_t *options = leveldb_options_create();
    leveldb_options_set_create_if_missing(options, !verifying);
    leveldb_options_set_paranoid_checks(options, 1);
    leveldb_options_set_write_buffer_size(options, 64 << 10);
    char *error = NULL;
    leveldb_t *db = leveldb_open(options, dir, &error);
    FILE *report = verifying && argc > 3 ? fopen(argv[3], "r") : NULL;
    if (!db || (verifying && !report)) {
        fprintf(stderr, "leveldb_writes: %s: %s\n", dir, error ? error : "no report");
        return 2;
    }
    return verifying ? verify(db, report)
                     : write_all(db, open(argv[2], O_WRONLY | O_CREAT | O_APPEND, 0644));
}
