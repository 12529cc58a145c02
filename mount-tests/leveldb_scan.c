/* leveldb_scan DIR: opens a database with LevelDB itself (paranoid checks), reads all of it forward
 * and backward, every key by get as well, and prints how many keys there are of each first byte: "D
 * 12 E 40 ...". Exit code 1 when anything differs. */
#include <leveldb/c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int die(const char *what, const char *why)
{
    fprintf(stderr, "leveldb_scan: %s: %s\n", what, why);
    return 1;
}

int main(int argc, char **argv)
{
    char *err = NULL;
    unsigned long kinds[256] = {0}, forward = 0, backward = 0;
    if (argc != 2)
        return 2;
    leveldb_options_t *o = leveldb_options_create();
    leveldb_options_set_paranoid_checks(o, 1);
    leveldb_filterpolicy_t *bloom = leveldb_filterpolicy_create_bloom(10);
    leveldb_options_set_filter_policy(o, bloom);
    leveldb_t *db = leveldb_open(o, argv[1], &err);
    if (err)
        return die(argv[1], err);
    leveldb_readoptions_t *ro = leveldb_readoptions_create();
    leveldb_readoptions_set_verify_checksums(ro, 1);
    leveldb_iterator_t *it = leveldb_create_iterator(db, ro);
    for (leveldb_iter_seek_to_first(it); leveldb_iter_valid(it); leveldb_iter_next(it), forward++) {
        size_t klen, vlen, glen;
        const char *key = leveldb_iter_key(it, &klen), *value = leveldb_iter_value(it, &vlen);
        char *got = leveldb_get(db, ro, key, klen, &glen, &err);
        if (err || !got || glen != vlen || memcmp(got, value, vlen) != 0)
            return die("get", err ? err : "differs from the iterator");
        leveldb_free(got);
        kinds[(unsigned char)key[0]]++;
    }
    for (leveldb_iter_seek_to_last(it); leveldb_iter_valid(it); leveldb_iter_prev(it))
        backward++;
    leveldb_iter_get_error(it, &err);
    if (err || forward != backward)
        return die("iterate", err ? err : "forward and backward differ");
    for (int i = 0; i < 256; i++)
        if (kinds[i])
            printf("%c %lu ", i, kinds[i]);
    printf("\n");
    leveldb_iter_destroy(it);
    leveldb_readoptions_destroy(ro);
    leveldb_close(db);
    leveldb_options_destroy(o);
    leveldb_filterpolicy_destroy(bloom);
    return 0;
}
